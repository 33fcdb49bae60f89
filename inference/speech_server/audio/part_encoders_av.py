"""Compressed formats part by part, by PyAV. A module of its own because PyAV takes 0.14 s to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import av
import numpy as np
import soxr

from speech_server.audio.encode import OPUS_RATE, from_int16


class _Sink:
    """A file that can only be written to, as a connection can: the container must not go back to its beginning."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._written.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._written)
        self._written.clear()
        return taken


class _Encoder:
    def __init__(
        self, container: str, codec: str, sample_rate: int, bits: int, sample_format: str, options: Mapping[str, str]
    ) -> None:
        self._sink = _Sink()
        # without it a container keeps packets back to fill its own buffer
        self._container = av.open(self._sink, mode="w", format=container, options={**options, "flush_packets": "1"})
        self._stream = cast(av.AudioStream, self._container.add_stream(codec, rate=sample_rate, layout="mono"))
        self._stream.bit_rate = bits
        self._sample_rate = sample_rate
        self._sample_format = sample_format
        self._sent = 0

    def encoded(self, samples: np.ndarray) -> bytes:
        if samples.size:
            frame = av.AudioFrame.from_ndarray(samples[None], format=self._sample_format, layout="mono")
            frame.sample_rate = self._sample_rate
            frame.pts = self._sent
            self._sent += samples.size
            self._container.mux(self._stream.encode(frame))
        return self._sink.take()

    def ended(self) -> bytes:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._sink.take()


class _Parts:
    """At the samples' own rate."""

    def __init__(self, encoder: _Encoder) -> None:
        self._encoder = encoder

    def add(self, pcm: bytes) -> bytes:
        return self._encoder.encoded(_samples(pcm))

    def end(self, pcm: bytes) -> bytes:
        return self.add(pcm) + self._encoder.ended()


class Mp3Parts(_Parts):
    """80 kbit/s. Without the tag in which a whole file says how much its encoder added: players give 50 ms of silence
    in front.
    """

    def __init__(self, sample_rate: int) -> None:
        options = {"write_xing": "0", "id3v2_version": "0"}
        super().__init__(_Encoder("mp3", "libmp3lame", sample_rate, 80_000, "fltp", options))


class AacParts(_Parts):
    """AAC-LC in ADTS, 64 kbit/s: what `encode_aac` makes of the whole."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__(_Encoder("adts", "aac", sample_rate, 64_000, "fltp", {}))


class OpusParts:
    """Ogg at 24 kHz, 58 kbit/s, in pages of 0.1 s: the container's own second would hold the end of a part back."""

    def __init__(self, sample_rate: int) -> None:
        self._stream = soxr.ResampleStream(sample_rate, OPUS_RATE, 1, dtype="float32")
        self._encoder = _Encoder("ogg", "libopus", OPUS_RATE, 58_000, "flt", {"page_duration": "100000"})

    def add(self, pcm: bytes) -> bytes:
        return self._encoder.encoded(self._stream.resample_chunk(_samples(pcm)))

    def end(self, pcm: bytes) -> bytes:
        return self._encoder.encoded(self._stream.resample_chunk(_samples(pcm), True)) + self._encoder.ended()


def _samples(pcm: bytes) -> np.ndarray:
    return from_int16(np.frombuffer(pcm, dtype="<i2"))
