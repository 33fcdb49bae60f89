"""Stand-in for https://github.com/index-tts/index-tts at ee40fa7: signatures, cache and faults, no model."""
