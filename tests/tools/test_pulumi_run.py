"""How an end of a tool reaches Pulumi: a stand-in that ends cleanly on one interrupt, and badly on a second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.conftest import ROOT, Script
from tools.checkout import Checkout
from tools.failure import SetupError
from tools.pulumi_run import Stack

_TOOL = """
import sys
from pathlib import Path
from tools.checkout import Checkout
from tools.failure import exit_status
from tools.pulumi_run import Stack

def main(arguments):
    stack = Stack(Checkout(Path(arguments[0])), "local", "local", Path(arguments[0]) / "cli")
    getattr(stack, arguments[1])("up")

sys.exit(exit_status(main, sys.argv[1:]))
"""
_PULUMI = f"""#!{sys.executable}
import signal, sys, time
interrupts = []
signal.signal(signal.SIGINT, lambda *_: interrupts.append(1))
print("running", flush=True)
while not interrupts:
    signal.sigtimedwait([], 0.05)
signal.sigtimedwait([], 0.3)
print("state written" if len(interrupts) == 1 else "terminated", flush=True)
sys.exit(1)
"""


@pytest.fixture
def stack(checkout: Checkout) -> Stack:
    return Stack(checkout, "local", "local", checkout.root / "cli")


@pytest.fixture(params=["run", "watch"])
def tool(request: pytest.FixtureRequest, stack: Stack) -> Iterator[subprocess.Popen[str]]:
    """A tool in a process group of its own, as a shell makes one, with the stand-in running."""
    program = stack.pulumi_bin / "pulumi"
    program.parent.mkdir()
    program.write_text(_PULUMI)
    program.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", _TOOL, stack.checkout.root, request.param],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    yield process
    process.kill()
    process.communicate()


class TestEnds:
    def test_ctrl_c_lets_pulumi_write_its_state(self, tool: subprocess.Popen[str]) -> None:
        os.killpg(tool.pid, signal.SIGINT)  # what a terminal does
        out, err = tool.communicate(timeout=30)
        assert "state written" in out
        assert "pulumi up was interrupted; run this again to go on" in err
        assert "Traceback" not in err
        assert tool.returncode == 130

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_another_end_becomes_one_interrupt(self, tool: subprocess.Popen[str], number: signal.Signals) -> None:
        tool.send_signal(number)
        out, err = tool.communicate(timeout=30)
        assert "state written" in out
        assert "was interrupted" in err
        assert tool.returncode == 130


class TestOutputs:
    def test_the_key_is_in_no_argument(self, stack: Stack, script: Script, tmp_path: Path) -> None:
        script(
            stack.pulumi_bin / "pulumi",
            f"""echo "$*" > '{tmp_path}/arguments'; echo '{{"apiKey": "k"}}'""",
        )
        assert stack.outputs() == {"apiKey": "k"}
        arguments = (tmp_path / "arguments").read_text().split()
        assert arguments == ["stack", "output", "--json", "--show-secrets", "--non-interactive", "--stack", "local"]

    def test_a_failure_is_quoted(self, stack: Stack, script: Script) -> None:
        script(stack.pulumi_bin / "pulumi", "echo 'error: no stack named local' >&2; exit 255")
        with pytest.raises(SetupError, match="no stack named local"):
            stack.outputs()


class TestWatch:
    def test_gives_the_lines_and_raises_on_failure(self, stack: Stack, script: Script) -> None:
        script(stack.pulumi_bin / "pulumi", "echo one; echo two >&2; exit 0")
        assert stack.watch("up") == ["one", "two"]
        script(stack.pulumi_bin / "pulumi", "echo broken; exit 255")
        with pytest.raises(SetupError, match="pulumi up ended with status 255"):
            stack.watch("up")
