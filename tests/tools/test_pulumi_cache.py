"""The cache against a set-up that is killed, and against two at once: real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools.failure import SetupError
from tools.progress import step
from tools.pulumi_cache import PulumiCache, cache_root
from tools.pulumi_cli import find_in_cache

ROOT = Path(__file__).resolve().parents[2]

# Makes half an installation, says so, and waits for its standard input to end; then finishes it.
_INSTALLING = """
import sys
from pathlib import Path
from tools.progress import step
from tools.pulumi_cache import PulumiCache
cache = PulumiCache(Path(sys.argv[1]), "3.259.0")
with step("install") as current, cache.locked(current), cache.scratch() as directory:
    (directory / "bin").mkdir()
    for name in ("pulumi", "pulumi-language-python"):
        (directory / "bin" / name).write_text("#!/bin/sh")
        (directory / "bin" / name).chmod(0o755)
        if name == "pulumi":
            print("half", flush=True)
            sys.stdin.read()
    cache.put(directory, cache.built)
"""


@pytest.fixture
def installing(tmp_path: Path):
    """A process that is in the middle of an installation and holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", _INSTALLING, tmp_path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    yield process
    process.kill()
    process.communicate()


class TestCache:
    def test_a_killed_installation_is_not_taken_for_a_whole_one(
        self, tmp_path: Path, installing: subprocess.Popen[str]
    ) -> None:
        cache = PulumiCache(tmp_path, "3.259.0")
        installing.send_signal(signal.SIGKILL)
        installing.wait()
        assert find_in_cache(cache) is None
        assert len(list(tmp_path.glob(".unfinished-*"))) == 1
        with step("next") as current, cache.locked(current):
            assert list(tmp_path.glob(".unfinished-*")) == []

    def test_a_second_set_up_waits_and_finds_what_the_first_made(
        self, tmp_path: Path, installing: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        cache = PulumiCache(tmp_path, "3.259.0")
        second = subprocess.Popen(
            [sys.executable, "-c", _INSTALLING, tmp_path],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert second.stdout is not None
        assert second.stdout.readline() == "==> install\n"
        assert "another set-up is at work: waiting for it" in second.stdout.readline()
        assert find_in_cache(cache) is None
        installing.communicate("")
        assert installing.returncode == 0
        second.communicate()
        assert second.returncode == 0
        found = find_in_cache(cache)
        assert found is not None
        assert found.directory == cache.built / "bin"

    def test_a_damaged_one_is_replaced(self, tmp_path: Path, installing: subprocess.Popen[str]) -> None:
        cache = PulumiCache(tmp_path, "3.259.0")
        cache.built.mkdir()
        (cache.built / "rubbish").touch()
        assert find_in_cache(cache) is None
        installing.communicate("")
        assert find_in_cache(cache) is not None
        assert not (cache.built / "rubbish").exists()


class TestCacheRoot:
    def test_the_order_of_the_variables(self) -> None:
        everything = {"INDEXTTS2_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}
        assert cache_root(everything) == Path("/a")
        assert cache_root({**everything, "INDEXTTS2_CACHE": ""}) == Path("/b/indextts2")
        assert cache_root({"HOME": "/c"}) == Path("/c/.cache/indextts2")
        with pytest.raises(SetupError, match="HOME is not set"):
            cache_root({})
