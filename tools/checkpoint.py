"""What the state file of a stack on this machine says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tools.checkout import Checkout
from tools.failure import SetupError


@dataclass(frozen=True)
class Checkpoint:
    """`resources` counts what is deployed. `pending_creates`: URNs whose creation an `up` that was killed began."""

    file: Path
    resources: int
    pending_creates: tuple[str, ...]


def checkpoint(checkout: Checkout, stack: str) -> Checkpoint | None:
    """The stack's state, None when the stack has none yet. Raises SetupError for a file that cannot be read."""
    file = state_file(checkout, stack)
    if not file.is_file():
        return None
    try:
        latest = json.loads(file.read_text(encoding="utf-8"))["checkpoint"].get("latest") or {}
        pending = latest.get("pending_operations") or []
        return Checkpoint(
            file,
            len(latest.get("resources") or []),
            tuple(entry["resource"]["urn"] for entry in pending if entry.get("type") == "creating"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(
            f"the state {file} cannot be read ({error}). Pulumi keeps the one before it: copy {file.name}.bak over "
            f"{file.name}, then run this again"
        ) from error


def all_checkpoints(checkout: Checkout) -> list[Checkpoint]:
    """The states of every stack on this machine that this checkout deployed."""
    folder = state_file(checkout, "any").parent
    found = (checkpoint(checkout, file.stem) for file in sorted(folder.glob("*.json")))
    return [state for state in found if state is not None]


def state_file(checkout: Checkout, stack: str) -> Path:
    """Where the file backend keeps a stack's state."""
    return checkout.state / ".pulumi" / "stacks" / project_name(checkout) / f"{stack}.json"


def project_name(checkout: Checkout) -> str:
    """`name` of Pulumi.yaml."""
    text = (checkout.root / "Pulumi.yaml").read_text(encoding="utf-8")
    match = re.search(r"^name:\s*[\"']?([A-Za-z0-9_.-]+)", text, re.MULTILINE)
    if not match:
        raise SetupError("Pulumi.yaml has no name")
    return match[1]
