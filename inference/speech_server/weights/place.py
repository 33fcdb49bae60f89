"""`weights/NAME/` in a store: reading and writing there. Every call blocks; what fails, fails as in failure.py."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import obstore
from obstore import Bytes
from obstore.exceptions import BaseError

from speech_server.storage.keys import is_key
from speech_server.storage.open_store import open_store
from speech_server.storage.store import ExistsError, Store, StoreError
from speech_server.weights import manifest
from speech_server.weights.failure import Exit, TransferError, is_passing, store_failure
from speech_server.weights.together import Stop, check_stop

FOLDER = "weights"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# A slow line does not get a whole part through in the time that the store's client gives one call.
_LEAST_PIECE_BYTES = 256 << 10
PATIENCE = 8  # tries that bring nothing, the last ones 8 s apart
_FIRST_WAIT_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 8.0
# Of one file; several files are sent at once.
_SENT_AT_ONCE = 4

T = TypeVar("T")


@dataclass(frozen=True)
class Kept:
    """An object's size in bytes, and the store's mark of what it holds."""

    size: int
    etag: str | None


class WeightsPlace:
    """Every method blocks, and raises TransferError. To be closed."""

    def __init__(self, store: Store, name: str) -> None:
        check_name(name)
        self._store = store
        self._objects = store.objects
        self._folder = f"{FOLDER}/{name}"
        self.name = name

    def read(self, path: str, limit: int) -> bytes | None:
        """None if there is no such object; one of more than `limit` bytes is refused."""
        key = self._key(path)

        def get() -> bytes:
            found = obstore.get(self._objects, key)
            if found.meta["size"] > limit:
                raise TransferError(Exit.CONTENT, f"{key} has {found.meta['size']:,} bytes, and may have {limit:,}")
            return found.bytes().to_bytes()

        try:
            return _try(get, key, Stop())
        except TransferError as error:
            if error.status != Exit.ABSENT:
                raise
            return None

    def manifest(self) -> bytes | None:
        return self.read(manifest.NAME, manifest.MAX_MANIFEST_BYTES)

    def create(self, path: str, data: bytes) -> bool:
        """False if there is an object of this path already, with other bytes."""
        key = self._key(path)
        try:
            asyncio.run(self._store.put(key, data, "application/json", create=True))
        except ExistsError:
            # Perhaps the one of this very call: its answer was lost, and it was repeated.
            return self.read(path, manifest.MAX_MANIFEST_BYTES) == data
        except StoreError as error:
            # The store shows the first line of what its library raised, which may not name the code.
            raise store_failure(error.__context__ or error, key) from None
        return True

    def write(self, path: str, data: bytes) -> None:
        key = self._key(path)
        _try(lambda: obstore.put(self._objects, key, data, use_multipart=False), key, Stop())

    def kept(self, path: str) -> Kept | None:
        key = self._key(path)
        try:
            found = _try(lambda: obstore.head(self._objects, key), key, Stop())
        except TransferError as error:
            if error.status != Exit.ABSENT:
                raise
            return None
        return Kept(found["size"], found["e_tag"])

    def part(self, path: str, start: int, length: int, stop: Stop) -> list[Bytes]:
        """The bytes from `start` on, in pieces; smaller and smaller ones are asked for where they come slowly."""
        key = self._key(path)
        pieces: list[Bytes] = []
        done, piece = 0, length

        def get() -> Bytes:
            # A broken transfer is not worth a whole part again, and on a slow line none would ever come through.
            nonlocal piece
            asked = min(piece, length - done)
            piece = max(piece // 2, min(piece, _LEAST_PIECE_BYTES))
            return obstore.get_range(self._objects, key, start=start + done, length=asked)

        while done < length:
            got = _try(get, key, stop)
            piece = min(2 * piece, length)
            if not got:
                raise TransferError(Exit.CONTENT, f"{key}: shorter than its manifest says: push the weights again")
            pieces.append(got)
            done += len(got)
        return pieces

    def send(self, path: str, chunks: Callable[[], Iterator[bytes]], chunk_bytes: int, stop: Stop) -> Kept:
        """Puts an object, whole or not at all; `chunks` begins the file anew for each try. What it raises itself, a
        TransferError say, ends the try and comes through.
        """
        key = self._key(path)

        def put() -> str | None:
            return obstore.put(self._objects, key, chunks(), chunk_size=chunk_bytes, max_concurrency=_SENT_AT_ONCE)[
                "e_tag"
            ]

        etag = _try(put, key, stop)
        kept = self.kept(path)
        if kept is None or (etag is not None and kept.etag != etag):
            raise TransferError(Exit.CONTENT, f"{key} was changed by somebody else while it was sent: try again")
        return kept

    def check_there(self) -> None:
        """Raises TransferError if there is no such bucket, or if it must not be listed."""
        _try(lambda: next(iter(obstore.list(self._objects, f"{self._folder}/")), None), f"{self._folder}/", Stop())

    def close(self) -> None:
        self._store.close()

    def _key(self, path: str) -> str:
        return f"{self._folder}/{path}"


def open_place(url: str, name: str) -> WeightsPlace:
    """`weights/NAME/` in the store at `url`, a SPEECH_STORE. Raises TransferError."""
    check_name(name)
    try:
        return WeightsPlace(open_store(url, None), name)
    except ValueError as error:
        raise TransferError(Exit.SETTINGS, f"the store's URL: {error}") from None
    except OSError as error:
        raise TransferError(Exit.DISK, f"the store's folder cannot be used: {error}") from None


def split_place(url: str, environment: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """("s3://BUCKET?region=R", "NAME") of "s3://BUCKET/weights/NAME?region=R"; of S3 the region may come from
    AWS_REGION. Raises TransferError.
    """
    parts = urlsplit(url)
    before, middle, name = parts.path.rstrip("/").rpartition(f"/{FOLDER}/")
    if parts.scheme not in ("s3", "oss", "file") or not middle:
        raise TransferError(
            Exit.SETTINGS,
            f"{url[:200]!a} is no place for weights: use s3://BUCKET/weights/NAME, oss://BUCKET/weights/NAME?region=R "
            "or file:///DIR/weights/NAME",
        )
    check_name(name)
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    query = parts.query
    if parts.scheme == "s3" and region and "region=" not in query:
        query = f"{query}&region={region}".lstrip("&")
    return parts._replace(path=before, query=query).geturl(), name


def check_name(name: str) -> None:
    """Raises TransferError."""
    if _NAME.fullmatch(name) is None or not is_key(name):
        raise TransferError(
            Exit.SETTINGS, f"{name[:100]!a} is no name for weights: letters, digits, dot, hyphen and underscore"
        )


def _try(call: Callable[[], T], key: str, stop: Stop) -> T:
    wait = _FIRST_WAIT_SECONDS
    for left in reversed(range(PATIENCE)):
        check_stop(stop)
        try:
            return call()
        except (BaseError, OSError, StoreError, RuntimeError) as error:
            failure = store_failure(error, key)
            if not is_passing(failure) or left == 0:
                raise failure from None
        stop.wait(wait)
        wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
    raise AssertionError("the last try returned or raised")
