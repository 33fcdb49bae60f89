"""One call of the service's API that answers in JSON, tried again when it says that it will be able to later."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from speech_server.cli.client import TRIES, is_loopback, retry_wait
from speech_server.cli.failure import CommandError
from speech_server.cli.service_address import ServiceAddress

_RETRIED = frozenset({408, 429, 502, 503, 504})
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)


def call(
    service: ServiceAddress,
    method: str,
    path: str,
    *,
    query: Mapping[str, str | int] | None = None,
    json: object = None,
    form: Mapping[str, str] | None = None,
    files: Mapping[str, tuple[str, bytes]] | None = None,
    headers: Mapping[str, str] | None = None,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """The answer's object. `path` begins with "/". What is called must bear being called twice.

    Raises CommandError for a refusal, and when the service cannot be reached or stays busy.
    """
    sent = {"Authorization": f"Bearer {service.api_key}", **(headers or {})}
    trouble = ""
    with httpx.Client(
        headers=sent, timeout=_TIMEOUT, transport=transport, trust_env=not is_loopback(service.url)
    ) as client:
        for attempt in range(TRIES):
            try:
                response = client.request(method, service.url + path, params=query, json=json, data=form, files=files)
            except httpx.TransportError as error:
                trouble = f"cannot reach {service.url}: {error or type(error).__name__}"
                wait = retry_wait(attempt, None)
            except httpx.InvalidURL as error:
                raise CommandError(f"{service.url!r} is no URL of a service: {error}") from None
            else:
                found = _object_in(response)
                if response.is_success:
                    return found
                trouble = _refusal(response, found)
                if response.status_code not in _RETRIED or _code(found) == "no_store":
                    raise CommandError(trouble)
                wait = retry_wait(attempt, response.headers.get("retry-after"))
            if attempt + 1 < TRIES:
                sleep(wait)
    raise CommandError(f"{trouble} (tried {TRIES} times)")


def _object_in(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    if response.is_success:
        raise CommandError(f"{response.request.url.copy_with(query=None)} answered, but is no speech service")
    return {}


def _code(found: Mapping[str, Any]) -> str | None:
    error = found.get("error")
    return error.get("code") if isinstance(error, dict) else None


def _refusal(response: httpx.Response, found: Mapping[str, Any]) -> str:
    error = found.get("error")
    told = f"{error.get('code')}: {error.get('message')}" if isinstance(error, dict) else "no explanation"
    request_id = response.headers.get("x-request-id", "none")
    return f"the service answered {response.status_code} {told} (request id {request_id})"
