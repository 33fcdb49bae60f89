"""A test engine that speaks in segments when it is told to, and that fails in the middle of a clip.

A text is cut at its bars: `one|two|three` is three segments, each a tone of 0.05 s a character that the pitch of its
place tells. What a segment's first word says comes before its tone: `gate NAME` (wait until the file NAME exists in the
folder that STRICT_ENGINE_DIR names, or cancelled), `crash` (the process dies), `crashonce` (unless it is the
small-footprint retry), `refuse`, `warn`, `nan`. One with the word `silent` in it has no sample.

Every call, every segment and every cancel is a line in `calls.jsonl` there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np

from speech_server.engines.base import Cancelled, Capabilities, Speech, SpeechSegment, Utterance, UtteranceError

ENGINE = "tests.inference.server.segmenting_engine:SegmentingEngine"
SAMPLE_RATE = 22_050
SECONDS_PER_CHARACTER = 0.05
FACTORS = (0.8, 1.5)


class SegmentingEngine:
    def __init__(self) -> None:
        self._folder = Path(os.environ["STRICT_ENGINE_DIR"])

    def load(self) -> Capabilities:
        return Capabilities(
            name="segmenting",
            version="1",
            sample_rate=SAMPLE_RATE,
            languages=("en", "zh"),
            voices=("default",),
            clone=False,
            emotion=False,
            native_duration=True,
            duration_factors=FACTORS,
        )

    def speak(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Speech:
        segments = list(self._segments(utterance, cancelled, "speak"))
        samples = np.concatenate([segment.samples for segment in segments])
        warnings = tuple(warning for segment in segments for warning in segment.warnings)
        return Speech(samples, SAMPLE_RATE, warnings)

    def segments(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Generator[SpeechSegment]:
        yield from self._segments(utterance, cancelled, "segments")

    def _segments(self, utterance: Utterance, cancelled: Callable[[], bool], how: str) -> Generator[SpeechSegment]:
        done = utterance.segments_done
        self._record(event="call", how=how, done=done, text=utterance.text, seed=utterance.seed, pid=os.getpid())
        texts = utterance.text.split("|")
        for place, text in list(enumerate(texts))[done:]:
            word, _, rest = text.partition(" ")
            if word == "crash" or (word == "crashonce" and not utterance.small_footprint):
                os._exit(7)
            if word == "refuse":
                raise UtteranceError("speech_failed", "the model fails on this text")
            if word == "gate":
                self._wait(rest.split(" ")[0], cancelled)
            self._record(event="segment", text=text)
            samples = np.zeros(0, dtype=np.float32) if "silent" in text else tone(text, place, utterance)
            if word == "nan":
                samples[0] = np.nan
            warnings = ("speech_cut: told late",) if word == "warn" else ()
            yield SpeechSegment(samples, SAMPLE_RATE, warnings, last=place == len(texts) - 1)

    def _wait(self, name: str, cancelled: Callable[[], bool]) -> None:
        while not (self._folder / name).exists():
            if cancelled():
                self._record(event="cancelled", text=f"gate {name}")
                raise Cancelled
            time.sleep(0.002)

    def _record(self, **event: object) -> None:
        with (self._folder / "calls.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\n")


def tone(text: str, place: int, utterance: Utterance) -> np.ndarray:
    seconds = len(text) * SECONDS_PER_CHARACTER * (utterance.duration_factor or 1.0)
    axis = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.5 * np.sin(2 * np.pi * (200 + 40 * place) * axis)).astype(np.float32)
