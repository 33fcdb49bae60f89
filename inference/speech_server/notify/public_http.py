"""HTTP to addresses that a client chose: the name is resolved once, every address is checked, and the connection goes
to the checked address under the name's own TLS certificate and Host. No redirect is followed, no proxy of the
environment is used, and neither the time nor the answer is unbounded.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, cast

import httpcore

from speech_server.notify.public_address import why_refused

_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_MAX_ANSWER_BYTES = 16 * 1024


class UnreachableError(Exception):
    """There was no answer; the message says why without the URL's path or query, which may carry a secret."""


class RefusedAddressError(UnreachableError):
    """The name leads to an address that must not be called."""


class PublicHttp:
    """`post()` to an URL that was checked for its form. `loopback`: this machine may be called too."""

    def __init__(self, loopback: bool, tls: ssl.SSLContext | None = None, seconds: float = _SECONDS) -> None:
        self._backend = _CheckedBackend(loopback)
        self._tls = tls or httpcore.default_ssl_context()
        self._seconds = seconds

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The answer's status. Raises UnreachableError."""
        try:
            return await asyncio.wait_for(self._post(url, headers, body), self._seconds)
        except asyncio.TimeoutError:
            raise UnreachableError(f"no answer within {self._seconds:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise UnreachableError(type(error).__name__) from None
        except (OSError, ssl.SSLError, ValueError) as error:
            raise UnreachableError(f"no connection ({type(error).__name__})") from None

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        # A pool for one request: a connection is never kept for the next client's.
        async with httpcore.AsyncConnectionPool(
            ssl_context=self._tls, network_backend=self._backend, max_connections=1, max_keepalive_connections=0
        ) as pool:
            times = {"connect": _CONNECT_SECONDS, "read": self._seconds, "write": self._seconds, "pool": self._seconds}
            async with pool.stream(
                "POST", url, headers=dict(headers), content=body, extensions={"timeout": times}
            ) as answer:
                size = 0
                async for chunk in answer.aiter_stream():
                    size += len(chunk)
                    if size > _MAX_ANSWER_BYTES:
                        break  # the status is all that is wanted
                return answer.status


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, loopback: bool) -> None:
        self._loopback = loopback
        # The package gives this name to a stand-in where anyio is not installed; it is, for the framework needs it.
        self._inner = cast(httpcore.AsyncNetworkBackend, httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._checked(host, port)
        failure: Exception | None = None
        for address in addresses[:2]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:  # noqa: PERF203 - two rounds at most
                failure = error
        assert failure is not None
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _checked(self, host: str, port: int) -> list[str]:
        """The addresses of `host`, every one of them allowed. Raises UnreachableError."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError):
            raise UnreachableError("the name has no address") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            problem = why_refused(ipaddress.ip_address(address), self._loopback)
            if problem is not None:
                raise RefusedAddressError(f"the webhook's name {problem}")
        if not addresses:
            raise UnreachableError("the name has no address")
        return addresses
