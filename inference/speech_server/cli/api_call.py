"""One call of the service's API that answers in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speech_server.cli.asking import ask
from speech_server.cli.failure import CommandError
from speech_server.cli.service_address import ServiceAddress

_SECONDS = 60.0


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
) -> dict[str, Any]:
    """The answer's object. Raises CommandError as `ask` does, and for an answer that is none."""
    response = ask(
        service, method, path, seconds=_SECONDS, headers=headers, params=query, json=json, data=form, files=files
    )
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CommandError(f"{response.request.url.copy_with(query=None)} answered, but is no speech service")
    return found
