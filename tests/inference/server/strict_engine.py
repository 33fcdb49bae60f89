"""A test engine that does as its text says, and that fails where a real one would speak with the wrong voice.

The first word of the text decides: `crash` (the process dies), `crashonce` (unless it is the small-footprint retry),
`fail` (an exception), `sick` (the same until the file `healed` exists), `memory` (none is left), `hang` (until
killed), `gate NAME` (until the file NAME exists in the control folder, or cancelled), `deaf NAME` (the same, but does
not listen to cancels), `refuse`, `silent` (no samples), `nan`, `noise` (prints to both outputs), everything else is
spoken: a tone of 0.05 s a character whose pitch is the voice's.

Every call is a line in `calls.jsonl` in the folder that STRICT_ENGINE_DIR names; concurrent calls kill the process.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from speech_server.engines.base import Cancelled, Capabilities, Speech, Utterance, UtteranceError

SAMPLE_RATE = 22_050
SECONDS_PER_CHARACTER = 0.05
VOICES = ("default", "low", "high")


def tone_of(voice: str | None, reference_sha256: str | None = None) -> float:
    """Hz of the tone that stands for a voice."""
    if reference_sha256 is not None:
        return 600.0 + int(reference_sha256[:4], 16) % 400
    return {None: 220.0, "default": 220.0, "low": 110.0, "high": 440.0}[voice]


class OutOfMemoryError(Exception):
    """Named as PyTorch's is."""


class StrictEngine:
    """Clones, and has no emotions."""

    def __init__(self) -> None:
        self._folder = Path(os.environ["STRICT_ENGINE_DIR"])
        self._one_call = threading.Lock()

    def load(self) -> Capabilities:
        if (self._folder / "fail_to_load").exists():
            raise RuntimeError("no weights here")
        return Capabilities(
            name="strict",
            version="1",
            sample_rate=SAMPLE_RATE,
            languages=("en", "zh"),
            voices=VOICES,
            clone=True,
            emotion=False,
            native_duration=False,
        )

    def speak(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Speech:
        if not self._one_call.acquire(blocking=False):
            os._exit(99)
        try:
            return self._speak(utterance, cancelled)
        finally:
            self._one_call.release()

    def _speak(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Speech:
        self._record({"event": "call", "text": utterance.text, "small": utterance.small_footprint, "pid": os.getpid()})
        word, _, rest = utterance.text.partition(" ")
        if word == "crash" or (word == "crashonce" and not utterance.small_footprint):
            os._exit(7)
        if word == "fail":
            raise RuntimeError(f"cannot say {utterance.text}")
        if word == "memory":
            raise OutOfMemoryError
        if word == "sick" and not (self._folder / "healed").exists():
            raise RuntimeError("sick")
        if word == "refuse":
            raise UtteranceError("language_unsupported", "this text is in no language that is spoken here")
        if word == "noise":
            sys.stdout.write("native\x1b[31m noise\r\n{" + rest + "\n")
            sys.stderr.write("x" * 100_000)
        if word == "silent":
            return Speech(np.zeros(0, dtype=np.float32), SAMPLE_RATE, ())
        if word == "nan":
            return Speech(np.full(1000, np.nan, dtype=np.float32), SAMPLE_RATE, ())
        if word in ("gate", "deaf", "hang"):
            self._wait(word, rest.split(" ")[0], cancelled)
        samples = _tone(utterance)
        warnings = () if utterance.emotion is None else ("emotion_unsupported: only a tone,\r\nX-Evil: 没有感情",)
        return Speech(samples, SAMPLE_RATE, warnings)

    def _wait(self, word: str, name: str, cancelled: Callable[[], bool]) -> None:
        while word == "hang" or not (self._folder / name).exists():
            if word == "gate" and cancelled():
                self._record({"event": "cancelled", "text": f"{word} {name}"})
                raise Cancelled
            time.sleep(0.002)

    def _record(self, event: dict[str, object]) -> None:
        with (self._folder / "calls.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\n")


def _tone(utterance: Utterance) -> np.ndarray:
    reference = utterance.reference
    sha256 = None
    if reference is not None:
        sha256 = hashlib.sha256(Path(reference.path).read_bytes()).hexdigest()
        assert sha256 == reference.sha256
    count = max(1, round(len(utterance.text) * SECONDS_PER_CHARACTER * SAMPLE_RATE))
    hertz = tone_of(utterance.voice, sha256)
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(count) / SAMPLE_RATE)).astype(np.float32)
