"""Going out of service: what a notice leaves time for, two notices at once, and the socket by which an operator asks.

The last needs real servers: who may speak to the socket is the kernel's word, and whether a server ends is its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from speech_server.drain import Drain, Notice, TooLateToStayError, combined, work_seconds
from speech_server.readiness import Readiness
from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import ROOT, RunningServer, until
from tests.inference.server.test_jobs import ended, post, start


class TestNotices:
    @pytest.mark.parametrize(("within", "expected"), [(120.0, 110.0), (20.0, 10.0), (4.0, 2.0), (0.0, 0.0)])
    def test_a_notice_leaves_time_for_the_end_itself(self, within: float, expected: float) -> None:
        assert work_seconds(within) == expected

    def test_the_earlier_end_counts(self) -> None:
        first, later, sooner = Notice("one", 100), Notice("two", 200), Notice("three", 5)
        assert combined(first, 1100, later, 1000) == (Notice("one", 100), 1100)
        assert combined(first, 1100, sooner, 1000)[1] == 1005

    def test_nobody_stays_whom_another_wants_gone(self) -> None:
        stays, goes = Notice("a look", 100, stay=True), Notice("SIGTERM", 50)
        assert combined(stays, 1100, goes, 1000) == (Notice("SIGTERM", 50), 1050)
        assert combined(goes, 1050, stays, 1000) == (Notice("SIGTERM", 50), 1050)

    def test_a_node_that_stayed_and_is_told_to_go_has_the_whole_of_that_notice(self) -> None:
        assert combined(Notice("a look", 10, stay=True), 1010, Notice("SIGTERM", 60), 5000)[1] == 5060


class Hands:
    """What is in progress, as the drain sees it."""

    in_progress = 0
    in_hand = 0
    draining = False

    def __init__(self) -> None:
        self.until: list[float] = []
        self.reasons: list[str | None] = []
        self.let_go_at: list[int] = []

    def let_go(self) -> None:
        self.let_go_at.append(self.in_progress)
        self.in_progress = 0

    def drain(self, until: float) -> None:
        self.until.append(until)

    def undrain(self) -> None:
        self.until.clear()

    def begin_drain(self, reason: str) -> None:
        self.reasons.append(reason)

    def end_drain(self) -> None:
        self.reasons.append(None)


def with_drain(test: Callable[[Drain, Hands], Any]) -> None:
    async def whole() -> None:
        hands = Hands()
        await test(Drain(cast(Readiness, hands), hands, hands, longest_seconds=60), hands)

    asyncio.run(whole())


class TestDrain:
    def test_what_is_in_progress_when_the_time_is_up_is_let_go_of(self) -> None:
        async def test(drain: Drain, hands: Hands) -> None:
            hands.in_progress = 3
            drain.begin(Notice("a spot notice", 0.01))
            await drain.until_idle()
            assert hands.let_go_at == [3]
            assert drain.ending.is_set()

        with_drain(test)

    def test_no_notice_gives_more_than_the_longest(self) -> None:
        async def test(drain: Drain, hands: Hands) -> None:
            drain.begin(Notice("an operator's order", 3600))
            assert 59 < drain.seconds_left <= 60
            drain.begin(Notice("a spot notice", 5))
            assert drain.seconds_left <= 5
            assert len(hands.until) == 2
            assert hands.until[1] < hands.until[0]

        with_drain(test)

    def test_one_who_stays_may_come_back_and_lets_go_of_nothing_then(self) -> None:
        async def test(drain: Drain, hands: Hands) -> None:
            hands.in_progress = 1
            drain.begin(Notice("a look", 0.05, stay=True))
            drain.withdraw()
            await asyncio.sleep(0.1)  # longer than the notice
            assert hands.let_go_at == []
            assert hands.reasons == ["a look", None]
            assert not drain.ending.is_set()

        with_drain(test)

    def test_one_who_ends_does_not(self) -> None:
        async def test(drain: Drain, hands: Hands) -> None:
            drain.begin(Notice("SIGTERM", 5))
            with pytest.raises(TooLateToStayError):
                drain.withdraw()

        with_drain(test)


def node(server: RunningServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`indextts2 node ...` for this server."""
    command = [sys.executable, "-m", "speech_server.node", *arguments, "--work-dir", str(server.folder / "work")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "inference")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def say(server: RunningServer, line: bytes) -> dict[str, Any]:
    """The first answer to a line that no client of ours would send."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(server.folder / "work" / "control.sock"))
        connection.sendall(line)
        with connection.makefile("rb") as answers:
            return json.loads(answers.readline())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """For what does not end it."""
    running = RunningServer(tmp_path_factory.mktemp("drain"))
    yield running
    running.kill()


class TestStaying:
    def test_out_of_service_with_the_reason_and_back(self, server: RunningServer) -> None:
        drained = node(server, "drain", "--stay", "--reason", "a look at the GPU")
        assert (drained.returncode, drained.stdout) == (0, "drained (a look at the GPU)\n")
        probe = server.probe()
        assert (probe.status_code, probe.json()["error"]["code"]) == (503, "draining")
        assert "(a look at the GPU)" in probe.json()["error"]["message"]
        assert server.generate("one that comes all the same").status_code == 200
        assert node(server, "undrain").stdout == "in service\n"
        assert server.probe().status_code == 200
        assert node(server, "status").stdout == "in service\n"

    def test_the_command_returns_when_nothing_is_in_progress(self, server: RunningServer) -> None:
        with ThreadPoolExecutor(2) as pool:
            speaking = pool.submit(server.generate, "gate later")
            until(lambda: server.called("gate later"))
            before = len(server.log("draining"))
            draining = pool.submit(node, server, "drain", "--stay")
            # in the log, for a probe of this test's would be counted as a request in progress
            until(lambda: len(server.log("draining")) > before)
            assert server.probe().status_code == 503
            assert say(server, b'{"do": "status"}\n')["state"] == "draining"
            server.open_gate("later")
            assert draining.result(30).returncode == 0
            node(server, "undrain")
            assert speaking.result(60).status_code == 200
        assert "1 requests, 0 jobs in hand" in draining.result().stdout


class TestTheSocket:
    def test_it_is_the_owners(self, server: RunningServer) -> None:
        path = server.folder / "work" / "control.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
    def test_another_user_is_refused_even_where_the_file_lets_him(self, server: RunningServer) -> None:
        path = server.folder / "work" / "control.sock"
        stranger = 65_533
        program = f"import os, socket; os.setuid({stranger}); c = socket.socket(socket.AF_UNIX)\n"
        program += f"c.connect('{path}'); print(c.makefile().readline())\n"
        closed = [folder for folder in path.parents if folder.stat().st_mode & 0o011 != 0o011]
        modes = {one: one.stat().st_mode & 0o7777 for one in (path, *closed)}
        try:
            for one, mode in modes.items():
                one.chmod(mode | (0o022 if one == path else 0o011))
            asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
            assert not asked.stderr
        finally:
            for one, mode in modes.items():
                one.chmod(mode)
        assert json.loads(asked.stdout) == {"error": f"user {stranger} may not: be root, or the server's own user"}
        assert server.probe().status_code == 200
        assert server.log("control_refused")[-1]["uid"] == stranger

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            (b"drain\n", "Invalid JSON"),
            (b"[]\n", "the order"),
            (b'{"do": "reboot"}\n', "the order"),
            (b'{"do": "drain", "within": -1}\n', "within"),
            (b'{"do": "drain", "within": 1e999}\n', "within"),
            (b'{"do": "drain", "within": "NaN"}\n', "within"),
            (b'{"do": "drain", "stay": "yes"}\n', "stay"),
            (b'{"do": "drain", "reason": "a\\nb"}\n', "reason"),
            (b'{"do": "drain", "reason": "' + b"r" * 101 + b'"}\n', "reason"),
            (b'{"do": "drain", "at": 5}\n', "at"),
            (b'{"do": "' + b"d" * 5000 + b'"}\n', "at most 4096 bytes"),
            (b"\xff\xfe\n", "JSON"),
        ],
    )
    def test_nonsense_is_answered_and_changes_nothing(self, server: RunningServer, line: bytes, problem: str) -> None:
        assert problem in say(server, line)["error"]
        assert server.probe().status_code == 200


class TestTheCommand:
    def test_without_a_server_it_says_where_it_looked(self, tmp_path: Path, server: RunningServer) -> None:
        away = RunningServer.__new__(RunningServer)
        away.folder = tmp_path
        asked = node(away, "drain")
        assert asked.returncode == 1
        assert f"no server listens at {tmp_path / 'work' / 'control.sock'}" in asked.stderr

    @pytest.mark.parametrize("arguments", [("--within", "soon"), ("--within", "nan"), ("--reason", "a\nb")])
    def test_wrong_usage(self, server: RunningServer, arguments: tuple[str, str]) -> None:
        assert node(server, "drain", *arguments).returncode == 2


class TestEnding:
    def test_a_notice_shortens_a_longer_one_and_answers_what_it_has_no_time_for(
        self, start_server: StartServer
    ) -> None:
        server = start_server(drain_seconds=600)
        with ThreadPoolExecutor(1) as pool:
            speaking = pool.submit(server.generate, "gate never")
            until(lambda: server.called("gate never"))
            server.terminate()
            ended = node(server, "drain", "--within", "2", "--reason", "a spot notice")
            answer = speaking.result(60)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.endswith("the server has ended\n")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"]["code"] == "draining"
        assert server.process.wait(60) == 0

    def test_the_first_signal_after_an_order_does_not_cut_anything_off(self, start_server: StartServer) -> None:
        server = start_server()
        with ThreadPoolExecutor(2) as pool:
            speaking = pool.submit(server.generate, "gate one")
            until(lambda: server.called("gate one"))
            draining = pool.submit(node, server, "drain")
            until(lambda: server.log("draining"))
            server.process.send_signal(signal.SIGTERM)
            until(lambda: len(server.log("draining")) == 2)
            server.probe()
            server.open_gate("one")
            assert speaking.result(60).status_code == 200
            assert draining.result(60).returncode == 0
        assert server.process.wait(60) == 0


class TestJobs:
    def test_one_that_cannot_be_finished_is_with_another_node_before_the_first_has_ended(self, tmp_path: Path) -> None:
        """The request that the first still speaks holds it up, and the job goes on elsewhere meanwhile."""
        (tmp_path / "store").mkdir()
        shared = {
            "store": f"file://{tmp_path / 'store'}",
            "queue": f"sqlite:///{tmp_path / 'queue.sqlite'}",
            "job_lease_seconds": 600,
        }
        first = start(_made(tmp_path / "a"), drain_seconds=600, **shared)
        nodes = [first]
        try:
            with ThreadPoolExecutor(1) as pool:
                speaking = pool.submit(first.generate, "gate request")
                until(lambda: first.called("gate request"))
                job = post(first, {"text": "a clip that waits behind it"}).json()["id"]
                until(lambda: first.metric("speech_jobs_in_hand") == 1)
                nodes.append(start(_made(tmp_path / "b"), **shared))
                first.terminate()
                first.probe()
                assert ended(nodes[1], job)["status"] == "succeeded"
                assert first.process.poll() is None
                first.open_gate("request")
                assert speaking.result(60).status_code == 200
            assert first.process.wait(60) == 0
            assert not first.called("a clip that waits behind it")
        finally:
            for one in nodes:
                one.kill()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
