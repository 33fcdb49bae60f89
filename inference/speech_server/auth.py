"""Who is calling: API keys from a mounted file, compared by hash, re-read when the file changes."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from speech_server.asgi_headers import header_values
from speech_server.errors import ApiError, error_response
from speech_server.tenants.keys_file import KeysError, read_keys_file
from speech_server.tenants.policy import ClientPolicy

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
# Links to stored objects: the signature in each is its key.
SIGNED_PATHS = "/files/"

# A changed file is in force after this at the latest; to ask the file system is a system call.
_LOOK_SECONDS = 0.1

log = logging.getLogger("speech_server.auth")


class KeyRing:
    """The clients in the keys file. Raises KeysError when it is made and the file is not usable."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._seen = self._stamp()
        self._clients = read_keys_file(path)
        if path.stat().st_mode & 0o077:
            log.warning("api_keys_readable_by_others", extra={"fields": {"remedy": f"chmod 600 {path}"}})

    def client_of(self, key: str) -> str | None:
        """The name of the client that the key belongs to. As slow for a wrong key as for a right one."""
        self._reload_if_changed()
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found = None
        for known, client in self._clients.digests:
            if hmac.compare_digest(known, digest):
                found = client
        return found

    def policy(self, client: str) -> ClientPolicy | None:
        """What the client may do, as the file says now; None for one that is in it no longer."""
        self._reload_if_changed()
        return self._clients.policies.get(client)

    def clients(self) -> list[str]:
        """The names of all clients, sorted."""
        return sorted(self._clients.policies)

    def _reload_if_changed(self) -> None:
        now = self._clock()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._clients = read_keys_file(self._path)
        except KeysError as error:
            log.error("api_keys_kept", extra={"fields": {"problem": str(error)}})
            return
        log.info("api_keys_read", extra={"fields": {"clients": self.clients()}})

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
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
        if scope["type"] != "http" or _needs_no_key(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            scope["state"]["client"] = self._client(header_values(scope, b"authorization"))
        except ApiError as error:
            await error_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _client(self, given: list[str]) -> str:
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


def _needs_no_key(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(SIGNED_PATHS)
