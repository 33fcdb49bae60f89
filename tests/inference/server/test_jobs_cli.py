"""`indextts2 jobs` against a running server."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from speech_server.cli.main import main
from speech_server.tenants.webhook_secret import derived_secret
from tests.inference.server.running_server import KEY, RunningServer, until
from tests.inference.server.test_jobs import ADMIN_KEY, start

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[RunningServer, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    running = start(tmp_path_factory.mktemp("cli"), listen=address, ready=False)
    until(lambda: running.log("engine_ready"), 60)
    yield running, f"http://{address}"
    running.kill()


@pytest.fixture
def jobs(
    server: tuple[RunningServer, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs the command: status, standard output, standard error."""

    def run(*arguments: str, key: str = KEY) -> tuple[int, str, str]:
        monkeypatch.setenv("INDEXTTS2_URL", server[1])
        monkeypatch.setenv("INDEXTTS2_API_KEY", key)
        status = main(["jobs", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def order(folder: Path, *texts: str) -> str:
    file = folder / "order.json"
    file.write_text(json.dumps({"clips": [{"text": text} for text in texts]}))
    return str(file)


class TestJobs:
    def test_order_wait_and_look(self, jobs: Command, tmp_path: Path) -> None:
        status, out, err = jobs("add", order(tmp_path, "one", "two"), "--wait")
        assert status == 0
        assert "succeeded: 2 of 2 spoken" in err
        job = out.strip()
        assert json.loads(jobs("show", job)[1])["status"] == "succeeded"
        lines = jobs("clips", job)[1].splitlines()
        assert [line.split()[:2] for line in lines] == [["0", "succeeded"], ["1", "succeeded"]]
        assert all("/files/results/" in line for line in lines)
        assert jobs("list", "--limit", "1")[1].startswith(job)
        assert jobs("cancel", job)[1].startswith("succeeded")

    def test_a_clip_that_fails_is_told_by_the_status(self, jobs: Command, tmp_path: Path) -> None:
        status, out, err = jobs("add", order(tmp_path, "one", "refuse"), "--wait")
        assert status == 1
        assert "1 failed" in err
        assert "in no language" in jobs("clips", out.strip())[1]

    @pytest.mark.parametrize("content", [b"{", b"\xff", b"", b"[" * 100_000])
    def test_a_file_that_is_no_order(self, jobs: Command, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "order.json").write_bytes(content)
        status, _, err = jobs("add", str(tmp_path / "order.json"))
        assert status == 1
        assert "is no JSON" in err

    def test_a_job_that_is_not_there(self, jobs: Command) -> None:
        status, _, err = jobs("show", "../keys\x1b[31m")
        assert status == 1
        assert "job_not_found" in err or "404" in err
        assert "\x1b" not in err

    def test_dead_letters(self, jobs: Command) -> None:
        assert jobs("dead")[0] == 1
        assert jobs("dead", key=ADMIN_KEY) == (0, "", "")
        assert jobs("redrive", "--all", key=ADMIN_KEY)[1] == "0 driven again\n"
        with pytest.raises(SystemExit):
            jobs("redrive")

    def test_the_webhook_secret(self, jobs: Command) -> None:
        assert jobs("webhook-secret")[1].strip() == derived_secret(KEY)
