"""Whatever the parts, the file is the whole clip's; decoded by libraries that did not write it."""

from __future__ import annotations

import io
import struct
import wave

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_server.audio.encode import FORMATS, PCM_RATE, encode, from_int16, to_int16
from speech_server.audio.part_encoders import PART_ENCODERS, part_encoder

RATE = 22_050
HEAD_BYTES = 44


def tones(seconds: float = 3.0) -> np.ndarray:
    """16-bit samples of a tone that climbs from 200 Hz."""
    axis = np.arange(int(seconds * RATE)) / RATE
    return to_int16((0.5 * np.sin(2 * np.pi * (200 * axis + 300 * axis**2))).astype(np.float32))


def in_parts(samples: np.ndarray, cuts: list[int], name: str) -> list[bytes]:
    encoder = part_encoder(name, RATE)
    *parts, last = np.split(samples, sorted(cuts))
    return [*(encoder.add(part.tobytes()) for part in parts), encoder.end(last.tobytes())]


def decoded(data: bytes, name: str) -> tuple[np.ndarray, int]:
    """Mono samples and their rate."""
    if name == "pcm":
        return np.frombuffer(data, dtype="<i2"), PCM_RATE
    with av.open(io.BytesIO(data), format={"opus": "ogg"}.get(name, name)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=stream.rate)
        frames = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray()[0] for frame in frames]), stream.rate


class TestExactly:
    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.integers(0, RATE), max_size=5))
    def test_wav_and_pcm_hold_the_whole_clips_samples(self, cuts: list[int]) -> None:
        samples = tones(1.0)
        assert b"".join(in_parts(samples, cuts, "wav"))[HEAD_BYTES:] == samples.tobytes()
        assert b"".join(in_parts(samples, cuts, "pcm")) == encode(from_int16(samples), RATE, "pcm")

    def test_every_reader_takes_a_wav_of_unknown_length(self) -> None:
        samples = tones(1.0)
        data = b"".join(in_parts(samples, [5000], "wav"))
        assert struct.unpack("<I", data[4:8]) == struct.unpack("<I", data[40:44]) == (0xFFFF_FFFF,)
        found, rate = soundfile.read(io.BytesIO(data), dtype="int16")
        assert rate == RATE
        assert np.array_equal(found, samples)
        with wave.open(io.BytesIO(data)) as file:
            assert file.readframes(file.getnframes()) == samples.tobytes()
        assert decoded(data, "wav")[0].size == samples.size


class TestCompressed:
    # samples at RATE that a decoder adds in front, those that it may add in all
    @pytest.mark.parametrize(("name", "front", "longer"), [("mp3", 1105, 2304), ("opus", 0, 0), ("aac", 1024, 2100)])
    def test_what_comes_back_is_what_went_in(self, name: str, front: int, longer: int) -> None:
        samples = tones()
        pieces = in_parts(samples, [RATE, RATE, RATE + 700, 2 * RATE], name)
        received, rate = decoded(b"".join(pieces), name)
        assert samples.size <= received.size * RATE / rate <= samples.size + longer
        if rate != RATE:
            places = np.arange(samples.size) * rate / RATE
            received = np.interp(places, np.arange(received.size), received)
        alike = np.corrcoef(from_int16(samples[: received.size - front]), received[front:][: samples.size])
        assert alike[0, 1] > 0.95

    @pytest.mark.parametrize("name", ["mp3", "opus", "aac"])
    def test_the_first_part_is_heard_before_the_second_one_is_there(self, name: str) -> None:
        first = in_parts(tones(), [2 * RATE], name)[0]
        received, rate = decoded(first, name)
        assert received.size / rate > 2 - 0.35

    @pytest.mark.parametrize("name", ["mp3", "opus"])
    def test_a_file_reader_knows_it(self, name: str) -> None:
        found = soundfile.info(io.BytesIO(b"".join(in_parts(tones(), [RATE], name))))
        assert found.duration == pytest.approx(3.0, abs=0.12)

    @pytest.mark.parametrize("name", PART_ENCODERS)
    def test_the_last_part_may_be_empty(self, name: str) -> None:
        samples = tones()
        data = b"".join(in_parts(samples, [RATE, samples.size], name))
        received, rate = decoded(data, name)
        assert received.size / rate == pytest.approx(3.0, abs=0.12)


class TestFormats:
    def test_all_but_flac_which_needs_its_length(self) -> None:
        assert {*FORMATS} - {*PART_ENCODERS} == {"flac"}
