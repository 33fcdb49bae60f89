"""Voice samples from callers: good ones of every format, and everything that is wrong with a file."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_server.audio.decode import AudioError, ReferenceLimits, decode_reference, write_reference

LIMITS = ReferenceLimits()


def voice(seconds: float = 2.0, rate: int = 22_050, channels: int = 1, amplitude: float = 0.3) -> np.ndarray:
    """A swelling buzz of shape (n, channels)."""
    time = np.arange(int(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * harmonic * time) / harmonic for harmonic in range(1, 8))
    one = amplitude * buzz / 2 * (0.6 - 0.4 * np.cos(2 * np.pi * 3 * time))
    return np.repeat(one[:, None], channels, axis=1).astype(np.float32)


def sound_file(samples: np.ndarray, rate: int = 22_050, container: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


def refused(data: bytes, limits: ReferenceLimits = LIMITS) -> AudioError:
    with pytest.raises(AudioError) as caught:
        decode_reference(data, limits)
    return caught.value


def bare_wav(
    declared_bytes: int, content: bytes, *, format_tag: int = 1, channels: int = 1, rate: int = 22_050
) -> bytes:
    bits = 32 if format_tag == 3 else 16
    frame = channels * bits // 8
    header = struct.pack("<HHIIHH", format_tag, channels, rate, rate * frame % 2**32, frame % 2**16, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + header + b"data" + struct.pack("<I", declared_bytes) + content
    return b"RIFF" + struct.pack("<I", (declared_bytes + 36) % 2**32) + body


class TestGoodFiles:
    @pytest.mark.parametrize(
        ("container", "subtype"),
        [
            ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "PCM_U8"), ("WAVEX", "PCM_16"),
            ("RF64", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", None), ("OGG", "VORBIS"), ("OGG", "OPUS"),
        ],
    )  # fmt: skip
    def test_every_accepted_format(self, container: str, subtype: str | None) -> None:
        decoded = decode_reference(sound_file(voice(rate=24_000), 24_000, container, subtype), LIMITS)
        assert decoded.sample_rate == 24_000
        assert decoded.seconds == pytest.approx(2, abs=0.06)
        assert decoded.samples.dtype == np.float32
        assert decoded.samples.ndim == 1
        assert 0.1 < np.abs(decoded.samples).max() <= 1

    def test_an_mp3_with_a_tag_in_front(self) -> None:
        tag = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)
        assert decode_reference(tag + sound_file(voice(), container="MP3"), LIMITS).seconds == pytest.approx(2, abs=0.1)

    def test_eight_channels_at_192_khz(self) -> None:
        decoded = decode_reference(sound_file(voice(1.5, 192_000, 8), 192_000), LIMITS)
        assert decoded.samples.shape == (288_000,)
        assert decoded.sample_rate == 192_000

    def test_channels_are_averaged(self) -> None:
        both = voice(channels=2)
        both[:, 1] = 0
        decoded = decode_reference(sound_file(both, subtype="FLOAT"), LIMITS)
        assert np.abs(decoded.samples).max() == pytest.approx(np.abs(both[:, 0]).max() / 2, rel=0.01)

    @pytest.mark.parametrize("seconds", [1.0, 30.0])
    def test_the_ends_of_the_range_are_inside(self, seconds: float) -> None:
        assert decode_reference(sound_file(voice(seconds, 8000), 8000), LIMITS).seconds == seconds

    def test_a_peak_a_little_over_full_scale_is_scaled_down(self) -> None:
        loud = voice()
        loud *= 1.5 / np.abs(loud).max()
        decoded = decode_reference(sound_file(loud, subtype="FLOAT"), LIMITS)
        assert np.abs(decoded.samples).max() == pytest.approx(1.0)

    def test_a_truncated_file_gives_what_is_there(self) -> None:
        whole = sound_file(voice(4))
        assert decode_reference(whole[: len(whole) // 2], LIMITS).seconds == pytest.approx(2, abs=0.01)


class TestNoAudio:
    @pytest.mark.parametrize(
        "data",
        [
            b"", b"\x00", b"RIFF", b"RIFF\x00\x00\x00\x00WAVE", b"hello" * 1000, bytes(10_000),
            b"\xff\xfb" + bytes(5000), b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f", b"\xff" * 9999, b"fLaC" + bytes(100),
            b"OggS" + bytes(5000), b"#!/bin/sh\nexit\n", b"\x89PNG\r\n\x1a\n" + bytes(500), b"%PDF-1.7", b"#EXTM3U\nfile:///etc/passwd\n",
        ],
    )  # fmt: skip
    def test_anything_else(self, data: bytes) -> None:
        error = refused(data)
        assert error.code == "not_audio"
        assert "WAV" in error.message

    def test_a_format_of_libsndfile_that_is_not_listed(self) -> None:
        assert refused(sound_file(voice(), container="AU")).code == "not_audio"

    def test_a_codec_in_a_wav_that_is_not_listed(self) -> None:
        error = refused(sound_file(voice(), container="WAV", subtype="GSM610"))
        assert error.code == "not_audio"
        assert "GSM610" in error.message

    def test_another_layer_of_mpeg(self) -> None:
        file = io.BytesIO()
        with av.open(file, "w", format="mp2") as container:
            stream = container.add_stream("mp2", rate=24_000, layout="mono")
            samples = (voice(rate=24_000).T * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16", layout="mono")
            frame.sample_rate = 24_000
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        assert refused(file.getvalue()).code == "not_audio"

    def test_a_broken_mp3_writes_nothing_to_standard_error(self, capfd: pytest.CaptureFixture[str]) -> None:
        data = bytearray(sound_file(voice(3), container="MP3"))
        for place in range(500, len(data), 97):
            data[place] ^= 0xFF
        with contextlib.suppress(AudioError):
            decode_reference(bytes(data), LIMITS)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("container", ["WAV", "FLAC", "MP3", "OGG"])
    def test_only_the_header(self, container: str) -> None:
        assert refused(sound_file(voice(), container=container)[:64]).code in ("not_audio", "audio_too_short")

    def test_no_frames(self) -> None:
        assert refused(sound_file(np.zeros((0, 1), dtype=np.float32))).code == "audio_too_short"

    def test_a_video_container(self) -> None:
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as container:
            stream = container.add_stream("aac", rate=22_050, layout="mono")
            frame = av.AudioFrame.from_ndarray(voice().T.copy(), format="fltp", layout="mono")
            frame.sample_rate = 22_050
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        assert refused(file.getvalue()).code == "not_audio"


class TestHeadersThatLie:
    def test_four_gigabytes_claimed_two_seconds_there(self) -> None:
        content = (voice()[:, 0] * 32767).astype("<i2").tobytes()
        assert decode_reference(bare_wav(0xFFFFFFF0, content), LIMITS).seconds == pytest.approx(2)

    def test_no_bytes_claimed_is_too_short_or_what_is_there(self) -> None:
        content = (voice()[:, 0] * 32767).astype("<i2").tobytes()
        assert refused(bare_wav(0, content)).code in ("audio_too_short", "not_audio")

    @pytest.mark.parametrize("channels", [0, 9, 1024, 65_535])
    def test_channels(self, channels: int) -> None:
        assert refused(bare_wav(4000, bytes(4000), channels=channels)).code in ("too_many_channels", "not_audio")

    @pytest.mark.parametrize("rate", [0, 1, 7_999, 192_001, 0x7FFFFFFF, 0xFFFFFFFF])
    def test_rates(self, rate: int) -> None:
        assert refused(bare_wav(4000, bytes(4000), rate=rate)).code in ("sample_rate_out_of_range", "not_audio")


class TestBombs:
    def test_hours_of_flac_in_a_small_file_are_dropped_after_the_limit(self) -> None:
        # 20 minutes at 48 kHz pack into under 1 MB, and would be 230 MB of float32
        bomb = sound_file(np.zeros((20 * 60 * 48_000, 1), dtype=np.int16), 48_000, "FLAC")
        assert len(bomb) < 1_000_000
        tracemalloc.start()
        error = refused(bomb)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert error.code == "audio_too_long"
        assert peak < 40_000_000

    def test_hours_of_mp3(self) -> None:
        silence = sound_file(np.zeros((8000 * 60, 1), dtype=np.float32), 8000, "MP3")
        assert refused(silence * 60).code == "audio_too_long"

    def test_the_whole_read_of_the_largest_sample_stays_bounded(self) -> None:
        largest = sound_file(voice(30, 192_000, 2), 192_000)
        tracemalloc.start()
        decode_reference(largest, LIMITS)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100_000_000


class TestLimits:
    @pytest.mark.parametrize(
        ("data", "code", "words"),
        [
            (lambda: sound_file(voice(0.5)), "audio_too_short", ("0.50 s", "1 s")),
            (lambda: sound_file(voice(31, 8000), 8000), "audio_too_long", ("30 s",)),
            (lambda: sound_file(voice(30.01, 8000), 8000), "audio_too_long", ("30 s",)),
            (lambda: sound_file(voice(1, channels=9)), "too_many_channels", ("9", "8")),
            (lambda: sound_file(voice(2, 4000), 4000), "sample_rate_out_of_range", ("4000", "8000")),
            (lambda: sound_file(voice(2, amplitude=0)), "audio_silent", ("digital silence", "-50")),
            (lambda: sound_file(voice(2, amplitude=0.002)), "audio_silent", ("dBFS", "-50")),
            (lambda: sound_file(voice(2) * 0 + 0.5), "audio_silent", ("digital silence",)),
        ],
    )
    def test_the_value_found_and_the_value_allowed_are_named(
        self, data: Callable[[], bytes], code: str, words: tuple[str, ...]
    ) -> None:
        error = refused(data())
        assert error.code == code
        assert all(word in error.message for word in words), error.message

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    @pytest.mark.parametrize("place", [0, 30_000, -1])
    def test_numbers_that_are_none(self, value: float, place: int) -> None:
        samples = voice()
        samples[place, 0] = value
        assert refused(sound_file(samples, subtype="FLOAT")).code == "audio_not_finite"

    @pytest.mark.parametrize("value", [5.0, -32_768.0, 3e38])
    def test_floating_point_samples_on_another_scale(self, value: float) -> None:
        samples = voice()
        samples[100, 0] = value
        assert refused(sound_file(samples, subtype="FLOAT")).code == "audio_out_of_range"

    def test_other_limits_are_kept(self) -> None:
        limits = ReferenceLimits(min_seconds=3, max_seconds=5, max_channels=1, min_rate=16_000, max_rate=48_000)
        assert refused(sound_file(voice(2)), limits).code == "audio_too_short"
        assert refused(sound_file(voice(6)), limits).code == "audio_too_long"
        assert refused(sound_file(voice(4, channels=2)), limits).code == "too_many_channels"


class TestAnyBytes:
    @given(
        start=st.sampled_from(["WAV", "FLAC", "MP3", "OGG"]),
        edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12),
        keep=st.integers(0, 6000),
    )
    @settings(max_examples=150, deadline=None)
    def test_damaged_files_are_decoded_or_refused(self, start: str, edits: list[tuple[int, int]], keep: int) -> None:
        data = bytearray(sound_file(voice(1.2, 8000), 8000, start)[: keep + 44])
        for place, value in edits:
            data[place % len(data)] = value
        try:
            decoded = decode_reference(bytes(data), LIMITS)
        except AudioError:
            return
        assert 1 <= decoded.seconds <= 30
        assert np.isfinite(decoded.samples).all()
        assert np.abs(decoded.samples).max() <= 1

    @given(st.binary(max_size=300))
    @settings(max_examples=100, deadline=None)
    def test_noise_is_refused(self, data: bytes) -> None:
        assert refused(data).code in ("not_audio", "audio_too_short", "sample_rate_out_of_range", "too_many_channels")


class TestWriteReference:
    def test_the_file_is_named_by_its_content_and_private(self, tmp_path: Path) -> None:
        decoded = decode_reference(sound_file(voice(channels=2)), LIMITS)
        reference = write_reference(decoded, tmp_path)
        path = Path(reference.path)
        assert path == tmp_path / f"{reference.sha256}.wav"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        info = soundfile.info(path)
        assert (info.channels, info.samplerate, info.subtype) == (1, 22_050, "PCM_16")
        assert reference.seconds == info.duration == 2

    def test_equal_content_is_one_file_and_other_content_another(self, tmp_path: Path) -> None:
        decoded = decode_reference(sound_file(voice()), LIMITS)
        first = write_reference(decoded, tmp_path)
        assert write_reference(decoded, tmp_path) == first
        kept = decode_reference(Path(first.path).read_bytes(), LIMITS)
        assert write_reference(kept, tmp_path) == first  # a job's sample goes this way, and must stay the same voice
        other = write_reference(decode_reference(sound_file(voice(3)), LIMITS), tmp_path)
        assert other.path != first.path
        assert sorted(tmp_path.iterdir()) == sorted([Path(first.path), Path(other.path)])

    def test_a_failed_write_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        decoded = decode_reference(sound_file(voice()), LIMITS)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space"):
            write_reference(decoded, tmp_path)
        assert list(tmp_path.iterdir()) == []
