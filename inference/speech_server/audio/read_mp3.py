"""MP3, by PyAV. A module of its own because PyAV takes 0.14 s to import."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Generator, Iterator

import av
import numpy as np

from speech_server.audio.readers import OpenedAudio, UndecodableError


@contextlib.contextmanager
def open_mp3(data: bytes) -> Generator[OpenedAudio]:
    """Raises UndecodableError. The container is given, not guessed: a playlist or a video is never looked into."""
    try:
        with av.open(io.BytesIO(data), mode="r", format="mp3") as container:
            if not container.streams.audio:
                raise UndecodableError("no sound in it")
            stream = container.streams.audio[0]
            # the demuxer passes on what looks like another layer or codec
            if stream.codec_context.name not in ("mp3", "mp3float"):
                raise UndecodableError(f"its encoding {stream.codec_context.name} is not taken")
            if not stream.rate or not stream.channels:
                raise UndecodableError("no frame of sound in it")
            yield OpenedAudio(stream.channels, stream.rate, _blocks(container, stream))
    except av.FFmpegError as error:
        raise UndecodableError(error.strerror or "broken data") from error


def _blocks(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[np.ndarray]:
    channels, rate = stream.channels, stream.rate
    for packet in container.demux(stream):
        # a broken packet is a gap of 26 ms, as in every player
        with contextlib.suppress(av.InvalidDataError):
            for frame in packet.decode():
                if (frame.layout.nb_channels, frame.sample_rate) != (channels, rate):
                    raise UndecodableError("its channels or sample rate change in the middle")
                yield frame.to_ndarray().T.astype(np.float32, copy=False)
