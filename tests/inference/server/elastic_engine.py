"""A test engine that speaks at a factor, 0.8 to 1.5, of its natural length, and whose process wears out.

The text's first word decides: `hurried` is twice as fast as anybody would estimate. Its process has had its day after
`worn`, `wornrefuse` (refused), `worngate` (until cancelled) and `wornfail` (an exception). In the folder that
STRICT_ENGINE_DIR names, loading waits while the file `slow` exists and fails while `unloadable` does, and the file
`broken` makes it fail, once, to tell its wear. A factor out of its range is a fault, and so is a call after it said
that it has had its day.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from speech_server.engines.base import Cancelled, Capabilities, Speech, Utterance, UtteranceError

SAMPLE_RATE = 22_050
SECONDS_PER_CHARACTER = 0.065  # as is estimated
FACTORS = (0.8, 1.5)


class ElasticEngine:
    def __init__(self) -> None:
        self._folder = Path(os.environ["STRICT_ENGINE_DIR"])
        self._worn = False

    def load(self) -> Capabilities:
        while (self._folder / "slow").exists():
            time.sleep(0.002)
        if (self._folder / "unloadable").exists():
            raise RuntimeError("told not to load")
        return Capabilities(
            name="elastic",
            version="1",
            sample_rate=SAMPLE_RATE,
            languages=("zh", "en"),
            voices=("default",),
            clone=False,
            emotion=False,
            native_duration=True,
            duration_factors=FACTORS,
        )

    def speak(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Speech:
        factor = utterance.duration_factor
        event = {
            "event": "call",
            "text": utterance.text,
            "factor": factor,
            "pid": os.getpid(),
            "work_dir": os.environ["SPEECH_WORK_DIR"],
        }
        with (self._folder / "calls.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\n")
        assert not self._worn, "called again after it had said that it has had its day"
        assert factor is None or FACTORS[0] <= factor <= FACTORS[1]
        word = utterance.text.split(" ")[0]
        self._worn = word.startswith("worn")
        if word == "worngate":
            while not cancelled():
                time.sleep(0.002)
            raise Cancelled
        if word == "wornrefuse":
            raise UtteranceError("no_speech", "nothing to say")
        if word == "wornfail":
            raise RuntimeError("it fails")
        pace = 0.5 if word == "hurried" else 1.0
        seconds = len(utterance.text) * SECONDS_PER_CHARACTER * pace * (factor or 1.0)
        return Speech(np.full(round(seconds * SAMPLE_RATE), 0.1, dtype=np.float32), SAMPLE_RATE, ())

    def recycle_reason(self) -> str | None:
        if (self._folder / "broken").exists():
            (self._folder / "broken").unlink()
            self._worn = True
            raise RuntimeError("the context of the GPU is broken")
        return "it has had its day" if self._worn else None
