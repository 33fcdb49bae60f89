"""HTTP to a hub: lists, and files from any byte on. No address is asked but the hub's and where the hub sends to."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from speech_server import __version__
from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.hubs import Hub, Repo, Source, list_urls, page_url, read_list
from speech_server.weights.together import Stop, check_stop

_MAX_LIST_BYTES = 16 << 20
_MAX_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
# Tries that bring no byte, the last ones 30 s apart: about a minute and a half.
_PATIENCE = 7
FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20


class HubClient:
    """Used by many threads. Every method raises TransferError; to be closed."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        # Compressed bytes could not be continued in the middle.
        headers = {"accept-encoding": "identity", "user-agent": f"indextts2/{__version__}"}
        self._http = httpx.Client(timeout=_TIMEOUT, headers=headers)

    def repo(self, source: Source, stop: Stop) -> Repo:
        listing, licence = list_urls(source)
        answer = self._json(listing, source, stop)
        return read_list(source, answer, None if licence is None else self._json(licence, source, stop))

    def bytes_from(self, url: str, start: int, size: int, stop: Stop) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of the file from byte `start` to its end at `size`, in order; what breaks off is continued.
        Offset 0 after others: the hub does not continue, and what came before is to be forgotten.
        """
        at, misses, wait = start, 0, FIRST_WAIT_SECONDS
        while at < size:
            check_stop(stop)
            try:
                with self._get(url, at) as response:
                    if response.status_code == 200:
                        at = 0
                    for data in response.iter_raw(_CHUNK_BYTES):
                        check_stop(stop)
                        if at + len(data) > size:
                            raise TransferError(Exit.CONTENT, f"{_shown(url)} is longer than the hub's list says")
                        yield at, data
                        at += len(data)
                        misses, wait = 0, FIRST_WAIT_SECONDS
                if at == size:
                    return
                reason = "the answer ended early"
            except httpx.TransportError as error:
                reason = type(error).__name__
            except _RetryError as error:
                reason = str(error)
            misses += 1
            if misses >= _PATIENCE:
                raise self._unreachable(url, reason)
            stop.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    def close(self) -> None:
        self._http.close()

    def _json(self, url: str, source: Source, stop: Stop) -> Any:
        wait = FIRST_WAIT_SECONDS
        for left in reversed(range(_PATIENCE)):
            check_stop(stop)
            try:
                with self._get(url, 0) as response:
                    data = b""
                    for piece in response.iter_raw():
                        data += piece
                        if len(data) > _MAX_LIST_BYTES:
                            raise TransferError(Exit.CONTENT, f"{_shown(url)}: the hub's list is too long to be one")
                return json.loads(data)
            except (ValueError, RecursionError):
                raise TransferError(
                    Exit.CONTENT, f"{page_url(source)}: the answer is no JSON: is {self._hub.endpoint} such a hub?"
                ) from None
            except (httpx.TransportError, _RetryError) as error:
                if left == 0:
                    reason = str(error) if isinstance(error, _RetryError) else type(error).__name__
                    raise self._unreachable(url, reason) from None
            stop.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        raise AssertionError("the last try returned or raised")

    @contextmanager
    def _get(self, url: str, start: int) -> Generator[httpx.Response]:
        """An answer with 200 or, from a byte on, 206; of where the hub sends to if it sends elsewhere."""
        first = url
        for _ in range(_MAX_REDIRECTS):
            headers = {"range": f"bytes={start}-"} if start else {}
            try:
                request = self._http.build_request("GET", url, headers=headers)
                response = self._http.send(request, stream=True)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise TransferError(Exit.CONTENT, f"{_shown(first)}: no address to go on from: {error}") from None
            try:
                if not response.is_redirect:
                    self._check(response, first, start)
                    yield response
                    return
                target = _target(first, url, response.headers["location"])
            finally:
                response.close()
            self._check_redirect(first, target)
            url = target
        raise TransferError(Exit.CONTENT, f"{_shown(first)}: sent on more than {_MAX_REDIRECTS} times")

    def _check(self, response: httpx.Response, url: str, start: int) -> None:
        status = response.status_code
        if status == 200:
            return
        if status == 206 and response.headers.get("content-range", "").startswith(f"bytes {start}-"):
            return
        if status in (401, 403):
            raise TransferError(
                Exit.ACCESS, f"{_shown(url)}: the hub refuses access ({status}): take a public repository"
            )
        if status == 404:
            raise TransferError(Exit.ABSENT, f"{_shown(url)}: the hub has no such repository, revision or file (404)")
        if status == 416:
            raise TransferError(Exit.CONTENT, f"{_shown(url)} is shorter than the hub's list says")
        if status in (408, 425, 429) or status >= 500:
            raise _RetryError(f"the hub answers {status}")
        raise TransferError(Exit.CONTENT, f"{_shown(url)}: the hub answers {status}, which no file's answer has")

    def _check_redirect(self, url: str, target: str) -> None:
        """To its stores of large files a hub sends by HTTPS; anything else would be a way into the network around."""
        before, after = urlsplit(url), urlsplit(target)
        if after.scheme == "https" or (before.scheme, before.netloc) == (after.scheme, after.netloc):
            return
        raise TransferError(
            Exit.CONTENT, f"{_shown(url)}: the hub sends to {_shown(target)}, neither itself nor by HTTPS"
        )

    def _unreachable(self, url: str, reason: str) -> TransferError:
        return TransferError(
            Exit.UNREACHABLE,
            f"{_shown(url)}: the hub cannot be reached ({reason}): check the network and its proxy, or name a mirror: "
            f"?endpoint=https://... (now {self._hub.endpoint})",
        )


def _target(first: str, url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise TransferError(Exit.CONTENT, f"{_shown(first)}: the hub sends to no address at all") from None


class _RetryError(Exception):
    """The hub may answer better in a moment."""


def _shown(url: str) -> str:
    """Without the query, in which a store's address carries its signature."""
    parts = urlsplit(url)
    return ascii(f"{parts.scheme}://{parts.netloc}{parts.path}"[:300]).strip("'")
