"""What is made of speech: a clip of the wanted length and format, and the headers that describe it."""

from __future__ import annotations

import asyncio

import numpy as np

from speech_server.answers import Answer
from speech_server.audio.encode import FORMATS, encode, from_int16, wav_of_int16
from speech_server.audio.stretch import stretch_to
from speech_server.engines.base import Spoken
from speech_server.errors import ApiError
from speech_server.order import SpeechOrder
from speech_server.timing import TargetOutOfReachError, final_length

# A WAV of up to this size is made in less time (0.1 ms) than it takes to hand the work to a thread.
_AT_ONCE_BYTES = 1 << 20


async def finish(order: SpeechOrder, spoken: Spoken, factor: float | None, seconds: float, engine: str) -> Answer:
    """The clip, from speech that took `seconds` and was spoken at `factor` of its natural length (None: at 1).

    Raises ApiError if its length cannot be fitted to what was asked.
    """
    rate = spoken.sample_rate
    natural = spoken.samples / (factor or 1.0)
    try:
        length = final_length(natural, rate, order.timing)
    except TargetOutOfReachError as error:
        raise ApiError(400, "target_out_of_reach", str(error), "target_seconds") from None
    if order.format == "wav" and length == spoken.samples and len(spoken.pcm) <= _AT_ONCE_BYTES:
        body = wav_of_int16(spoken.pcm, rate)
    else:
        body = await asyncio.to_thread(_encoded, spoken, length, order.format)
    return finished(order, body, length / rate, natural / rate, seconds, engine, spoken.warnings)


def finished(
    order: SpeechOrder,
    body: bytes,
    audio_seconds: float,
    natural_seconds: float,
    synthesis_seconds: float,
    engine: str,
    warnings: tuple[str, ...],
) -> Answer:
    """The clip with what describes it."""
    lengths = (
        ("X-Audio-Seconds", f"{audio_seconds:.3f}"),
        ("X-Natural-Seconds", f"{natural_seconds:.3f}"),
        ("X-Synthesis-Seconds", f"{synthesis_seconds:.3f}"),
    )
    headers = (*lengths, *description(engine, warnings))
    return Answer(body, FORMATS[order.format].media_type, headers, audio_seconds, synthesis_seconds)


def description(engine: str, warnings: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The headers that need no length."""
    told = (("X-Speech-Warnings", "; ".join(warnings)),) if warnings else ()
    return ("X-Engine", engine), *told


def _encoded(spoken: Spoken, length: int, format: str) -> bytes:  # noqa: A002 - the API's own name for it
    if format == "wav" and length == spoken.samples:
        return wav_of_int16(spoken.pcm, spoken.sample_rate)
    samples = from_int16(np.frombuffer(spoken.pcm, dtype="<i2"))
    if length != spoken.samples:
        samples = stretch_to(samples, spoken.sample_rate, length)
    return encode(samples, spoken.sample_rate, format)
