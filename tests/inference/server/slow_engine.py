"""A test engine that takes its time for each character, so that a server learns that it is slow."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from speech_server.engines.base import Cancelled, Capabilities, Speech, Utterance

_SECONDS_PER_CHARACTER = 0.005
_RATE = 22_050


class SlowEngine:
    def load(self) -> Capabilities:
        return Capabilities(
            name="slow",
            version="1",
            sample_rate=_RATE,
            languages=("en",),
            voices=("default",),
            clone=False,
            emotion=False,
            native_duration=False,
        )

    def speak(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Speech:
        for _ in utterance.text:
            if cancelled():
                raise Cancelled
            time.sleep(_SECONDS_PER_CHARACTER)
        return Speech(np.full(_RATE // 10, 0.1, dtype=np.float32), _RATE, ())
