"""The store of voices, jobs, results and logs: what every kind of it can do, and what its errors mean."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError

from speech_server.storage.keys import check_folder, check_key, is_key

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

MAX_PRESIGN_SECONDS = 7 * 24 * 3600  # the most that both clouds' signatures allow

# What the library may do in one call: within retry_timeout it begins another try, and a try takes `timeout` at most.
CLIENT_OPTIONS: ClientConfig = {"connect_timeout": timedelta(seconds=3), "timeout": timedelta(seconds=20)}
RETRIES: RetryConfig = {"max_retries": 4, "retry_timeout": timedelta(seconds=10)}
_CALL_SECONDS = 45.0
_PROBE_SECONDS = 2.0
_PROBED_FOLDER = "voices/"
# Threads of its own: in an outage they all wait, and the encoders of synchronous speech must not wait behind them.
_THREADS = 32
_SHOWN_REASON_CHARS = 300

T = TypeVar("T")
log = logging.getLogger("speech_server.storage")


class StoreError(Exception):
    """The store refused or could not be reached. `retryable`: the same call may succeed later."""

    def __init__(self, message: str, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class NotFoundError(StoreError):
    """There is no object of this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no object {key}", retryable=False)


class ExistsError(StoreError):
    """`put(create=True)` found an object of this key.

    It may be the one of this very call: its first try got through, its answer did not, and it was repeated.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"there is an object {key} already", retryable=False)


@dataclass(frozen=True)
class StoredObject:
    key: str
    size: int  # bytes
    modified: datetime  # with a time zone; by the store's clock
    etag: str | None


class Store:
    """Made by `open_store`. Every method raises StoreError, and ValueError for a key that is none.

    The library's synchronous calls in threads, because a process that used its asynchronous ones is aborted every
    other time when it ends (https://github.com/PyO3/pyo3-async-runtimes/issues/40).
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._threads = ThreadPoolExecutor(_THREADS, "store")
        self._failing_since: datetime | None = None
        self._to_probe = asyncio.Event()

    async def get(self, key: str) -> bytes:
        """Raises NotFoundError."""
        check_key(key)
        return await self._run(key, lambda: obstore.get(self._objects, key).bytes().to_bytes())

    async def put(self, key: str, data: bytes, media_type: str, *, create: bool = False) -> None:
        """Whole or not at all. `create`: raises ExistsError if there is such an object."""
        check_key(key)
        if create:
            await self._run(key, lambda: self._create(key, data, media_type))
        else:
            await self._run(key, lambda: self._write(key, data, media_type))

    async def delete(self, key: str) -> None:
        """One that is not there is fine."""
        check_key(key)
        try:
            await self._run(key, lambda: obstore.delete(self._objects, key))
        except NotFoundError:
            return

    async def head(self, key: str) -> StoredObject:
        """Raises NotFoundError."""
        check_key(key)
        return stored_object(await self._run(key, lambda: obstore.head(self._objects, key)))

    async def list(self, prefix: str, after: str | None = None) -> AsyncIterator[StoredObject]:
        """Every object below the folder `prefix` ("jobs/alice/"; "" is all) by ascending key, from the one after the
        key `after` on.
        """
        check_folder(prefix)
        if after is not None:
            check_key(after)
        pages = await self._run(prefix, lambda: self._pages(prefix, after))
        while (page := await self._run(prefix, lambda: _objects(next(pages, None)))) is not None:
            for found in page:
                yield found

    async def presign(self, key: str, seconds: int, file_name: str | None = None) -> str:
        """A URL that anybody may GET the object with for so long, at most 7 days; saved as `file_name`.

        Signed with credentials that end earlier (a role's), the URL ends with them.
        """
        check_key(key)
        if not 1 <= seconds <= MAX_PRESIGN_SECONDS:
            raise ValueError(f"a URL is signed for 1 to {MAX_PRESIGN_SECONDS:,} seconds, not {seconds}")
        return await self._run(key, lambda: self._sign(key, seconds, file_name))

    async def delete_unfinished(self, before: datetime) -> int:
        """What writers that died left half-written, last before `before`; how many. No reader saw any of it."""
        return await self._run("", lambda: self._delete_unfinished(before))

    @property
    def objects(self) -> ObjectStore:
        """The library's own, for what is too large to be read or written as one: its calls block, and raise what the
        library raises.
        """
        return self._objects

    @property
    def failing_since(self) -> datetime | None:
        """When the outage began that the last call met; None while the store works."""
        return self._failing_since

    async def watch(self) -> None:
        """Runs until cancelled: asks after each failure whether it is an outage, and until it is over."""
        while True:
            await self._to_probe.wait()
            await asyncio.sleep(_PROBE_SECONDS)
            self._to_probe.clear()  # before the question: what fails while it is asked is worth another one
            try:
                await self._run(_PROBED_FOLDER, lambda: next(self._pages(_PROBED_FOLDER, None), None))
            except StoreError:
                self._to_probe.set()

    def close(self) -> None:
        """No call begins any more; those that run end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    # What a kind of store does in its own way. All of them block, and may raise what the library raises.

    def _write(self, key: str, data: bytes, media_type: str) -> None:
        obstore.put(self._objects, key, data, attributes={"Content-Type": media_type}, use_multipart=False)

    def _create(self, key: str, data: bytes, media_type: str) -> None:
        obstore.put(
            self._objects, key, data, attributes={"Content-Type": media_type}, use_multipart=False, mode="create"
        )

    def _pages(self, prefix: str, after: str | None) -> Any:
        """An iterator of pages, each a sequence of the library's ObjectMeta, in the order of keys."""
        return iter(obstore.list(self._objects, prefix or None, offset=after, chunk_size=1000))

    def _sign(self, key: str, seconds: int, file_name: str | None) -> str:
        raise NotImplementedError

    def _delete_unfinished(self, before: datetime) -> int:  # noqa: ARG002 - a bucket has none
        return 0

    def _is_there(self) -> bool:
        """False if all objects would look as if they were missing. Does not block."""
        return True

    async def _run(self, key: str, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            done = await asyncio.wait_for(loop.run_in_executor(self._threads, call), _CALL_SECONDS)
        except FileNotFoundError:  # the library's error for an object that is not there
            self._check_place(key)
            self._works()
            raise NotFoundError(key) from None
        except AlreadyExistsError:
            self._works()
            raise ExistsError(key) from None
        except StoreError as error:
            if error.retryable:
                self._fails(str(error))
            raise
        except asyncio.TimeoutError:
            raise self._outage(key, f"no answer within {_CALL_SECONDS:g} s") from None
        except (PermissionDeniedError, PermissionError) as error:
            # Of this object or of all: a permission that one folder lacks must not look like an outage of the store.
            self._to_probe.set()
            raise StoreError(_failed(key, reason_of(error))) from None
        except (BaseError, OSError, RuntimeError) as error:
            raise self._outage(key, reason_of(error)) from None
        self._works()
        return done

    def _check_place(self, key: str) -> None:
        if not self._is_there():
            raise self._outage(key, "the place where it keeps its objects is gone")

    def _outage(self, key: str, reason: str) -> StoreError:
        self._fails(reason)
        return StoreError(_failed(key, reason))

    def _fails(self, reason: str) -> None:
        if self._failing_since is None:
            self._failing_since = datetime.now(timezone.utc)
            log.error("store_failing", extra={"fields": {"reason": reason}})
        self._to_probe.set()

    def _works(self) -> None:
        if self._failing_since is not None:
            seconds = (datetime.now(timezone.utc) - self._failing_since).total_seconds()
            log.info("store_works_again", extra={"fields": {"seconds": round(seconds, 1)}})
            self._failing_since = None


def _objects(page: Any) -> list[StoredObject] | None:
    return None if page is None else [stored_object(found) for found in page if is_key(found["path"])]


def _failed(key: str, reason: str) -> str:
    return f"the store failed on {key or 'its list'}: {reason}"


def stored_object(found: Any) -> StoredObject:
    return StoredObject(found["path"], found["size"], found["last_modified"], found["e_tag"])


def reason_of(error: BaseException) -> str:
    """The library's first line: the rest is a dump of its structures."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:_SHOWN_REASON_CHARS]
