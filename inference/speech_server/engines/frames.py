"""The wire between the server and its engine process: two lengths, a JSON header, raw bytes.

    4 bytes header length | 4 bytes payload length | header: a JSON object | payload: float32 samples, native order

Both ends run on one machine and may not trust each other's sizes: the engine runs third-party code.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from speech_server.engines.base import Capabilities, Emotion, Reference, Utterance

MAX_HEADER_BYTES = 1 << 20  # 4,096 characters of text are at most 48 KiB of escaped JSON
MAX_PAYLOAD_BYTES = 512 << 20  # 100 minutes at 22,050 Hz

_LENGTHS = struct.Struct("!II")

Frame = tuple[dict[str, Any], bytes]


class FrameError(Exception):
    """What arrived is no frame: the other end is broken, and the connection is of no more use."""


def pack(header: Mapping[str, object], payload_bytes: int = 0) -> bytes:
    """Everything of a frame but its payload, which the caller sends right after. Raises FrameError if too large."""
    encoded = json.dumps(header, separators=(",", ":")).encode()
    _check_lengths(len(encoded), payload_bytes)
    return _LENGTHS.pack(len(encoded), payload_bytes) + encoded


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame; None when the other end closed between two frames. Raises FrameError."""
    try:
        header_bytes, payload_bytes = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        _check_lengths(header_bytes, payload_bytes)
        header = _parse_header(await reader.readexactly(header_bytes))
        return header, await reader.readexactly(payload_bytes)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise FrameError("the connection closed inside a frame") from error
        return None


def receive_frame(connection: socket.socket) -> Frame | None:
    """`read_frame` for a blocking socket."""
    lengths = _receive_exactly(connection, _LENGTHS.size)
    if lengths is None:
        return None
    header_bytes, payload_bytes = _LENGTHS.unpack(lengths)
    _check_lengths(header_bytes, payload_bytes)
    header = _receive_exactly(connection, header_bytes)
    payload = _receive_exactly(connection, payload_bytes)
    if header is None or payload is None:
        raise FrameError("the connection closed inside a frame")
    return _parse_header(header), payload


def utterance_to_wire(utterance: Utterance) -> dict[str, Any]:
    return asdict(utterance)


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
    values.update(languages=tuple(wire["languages"]), voices=tuple(wire["voices"]))
    return Capabilities(**values)


def _reference_from_wire(wire: Mapping[str, Any] | None) -> Reference | None:
    return None if wire is None else Reference(**wire)


def _check_lengths(header_bytes: int, payload_bytes: int) -> None:
    if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise FrameError(f"a frame of {header_bytes} + {payload_bytes} bytes is over the limit")


def _parse_header(encoded: bytes) -> dict[str, Any]:
    try:
        header = json.loads(encoded)
    except ValueError as error:
        raise FrameError("a frame's header is not JSON") from error
    if not isinstance(header, dict) or not isinstance(header.get("op"), str):
        raise FrameError("a frame's header is no object with an op")
    return header


def _receive_exactly(connection: socket.socket, count: int) -> bytes | None:
    """`count` bytes, or None if the other end closed before the first of them."""
    received = bytearray(count)
    view = memoryview(received)
    filled = 0
    while filled < count:
        read = connection.recv_into(view[filled:])
        if read == 0:
            if filled:
                raise FrameError("the connection closed inside a frame")
            return None
        filled += read
    return bytes(received)
