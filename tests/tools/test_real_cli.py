"""Against the Pulumi CLI that set-up found: what it writes, and what it takes after it was killed.

The stack is a small program of its own whose one slow resource waits until a file appears, so that a kill hits it while
it is being created.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.conftest import ROOT
from tools import encryption_salt, local_state
from tools.checkout import Checkout
from tools.checkpoint import checkpoint
from tools.environment import recorded_pulumi_bin
from tools.leftover_plugins import leftover_plugins
from tools.pulumi_cache import PulumiCache, cache_root
from tools.pulumi_cli import find_in_cache, find_on_path, pinned_version
from tools.pulumi_run import Stack
from tools.setup import ensure_exists
from tools.stack_lock import read_locks
from tools.up import mend_and_update

pytestmark = pytest.mark.engine

_SETTINGS = "config:\n  speech:target: local\n"
_PROGRAM = """
import pulumi
from slow import Slow
Slow("first", "go")
pulumi.export("url", "http://127.0.0.1:1")
pulumi.export("apiKey", pulumi.Output.secret("hush"))
"""
_SLOW = """
import time
from pathlib import Path
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Provider(ResourceProvider):
    def create(self, props):
        Path("creating").touch()
        while not Path(props["gate"]).exists():
            time.sleep(0.02)
        return CreateResult("slow", props)

class Slow(Resource):
    def __init__(self, name, gate, opts=None):
        super().__init__(Provider(), name, {"gate": gate}, opts)
"""


def _cli() -> Path:
    """The CLI as the search finds it, without an installation."""
    least = pinned_version(Checkout(ROOT))
    found, seen = find_on_path(least, os.environ, ROOT / ".local" / "pulumi")
    found = found or find_in_cache(PulumiCache(cache_root(os.environ), least))
    assert found is not None, f"{seen}, and the cache has none: run `make setup-dev`"
    return found.directory


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, in a git repository whose path has what a URL would read wrongly."""
    checkout = Checkout(tmp_path_factory.mktemp("real cli") / "100% ä #1")
    checkout.root.mkdir()
    for name, text in {
        "Pulumi.yaml": "name: speech\nruntime: python\nmain: .\n",
        "Pulumi.local.yaml": _SETTINGS,
        "__main__.py": _PROGRAM,
        "slow.py": _SLOW,
        ".gitignore": "/.local/\n/.venv\n__pycache__/\n/creating\n/go\n",
        ".gitattributes": (ROOT / ".gitattributes").read_text(),
    }.items():
        (checkout.root / name).write_text(text)
    checkout.venv.symlink_to(ROOT / ".venv")
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-qm1"],
    ):
        subprocess.run(["git", *command], cwd=checkout.root, check=True)
    local_state.ensure(checkout)
    checkout.pulumi_bin_record.write_text(f"{_cli()}\n")
    encryption_salt.set_filter(checkout)
    yield Stack(checkout, "local", "local", recorded_pulumi_bin(checkout))


def _await(condition, what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


class TestRealCli:
    def test_killed_in_the_middle_then_mended(self, stack: Stack, capfd: pytest.CaptureFixture[str]) -> None:
        checkout = stack.checkout
        ensure_exists(stack)
        assert checkpoint(checkout, "local") is not None

        killed = subprocess.Popen(
            [stack.pulumi_bin / "pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", "local"],
            cwd=checkout.root,
            env=stack.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _await((checkout.root / "creating").exists, "the resource to be under way")
        held = read_locks(checkout, "local")
        assert [lock.pid for lock in held] == [killed.pid]
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        state = checkpoint(checkout, "local")
        assert state is not None
        assert len(state.pending_creates) == 1
        assert leftover_plugins(checkout.pulumi_home) != []

        (checkout.root / "go").touch()
        mend_and_update(stack)
        out = capfd.readouterr().out
        assert f"cleared a stale lock of the stack local: process {killed.pid}" in out
        assert "1 resources were being created when the last update was cut short" in out
        assert "pulumi up: done" in out
        state = checkpoint(checkout, "local")
        assert state is not None
        assert state.pending_creates == ()
        assert leftover_plugins(checkout.pulumi_home) == []
        assert read_locks(checkout, "local") == []

    def test_the_second_time_nothing_changed_and_git_sees_nothing(
        self, stack: Stack, capfd: pytest.CaptureFixture[str]
    ) -> None:
        (stack.checkout.root / "go").touch()
        mend_and_update(stack)
        mend_and_update(stack)
        assert "pulumi up: nothing changed" in capfd.readouterr().out
        assert "encryptionsalt:" in stack.checkout.stack_file("local").read_text()
        shown = subprocess.run(
            ["git", "status", "--porcelain"], cwd=stack.checkout.root, capture_output=True, text=True, check=True
        )
        assert shown.stdout == ""
        # git wrote the settings anew, without the salt (a checkout, a stash): the state's own opens the secrets.
        stack.checkout.stack_file("local").write_text(_SETTINGS)
        assert stack.outputs() == {"apiKey": "hush", "url": "http://127.0.0.1:1"}
