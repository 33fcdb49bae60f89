"""Every format is decoded again by a library that did not necessarily write it, and compared with what went in."""

from __future__ import annotations

import io
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile
import soxr

from speech_server.audio.encode import FORMATS, PCM_RATE, encode, from_int16, to_int16, wav_of_int16

RATE = 22_050


def chirp(seconds: float = 2.0) -> np.ndarray:
    """A tone that climbs from 200 Hz to 3 kHz: a shift in time or a wrong rate shows at once."""
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * (200 * time + (3000 - 200) / (2 * seconds) * time**2)
    return (0.5 * np.sin(phase) * np.hanning(time.size)).astype(np.float32)


def decoded(data: bytes, name: str) -> tuple[np.ndarray, int]:
    """Mono samples and rate, by PyAV."""
    if name == "pcm":
        return np.frombuffer(data, dtype="<i2").astype(np.float32) / 32767, PCM_RATE
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        assert stream.channels == 1
        resampler = av.AudioResampler(format="flt", layout="mono", rate=stream.rate)
        frames = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray()[0] for frame in frames]), stream.rate


def likeness(sent: np.ndarray, received: np.ndarray, most_delay: int) -> float:
    """The best correlation over small delays, 1 for the same sound."""
    size = min(sent.size, received.size) - most_delay
    best = 0.0
    for delay in range(0, most_delay + 1, 1):
        part = received[delay : delay + size]
        best = max(best, float(np.corrcoef(sent[: part.size], part)[0, 1]))
    return best


class TestRoundTrip:
    # rate written; samples that may be added; delay that may be added; how alike it must sound
    @pytest.mark.parametrize(
        ("name", "rate", "longer", "delay", "alike"),
        [
            ("wav", 22_050, 0, 0, 0.9999),
            ("flac", 22_050, 0, 0, 0.9999),
            ("pcm", 24_000, 1, 0, 0.999),
            ("mp3", 22_050, 1300, 1200, 0.98),
            ("opus", 48_000, 400, 400, 0.95),
            ("aac", 22_050, 2100, 1100, 0.98),
        ],
    )
    def test_what_comes_back_is_what_went_in(self, name: str, rate: int, longer: int, delay: int, alike: float) -> None:
        sent = chirp()
        received, found_rate = decoded(encode(sent, RATE, name), name)
        # ffmpeg decodes every Opus stream at 48 kHz
        assert found_rate == rate
        expected = soxr.resample(sent, RATE, rate) if rate != RATE else sent
        assert expected.size - 2 <= received.size <= expected.size + longer
        assert likeness(expected, received, delay) > alike

    @pytest.mark.parametrize(("name", "rate"), [("wav", RATE), ("flac", RATE), ("mp3", RATE), ("opus", 24_000)])
    def test_the_length_is_exact_where_the_container_can_say_it(self, name: str, rate: int) -> None:
        info = soundfile.info(io.BytesIO(encode(chirp(), RATE, name)))
        assert (info.samplerate, info.channels) == (rate, 1)
        assert info.frames == pytest.approx(2 * rate, abs=1)

    def test_wav_is_sixteen_bit_mono_at_the_engines_rate(self) -> None:
        data = encode(chirp(), RATE, "wav")
        info = soundfile.info(io.BytesIO(data))
        assert (info.samplerate, info.channels, info.subtype, info.frames) == (RATE, 1, "PCM_16", 2 * RATE)
        assert len(data) == 44 + 2 * 2 * RATE

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("size", [1, 2, 100, 2000])
    def test_the_shortest_clips(self, name: str, size: int) -> None:
        assert len(encode(chirp()[1000 : 1000 + size], RATE, name)) > 0

    @pytest.mark.parametrize("name", FORMATS)
    def test_a_minute(self, name: str) -> None:
        clip = np.tile(chirp(), 30)
        received, rate = decoded(encode(clip, RATE, name), name)
        assert received.size / rate == pytest.approx(60, abs=0.1)


class TestBytes:
    @pytest.mark.parametrize("name", sorted(set(FORMATS) - {"opus"}))
    def test_equal_clips_give_equal_bytes(self, name: str) -> None:
        assert encode(chirp(), RATE, name) == encode(chirp(), RATE, name)

    def test_opus_differs_only_in_the_random_stream_number_that_ogg_asks_for(self) -> None:
        first, second = (soundfile.read(io.BytesIO(encode(chirp(), RATE, "opus")))[0] for _ in range(2))
        assert np.array_equal(first, second)

    @pytest.mark.parametrize("name", ["wav", "flac", "pcm"])
    def test_samples_beyond_full_scale_are_clipped_and_do_not_wrap(self, name: str) -> None:
        received, rate = decoded(encode(chirp() * 10, RATE, name), name)
        clipped = np.clip(chirp() * 10, -1, 1)
        expected = clipped if rate == RATE else np.clip(soxr.resample(clipped, RATE, rate), -1, 1)
        # a wrapped sample would differ by nearly 2
        assert np.abs(received[: expected.size] - expected[: received.size]).max() < 0.01


class TestRefusal:
    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize(
        "samples", [np.zeros(0), np.zeros((2, 100)), np.array([0.0, np.nan]), np.array([np.inf, 0.0])]
    )
    def test_no_samples_two_channels_and_numbers_that_are_none(self, name: str, samples: np.ndarray) -> None:
        with pytest.raises(ValueError, match="samples"):
            encode(samples.astype(np.float32), RATE, name)

    def test_an_unknown_format_is_named(self) -> None:
        with pytest.raises(ValueError, match="'wma' is not one of wav, flac"):
            encode(chirp(), RATE, "wma")


class TestImport:
    def test_wav_does_not_pay_for_pyav(self) -> None:
        program = (
            "import sys, numpy; from speech_server.audio.encode import encode;"
            "encode(numpy.ones(100, dtype='float32'), 22050, 'wav'); sys.exit('av' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", program], cwd="inference", check=False).returncode == 0


class TestInt16:
    @pytest.mark.parametrize("count", [1, 2, 22_050])
    def test_a_wav_of_ready_samples_is_the_one_of_the_library(self, count: int) -> None:
        samples = np.linspace(-1, 1, count, dtype=np.float32)
        assert wav_of_int16(to_int16(samples).tobytes(), 22_050) == encode(samples, 22_050, "wav")

    def test_back_and_forth_loses_nothing(self) -> None:
        every = np.arange(-32767, 32768, dtype="<i2")
        assert (to_int16(from_int16(every)) == every).all()
