"""Which clips may grow, and what is sent of one that does."""

from __future__ import annotations

import asyncio

import pytest

from speech_server.answers import Answer, GrowingAnswer
from speech_server.audio.encode import FORMATS
from speech_server.clip_in_parts import ClipInParts, at_pace, may_grow
from speech_server.engines.base import Capabilities, Spoken
from speech_server.order import SpeechOrder
from speech_server.timing import Timing

RATE = 22_050
NATURAL = Timing()


def order(form: str = "wav", timing: Timing = NATURAL) -> SpeechOrder:
    return SpeechOrder(
        text="text",
        text_param="input",
        pinyin=False,
        language=None,
        voice=None,
        reference_audio=None,
        emotion=None,
        timing=timing,
        seed=None,
        format=form,
    )


def engine(segments: bool = True, native_duration: bool = False) -> Capabilities:
    return Capabilities(
        name="test",
        version="1",
        sample_rate=RATE,
        languages=("en",),
        voices=("default",),
        clone=False,
        emotion=False,
        native_duration=native_duration,
        segments=segments,
    )


def part(seconds: float, done: int, last: bool = False, warnings: tuple[str, ...] = ()) -> Spoken:
    return Spoken(b"\1\0" * round(seconds * RATE), RATE, warnings, last, done)


def made(form: str, *parts: Spoken) -> tuple[Answer, list[GrowingAnswer]]:
    begun: list[GrowingAnswer] = []

    async def make() -> Answer:
        clip = ClipInParts(order(form), None, "test/1", begun.append)
        for one in parts:
            await clip.add(one)
        assert clip.segments_done == parts[-1].segments_done
        assert clip.seconds == pytest.approx(sum(one.seconds for one in parts))
        return await clip.finish(0.5)

    return asyncio.run(make()), begun


class TestWhichMayGrow:
    @pytest.mark.parametrize("form", FORMATS)
    def test_every_format_but_one(self, form: str) -> None:
        assert may_grow(order(form), engine()) == (form != "flac")

    def test_only_of_an_engine_with_segments(self) -> None:
        assert not may_grow(order(), engine(segments=False))

    @pytest.mark.parametrize(
        ("timing", "native", "expected"),
        [
            (Timing(speed=1.0), False, True),
            (Timing(speed=1.1), False, False),
            (Timing(speed=1.1), True, True),
            (Timing(target_seconds=3.0), True, False),
        ],
    )
    def test_by_its_length(self, timing: Timing, native: bool, expected: bool) -> None:
        assert may_grow(order(timing=timing), engine(native_duration=native)) == expected

    @pytest.mark.parametrize(
        ("timing", "factor", "expected"),
        [
            (NATURAL, None, True),
            (Timing(speed=1.1), 1 / 1.1, True),
            (Timing(speed=1.1), None, False),
            (Timing(speed=4.0), 0.78, False),
            (NATURAL, 1.1, False),
            (Timing(target_seconds=3.0), None, False),
        ],
    )
    def test_a_stretch_takes_all_of_it(self, timing: Timing, factor: float | None, expected: bool) -> None:
        assert at_pace(timing, factor) == expected

    @pytest.mark.parametrize("hundredth", range(75, 126))
    def test_every_ratio_within_the_engines_factors_is_a_pace(self, hundredth: int) -> None:
        assert at_pace(Timing(speed=hundredth / 100), 1 / (hundredth / 100))


class TestParts:
    def test_one_part_is_a_clip_like_any_other(self) -> None:
        answer, begun = made("wav", part(1.0, 1, last=True))
        assert not begun
        assert len(answer.body) == 44 + 2 * RATE == int.from_bytes(answer.body[4:8], "little") + 8

    def test_several_are_one_file(self) -> None:
        parts = (part(1.0, 1, warnings=("a: b",)), part(0.5, 2), part(0.25, 3, last=True, warnings=("c: d",)))
        answer, begun = made("wav", *parts)
        assert len(begun) == 1
        assert begun[0].headers == (("X-Engine", "test/1"), ("X-Speech-Warnings", "a: b"))
        assert answer.body == begun[0].body
        assert answer.audio_seconds == pytest.approx(1.75, abs=0.001)
        assert dict(answer.headers)["X-Speech-Warnings"] == "a: b; c: d"

    def test_nothing_begins_before_there_is_something_to_send(self) -> None:
        """An encoder that was given a hundredth of a second keeps it; the clip is then simply whole."""
        answer, begun = made("opus", part(0.01, 1), part(0.01, 2, last=True))
        assert not begun
        assert answer.body.startswith(b"OggS")

    def test_a_last_part_without_sound(self) -> None:
        answer, begun = made("mp3", part(1.0, 1), part(0.0, 2, last=True))
        assert answer.body == begun[0].body
