"""state.json: which stack's state is where. It is committed, so that everybody's `pulumi` uses the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tools.failure import SetupError

NAME = "state.json"


class Place(NamedTuple):
    """Pulumi's backend URL and the URL of the secrets provider. Neither holds a secret."""

    backend: str
    secrets_provider: str


def place_of(root: Path, stack: str) -> Place | None:
    """Where the stack's state is; None when nobody has put it anywhere. Raises SetupError for an unreadable file."""
    return _read(root).get(stack.rsplit("/", 1)[-1])


def write_place(root: Path, stack: str, place: Place) -> None:
    """Notes where the stack's state is."""
    places = {**_read(root), stack.rsplit("/", 1)[-1]: place}
    text = json.dumps(
        {
            name: {"backend": found.backend, "secretsProvider": found.secrets_provider}
            for name, found in sorted(places.items())
        },
        indent=2,
    )
    unfinished = root / f"{NAME}.unfinished"
    unfinished.write_text(f"{text}\n", encoding="utf-8")
    unfinished.replace(root / NAME)


def _read(root: Path) -> Mapping[str, Place]:
    file = root / NAME
    if not file.is_file():
        return {}
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        places = {name: Place(row["backend"], row["secretsProvider"]) for name, row in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(f"{file} cannot be read ({error}); `git checkout {NAME}` brings it back") from error
    for name, place in places.items():
        if not all(isinstance(part, str) and part for part in place):
            raise SetupError(f"{file}: {name}: backend and secretsProvider must be addresses")
    return places
