"""What a killed pulumi left half-written in the state.

Pulumi's file backend puts a file's content in place in one step, but writes the small `.attrs` file beside it in two:
killed in between, it leaves an empty one, and every later command on the stack ends with "EOF". The content does not
need it: a file without one is read as it is (gocloud.dev, blob/fileblob/attrs.go).
"""

from __future__ import annotations

import json
from pathlib import Path


def remove_torn_attributes(state: Path) -> list[Path]:
    """Removes the `.attrs` files below `state` that are no JSON, and gives them. Not for a state that is in use."""
    torn = [file for file in state.rglob("*.attrs") if file.is_file() and not _is_json(file)]
    for file in torn:
        file.unlink(missing_ok=True)
    return torn


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return False
    return True
