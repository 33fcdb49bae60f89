"""An engine that takes its time by the clock and none of the processor, as one whose GPU does the work."""

from __future__ import annotations

import time
from collections.abc import Callable

from speech_server.engines.base import Speech, Utterance
from tools.bench.instant_engine import InstantEngine

CALL_SECONDS = 0.05


class TimedEngine(InstantEngine):
    """As the instant one, a little later."""

    def speak(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Speech:
        time.sleep(CALL_SECONDS)
        return super().speak(utterance, cancelled)
