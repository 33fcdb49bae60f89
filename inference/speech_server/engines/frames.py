"""The wire between the server and its engine process: two lengths, a JSON header, raw bytes.

    4 bytes header length | 4 bytes payload length | header: a JSON object | payload: 16-bit little-endian mono samples

Both ends run on one machine and may not trust each other's sizes: the engine runs third-party code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from speech_server.engines.base import Capabilities, Emotion, Reference, Utterance

MAX_HEADER_BYTES = 1 << 20  # 4,096 characters of text are at most 48 KiB of escaped JSON
MAX_PAYLOAD_BYTES = 512 << 20  # 200 minutes at 22,050 Hz

_LENGTHS = struct.Struct("!II")
_encode = json.JSONEncoder(separators=(",", ":")).encode

Frame = tuple[dict[str, Any], bytes]


class FrameError(Exception):
    """What arrived is no frame: the other end is broken, and the connection is of no more use."""


def pack(header: Mapping[str, object], payload_bytes: int = 0) -> bytes:
    """Everything of a frame but its payload, which the caller sends right after. Raises FrameError if too large."""
    encoded = _encode(header).encode()
    _check_lengths(len(encoded), payload_bytes)
    return _LENGTHS.pack(len(encoded), payload_bytes) + encoded


class Unpacker:
    """Makes frames of the bytes as they come. After a FrameError it is of no more use."""

    def __init__(self) -> None:
        self._received = bytearray()

    @property
    def inside(self) -> bool:
        """Whether a frame has begun and is not complete: the connection must not end here."""
        return bool(self._received)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. Raises FrameError."""
        if not self._received and len(data) >= _LENGTHS.size:
            # Nearly always `data` is one whole frame: it is cut without being copied first.
            header_bytes, payload_bytes = _LENGTHS.unpack_from(data)
            _check_lengths(header_bytes, payload_bytes)
            middle = _LENGTHS.size + header_bytes
            if len(data) == middle + payload_bytes:
                yield _parse_header(data[_LENGTHS.size : middle]), data[middle:]
                return
        self._received += data
        taken = 0
        try:
            while len(self._received) - taken >= _LENGTHS.size:
                header_bytes, payload_bytes = _LENGTHS.unpack_from(self._received, taken)
                _check_lengths(header_bytes, payload_bytes)
                start = taken + _LENGTHS.size
                middle, end = start + header_bytes, start + header_bytes + payload_bytes
                if len(self._received) < end:
                    return
                taken = end
                yield _parse_header(self._received[start:middle]), bytes(self._received[middle:end])
        finally:
            del self._received[:taken]


def utterance_to_wire(utterance: Utterance) -> dict[str, Any]:
    wire = dict(vars(utterance))  # what asdict() makes, but for its copying of every text
    if utterance.reference is not None:
        wire["reference"] = asdict(utterance.reference)
    if utterance.emotion is not None:
        wire["emotion"] = asdict(utterance.emotion)
    return wire


def utterance_from_wire(wire: Mapping[str, Any]) -> Utterance:
    emotion = wire["emotion"]
    if emotion is not None:
        vector = emotion["vector"]
        emotion = Emotion(
            type=emotion["type"],
            description=emotion["description"],
            vector=None if vector is None else tuple(vector),
            reference=_reference_from_wire(emotion["reference"]),
            intensity=emotion["intensity"],
        )
    values = dict(wire)
    values.update(emotion=emotion, reference=_reference_from_wire(wire["reference"]))
    return Utterance(**values)


def capabilities_to_wire(capabilities: Capabilities) -> dict[str, Any]:
    return asdict(capabilities)


def capabilities_from_wire(wire: Mapping[str, Any]) -> Capabilities:
    values = dict(wire)
    for name in ("languages", "voices", "duration_factors"):
        values[name] = tuple(wire[name])
    return Capabilities(**values)


def _reference_from_wire(wire: Mapping[str, Any] | None) -> Reference | None:
    return None if wire is None else Reference(**wire)


def _check_lengths(header_bytes: int, payload_bytes: int) -> None:
    if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise FrameError(f"a frame of {header_bytes} + {payload_bytes} bytes is over the limit")


def _parse_header(encoded: bytes | bytearray) -> dict[str, Any]:
    try:
        header = json.loads(encoded)
    except ValueError as error:
        raise FrameError("a frame's header is not JSON") from error
    if not isinstance(header, dict) or not isinstance(header.get("op"), str):
        raise FrameError("a frame's header is no object with an op")
    return header
