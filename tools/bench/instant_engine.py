"""An engine that takes no time, to measure the server around it. It speaks nothing anybody would want to hear."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from speech_server.engines.base import Capabilities, Speech, Utterance

RATE = 22_050


class InstantEngine:
    """Answers every text with the same tenth of a second."""

    def load(self) -> Capabilities:
        self._samples = (0.1 * np.sin(np.arange(RATE // 10) / 10)).astype(np.float32)
        return Capabilities(
            name="instant",
            version="1",
            sample_rate=RATE,
            languages=("zh", "en"),
            voices=("default",),
            clone=False,
            emotion=False,
            native_duration=False,
        )

    def speak(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Speech:  # noqa: ARG002 - the interface
        return Speech(self._samples, RATE, ())
