"""When an engine that still speaks is taken to hang."""

from __future__ import annotations

# A call's time limit is for a text up to this long, and grows with a longer one. With the default limit of 120 s that
# is 2.4 s a character, twice what IndexTTS2 needs in fp32 on a T4, the slowest engine that was measured in public.
_CHARACTERS = 50
_AUDIO_SECONDS = 11.0  # of so many Chinese characters


def call_deadline(text: str, audio_seconds: float, call_seconds: float) -> float:
    """Seconds after which an engine that speaks `text` is taken to hang; `call_seconds` for a short text.

    `audio_seconds`: how long the speech is expected to be. It gives a slow voice more time and a fast one no less: an
    engine that is ended too early costs everybody else a load.
    """
    return call_seconds * max(1.0, len(text) / _CHARACTERS, audio_seconds / _AUDIO_SECONDS)
