"""Bringing a stack to where a team keeps its state: nothing is lost, and no secret is ever written in the clear."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tools.failure import SetupError
from tools.progress import step
from tools.pulumi_run import Stack
from tools.state.record import Place, write_place

_PROVIDER = re.compile(r"^secretsprovider:\s*(?P<url>\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Backend:
    """The stack as one backend knows it. `environment` leads the CLI there."""

    stack: Stack
    environment: Mapping[str, str]

    def run(self, *arguments: str, sensitive: bool = False) -> str:
        """The CLI's answer. Raises SetupError with its words; `sensitive`: without what it printed of the stack."""
        done = self.stack.ask(*arguments, environment=self.environment)
        if done.returncode:
            said = done.stderr.strip() or ("" if sensitive else done.stdout.strip())
            raise SetupError(f"pulumi {arguments[0]} {arguments[1]} failed:\n{said}")
        return done.stdout

    def has_stack(self) -> bool:
        """Whether the stack is there. Raises SetupError where that cannot be told."""
        done = self.stack.ask("stack", "export", environment=self.environment)
        if done.returncode == 0:
            return True
        if "no stack named" in done.stderr:
            return False
        raise SetupError(f"whether the stack {self.stack.name} is there cannot be told:\n{done.stderr.strip()}")

    def deployment(self) -> dict[str, Any]:
        return json.loads(self.run("stack", "export"))["deployment"]

    def fingerprint(self) -> str:
        """A digest of every resource and setting, secrets opened: equal states have equal ones however encrypted."""
        state = json.loads(self.run("stack", "export", "--show-secrets", sensitive=True))["deployment"]
        config = json.loads(self.run("config", "--json", "--show-secrets", sensitive=True))
        told = json.dumps([state.get("resources") or [], config], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


def move(source: Backend | None, to: Backend, place: Place) -> str:
    """Brings the stack to `to`, and gives what was done. It can be run again after it failed anywhere.

    `source` is None where no other backend can have the stack.

    1. The secrets are encrypted by the new provider, where the stack still is.
    2. Its state goes over as it is, encrypted, and a copy stays in .local/moved/.
    3. Both are compared, secrets opened in memory. Only then is the old one forgotten.
    """
    stack = to.stack
    if to.has_stack():
        if source and source.has_stack():
            raise SetupError(
                f"the stack {stack.name} is at its old place and at {place.backend}. Find out which one is true "
                "(`pulumi stack history`), and remove the other with `pulumi stack rm --force --preserve-config`"
            )
        write_place(stack.checkout.root, stack.name, place)
        return f"the stack {stack.name} is there already"
    if not (source and source.has_stack()):
        to.run("stack", "init", "--no-select", "--secrets-provider", place.secrets_provider)
        write_place(stack.checkout.root, stack.name, place)
        return f"the stack {stack.name} is new"
    _refuse_half_done(source)
    with step("Secrets to the new provider") as current:
        current.done(_change_provider(source, place))
    kept = _keep_a_copy(source)
    with step(f"State to {place.backend}") as current:
        _import(source, to, place, kept)
        current.done(f"compared, and the same; a copy is in {kept}")
    source.run("stack", "rm", "--force", "--yes", "--preserve-config")
    write_place(stack.checkout.root, stack.name, place)
    return f"the stack {stack.name} has moved"


def _refuse_half_done(source: Backend) -> None:
    pending = source.deployment().get("pending_operations") or []
    if pending:
        raise SetupError(
            f"an update of {source.stack.name} was cut short: {len(pending)} operations are not finished. Finish it "
            "first (docs/state.md, half-done update), then run this again"
        )


def _change_provider(source: Backend, place: Place) -> str:
    text = source.stack.checkout.stack_file(source.stack.name).read_text(encoding="utf-8")
    match = _PROVIDER.search(text)
    if match and match["url"].strip("\"'") == place.secrets_provider:
        return "they are there already"
    source.run("stack", "change-secrets-provider", place.secrets_provider)
    return "done"


def _keep_a_copy(source: Backend) -> Path:
    folder = source.stack.checkout.local / "moved"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    file = folder / f"{source.stack.name.replace('/', '.')}-{now}.json"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as output:
        output.write(source.run("stack", "export"))
    return file


def _import(source: Backend, to: Backend, place: Place, kept: Path) -> None:
    file = to.stack.checkout.stack_file(to.stack.name)
    settings = file.read_text(encoding="utf-8")
    to.run("stack", "init", "--no-select", "--secrets-provider", place.secrets_provider)
    # To make a stack writes a new data key into its settings; what is encrypted needs the one that was there.
    file.write_text(settings, encoding="utf-8")
    try:
        to.run("stack", "import", "--file", str(kept))
        if to.fingerprint() != source.fingerprint():
            raise SetupError("what arrived is not what was sent")
    except BaseException:
        to.run("stack", "rm", "--force", "--yes", "--preserve-config")
        file.write_text(settings, encoding="utf-8")
        raise
