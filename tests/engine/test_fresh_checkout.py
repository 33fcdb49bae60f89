"""A newcomer's first commands in a clone of its own: the real `make`, the real pip, the real engine.

Needs all of that because it is what the README promises. The Pulumi CLI comes from the cache that set-up keeps.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import soundfile

from tests.engine.stack import ROOT, free_port, working_directory

pytestmark = pytest.mark.engine


class Checkout:
    """A clone of the last commit, with a port of its own."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "a clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.root)], check=True)
        self.port = free_port()
        settings = self.root / "Pulumi.local.yaml"
        settings.write_text(
            f'{settings.read_text().rstrip()}\n  indextts2:port: "{self.port}"\n'
        )  # as the CLI writes it
        self.commit_settings()

    def commit_settings(self) -> None:
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *identity, "commit", "--quiet", "-am", "port"], cwd=self.root, check=True)

    def make(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(self.command(*arguments), cwd=self.root, text=True, capture_output=True, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @staticmethod
    def command(*arguments: str) -> list[str]:
        # This test may itself run under `make test`, whose flags are not a newcomer's.
        return ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "-u", "MFLAGS", "-u", "STACK", "make", *arguments]

    def pending(self) -> list[str]:
        """The creations that the state says are under way."""
        state = self.root / ".local" / "state" / ".pulumi" / "stacks" / "indextts2" / "local.json"
        try:
            latest = json.loads(state.read_text())["checkpoint"]["latest"] or {}
        except (OSError, ValueError):
            return []
        return [one["resource"]["urn"] for one in latest.get("pending_operations") or []]

    def processes(self) -> list[psutil.Process]:
        run = self.root / ".local" / "data" / "local" / "run"
        return [one for one in psutil.process_iter() if working_directory(one) == run]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    clone = Checkout(tmp_path_factory.mktemp("fresh"))
    yield clone
    for process in clone.processes():
        process.kill()


class TestMakeUp:
    def test_it_ends_by_speaking(self, checkout: Checkout):
        text = checkout.make("up")
        samples, rate = soundfile.read(checkout.root / "out" / "hello.wav", dtype="int16")
        info = soundfile.info(checkout.root / "out" / "hello.wav")
        assert (rate, info.channels, info.subtype) == (22_050, 1, "PCM_16")
        assert len(samples) / rate > 2
        assert abs(samples).max() > 1000
        assert f"http://127.0.0.1:{checkout.port}" in text
        assert "make down" in text

    def test_it_leaves_the_checkout_clean(self, checkout: Checkout):
        done = subprocess.run(
            ["git", "status", "--short"], cwd=checkout.root, text=True, capture_output=True, check=True
        )
        assert done.stdout == ""

    def test_again_it_says_that_nothing_changed(self, checkout: Checkout):
        pids = sorted(one.pid for one in checkout.processes())
        assert "nothing changed" in checkout.make("up")
        assert sorted(one.pid for one in checkout.processes()) == pids

    def test_the_key_is_printed_on_request_only(self, checkout: Checkout):
        key = checkout.make("-s", "key").strip()
        assert len(key) > 32
        assert key not in checkout.make("up")

    def test_plain_pulumi_works_after_activate(self, checkout: Checkout):
        script = ". tools/activate >/dev/null && pulumi preview --expect-no-changes && pulumi stack output url"
        done = subprocess.run(["bash", "-c", script], cwd=checkout.root, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"http://127.0.0.1:{checkout.port}" in done.stdout

    def test_killed_in_the_middle_it_is_mended_by_running_it_again(self, checkout: Checkout):
        checkout.make("down")
        running = subprocess.Popen(
            checkout.command("up"),
            cwd=checkout.root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        while not checkout.pending():
            assert running.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        # What a kill between two writes of the file backend leaves: every command would end with "EOF".
        for attributes in (checkout.root / ".local" / "state").rglob("*.attrs"):
            attributes.write_text("")
        text = checkout.make("up")
        assert "cleared a stale lock" in text
        assert "half-written" in text
        assert checkout.pending() == []
        assert "nothing changed" in checkout.make("up")

    def test_down_leaves_no_process_and_can_be_said_twice(self, checkout: Checkout):
        checkout.make("down")
        assert checkout.processes() == []
        checkout.make("down")
