"""One request to the service, made again when the service says that it will be able to later."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from speech_server.cli.failure import CommandError
from speech_server.cli.service_address import ServiceAddress

TRIES = 6
_RETRIED = frozenset({408, 429, 502, 503, 504})
_LONGEST_WAIT_SECONDS = 120.0
_CONNECT_SECONDS = 5.0  # a service that is gone is noticed when connecting


def ask(
    service: ServiceAddress,
    method: str,
    path: str,
    *,
    seconds: float,
    headers: Mapping[str, str] | None = None,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
    **content: Any,
) -> httpx.Response:
    """The successful answer. `path` begins with "/"; `content` is httpx's own: params, json, data, files.

    What is asked must bear being asked twice. Raises CommandError for a refusal, and when the service cannot be reached
    or stays busy.
    """
    sent = {"Authorization": f"Bearer {service.api_key}", **(headers or {})}
    timeout = httpx.Timeout(seconds, connect=_CONNECT_SECONDS)
    trouble = ""
    with httpx.Client(
        headers=sent, timeout=timeout, transport=transport, trust_env=not is_loopback(service.url)
    ) as client:
        for attempt in range(TRIES):
            try:
                response = client.request(method, service.url + path, **content)
            except httpx.TransportError as error:
                trouble = f"cannot reach {service.url}: {error or type(error).__name__}"
                wait = retry_wait(attempt, None)
            except httpx.InvalidURL as error:
                raise CommandError(f"{service.url!r} is no URL of a service: {error}") from None
            else:
                if response.is_success:
                    return response
                error = _error_in(response)
                trouble = _refusal(response, error)
                # A service without a store will have none later.
                if response.status_code not in _RETRIED or error.get("code") == "no_store":
                    raise CommandError(trouble)
                wait = retry_wait(attempt, response.headers.get("retry-after"))
            if attempt + 1 < TRIES:
                sleep(wait)
    raise CommandError(f"{trouble} (tried {TRIES} times)")


def retry_wait(attempt: int, retry_after: str | None) -> float:
    """Seconds until the next try: what the service asks for, else 0.5, 1, 2, 4, ... after attempts 0, 1, 2, 3, ..."""
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        return min(_LONGEST_WAIT_SECONDS, float(retry_after))
    return min(_LONGEST_WAIT_SECONDS, 0.5 * 2.0**attempt)


def is_loopback(url: str) -> bool:
    """A proxy from the environment must not get what is meant for this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _error_in(response: httpx.Response) -> Mapping[str, Any]:
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _refusal(response: httpx.Response, error: Mapping[str, Any]) -> str:
    told = f"{error['code']}: {error['message']}" if {"code", "message"} <= error.keys() else "no explanation"
    request_id = response.headers.get("x-request-id", "none")
    return f"the service answered {response.status_code} {told} (request id {request_id})"
