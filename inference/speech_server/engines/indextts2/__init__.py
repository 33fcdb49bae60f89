"""The `indextts2` engine: bilibili's IndexTTS2, versions 2 and 2.5, driven one call at a time."""
