"""Who is calling: API keys from a mounted file, compared by hash, re-read when the file changes."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from speech_server.errors import ApiError, error_response

OPEN_PATHS = frozenset({"/healthz", "/readyz"})

_CLIENT_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY = re.compile(r"[\x21-\x7e]{16,512}")

log = logging.getLogger("speech_server.auth")


class KeysError(Exception):
    """The keys file cannot be used; the message names the file and the client, never a key."""


class KeyRing:
    """The clients in the keys file. Raises KeysError when it is made and the file is not usable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._stamp()
        self._digests = _digests(_read(path))
        if path.stat().st_mode & 0o077:
            log.warning("api_keys_readable_by_others", extra={"fields": {"remedy": f"chmod 600 {path}"}})

    def client_of(self, key: str) -> str | None:
        """The name of the client that the key belongs to. As slow for a wrong key as for a right one."""
        self._reload_if_changed()
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found = None
        for client, known in self._digests.items():
            if hmac.compare_digest(known, digest):
                found = client
        return found

    def _reload_if_changed(self) -> None:
        # One stat a request, 2 us: cheaper than to think about how old an answer may be.
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._digests = _digests(_read(self._path))
        except KeysError as error:
            log.error("api_keys_kept", extra={"fields": {"problem": str(error)}})
            return
        log.info("api_keys_read", extra={"fields": {"clients": sorted(self._digests)}})

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - Path.stat is half as fast, and this is asked on every request
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


class Authenticate:
    """ASGI middleware: no route and no byte of a body is reached without a key, the health pages excepted.

    The client's name is left in `scope["state"]["client"]`.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing, hint: str) -> None:
        self._app = app
        self._keys = keys
        self._hint = hint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            scope["state"]["client"] = self._client(Headers(scope=scope))
        except ApiError as error:
            await error_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _client(self, headers: Headers) -> str:
        given = headers.getlist("authorization")
        if len(given) != 1:
            raise self._refused("missing_api_key", "there is no API key in this request")
        scheme, _, key = given[0].partition(" ")
        if scheme.lower() != "bearer":
            raise self._refused("missing_api_key", "the Authorization header carries no bearer key")
        client = self._keys.client_of(key.strip())
        if client is None:
            raise self._refused("invalid_api_key", "this API key is not known here")
        return client

    def _refused(self, code: str, problem: str) -> ApiError:
        message = f"{problem}; send the header 'Authorization: Bearer KEY'"
        if self._hint:
            message += f" ({self._hint})"
        return ApiError(401, code, message, headers={"WWW-Authenticate": 'Bearer realm="speech"'})


def _read(path: Path) -> dict[str, str]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise KeysError(f"{path}: the API keys file cannot be read: {reason}") from None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise KeysError(f'{path}: the API keys file must be a JSON object, {{"client name": "key"}}') from None
    return _checked(path, found)


def _checked(path: Path, found: object) -> dict[str, str]:
    if not isinstance(found, dict) or not found:
        raise KeysError(f'{path}: the API keys file must be a JSON object with a client, {{"client name": "key"}}')
    problems = []
    for client, key in found.items():
        if not _CLIENT_NAME.fullmatch(client):
            problems.append(f"client {client[:80]!a}: a name is 1-64 of A-Z a-z 0-9 . _ -")
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            problems.append(f"client {client[:80]!a}: its key must be 16-512 printable ASCII characters, no spaces")
    if not problems and len(set(found.values())) < len(found):
        problems.append("two clients have the same key")
    if problems:
        raise KeysError(f"{path}: " + "; ".join(problems))
    return found


def _digests(keys: Mapping[str, str]) -> dict[str, bytes]:
    return {client: hashlib.sha256(key.encode()).digest() for client, key in keys.items()}
