"""The local stack by the real Pulumi engine: up, speak, change, break, mend, destroy.

Needs processes and an engine because that is what it tests: that the program, the engine, the supervisor, Caddy and
the servers do together what the README says.
"""

import contextlib
import io
import itertools
import json
import re
import shutil
import socket
import sqlite3
import subprocess
import threading
import time

import httpx
import psutil
import pytest
import soundfile

from tests.engine.load import Load
from tests.engine.stack import LocalStack, free_port

pytestmark = pytest.mark.engine


def wait_for(condition, seconds=60):
    """Await a condition; the time-out only ends a test that has failed."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class TestUp:
    def test_it_speaks_the_missions_request(self, stack: LocalStack):
        request = {
            "text": "你为什么要这样做?",
            "text_with_pinyin": "你为什么yào zhèyàng做?",
            "emotion_control": {"type": "text_desc", "description": "愤怒地质问", "intensity": 0.8},
            "duration_ratio": 1.1,
            "mode": "controlled",
        }
        with stack.client() as client:
            answer = client.post("/generate", json=request)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "audio/wav"
        samples, rate = soundfile.read(io.BytesIO(answer.content))
        assert rate == 22_050
        assert len(samples) / rate > 0.8
        assert abs(samples).max() > 0.05
        assert "emotion" in answer.headers["x-speech-warnings"]

    def test_its_outputs_are_complete_and_the_key_is_secret(self, stack: LocalStack):
        assert stack.outputs().keys() == {
            "url", "healthUrl", "bucket", "queue", "apiKeysSecret", "apiKey", "image", "fleet",
        }  # fmt: skip
        assert "[secret]" in stack.pulumi("stack", "output", "--stack", stack.name).stdout

    def test_a_preview_shows_nothing_to_do(self, stack: LocalStack):
        stack.preview("--expect-no-changes")

    def test_a_refresh_and_an_update_find_nothing_to_do(self, stack: LocalStack):
        pids = sorted(process.pid for process in stack.processes())
        assert "unchanged" in stack.up("--refresh", "--expect-no-changes")
        assert sorted(process.pid for process in stack.processes()) == pids

    def test_two_replicas_with_an_engine_each_a_proxy_a_guardian_and_the_supervisor(self, stack: LocalStack):
        commands = [" ".join(process.cmdline()) for process in stack.processes()]
        assert sum("speech_server serve" in command for command in commands) == 2
        assert sum("worker" in command for command in commands) == 2
        assert sum("supervisor.supervisord" in command for command in commands) == 1
        assert sum("guardian.py" in command for command in commands) == 1
        assert sum("caddy run" in command for command in commands) == 1

    def test_everything_listens_on_loopback_or_on_a_socket_file(self, stack: LocalStack):
        for process in stack.processes():
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip == "127.0.0.1"
                    assert connection.laddr.port == stack.port

    def test_nothing_hangs_on_the_terminal(self, stack: LocalStack):
        assert all(process.terminal() is None for process in stack.processes())
        ours = {process.pid for process in stack.processes()}
        (daemon,) = [process for process in stack.processes() if process.ppid() not in ours]
        assert daemon.ppid() == 1 or "systemd" in psutil.Process(daemon.ppid()).name()

    def test_files_and_directories_are_private(self, stack: LocalStack):
        for path in [stack.data, *stack.data.rglob("*")]:
            mode = path.stat().st_mode & 0o777
            assert mode & 0o077 == 0, f"{path} {mode:o}"

    def test_the_key_is_in_its_file_and_nowhere_else(self, stack: LocalStack):
        key = stack.outputs()["apiKey"]
        holders = [
            path
            for path in stack.directory.rglob("*")
            if path.is_file() and not path.is_symlink() and key.encode() in path.read_bytes()
        ]
        assert holders == [stack.data / "keys.json"]
        for process in stack.processes():
            assert key not in " ".join(process.cmdline())
            assert key not in json.dumps(process.environ())

    def test_the_services_know_nothing_of_pulumis_passphrase(self, stack: LocalStack):
        for process in stack.processes():
            assert not [name for name in process.environ() if name.startswith("PULUMI")]

    def test_a_request_without_a_key_is_told_where_the_key_is(self, stack: LocalStack):
        answer = httpx.post(f"{stack.outputs()['url']}/generate", json={"text": "hi"}, trust_env=False)
        assert answer.status_code == 401
        assert "Authorization: Bearer" in answer.json()["error"]["message"]
        assert "pulumi stack output apiKey" in answer.json()["error"]["message"]

    def test_a_body_over_the_limit_is_refused_in_the_services_own_words(self, stack: LocalStack):
        with stack.client() as client:
            answer = client.post("/generate", content=b"x" * (17 << 20), headers={"content-type": "application/json"})
        assert answer.status_code == 413
        assert answer.json()["error"]["code"]
        assert answer.headers["x-request-id"]

    def test_a_body_without_a_length_is_refused_and_takes_no_replica_out(self, stack: LocalStack):
        def endless():
            for _ in range(20):
                yield b"x" * (1 << 20)

        with httpx.Client(base_url=stack.outputs()["url"], timeout=60, trust_env=False) as stranger:
            answer = stranger.post("/generate", content=endless())
        assert answer.status_code == 411
        assert answer.json()["error"]["code"] == "length_required"
        with stack.client() as client:
            assert client.post("/generate", json={"text": "still here"}).elapsed.total_seconds() < 2

    def test_the_access_log_has_no_key_and_no_text(self, stack: LocalStack):
        with stack.client() as client:
            client.post("/generate", json={"text": "a very private sentence"})
        log = (stack.data / "logs" / "access.log").read_text()
        assert '"uri":"/generate"' in log
        assert stack.outputs()["apiKey"] not in log
        assert "private sentence" not in "".join(path.read_text() for path in (stack.data / "logs").iterdir())

    def test_each_replicas_metrics_are_reachable_with_the_key(self, stack: LocalStack):
        with stack.client() as client:
            for index in range(2):
                answer = client.get(f"/metrics/{index}")
                assert answer.status_code == 200
                assert "# TYPE" in answer.text


class TestChange:
    def test_more_and_fewer_replicas_and_another_port_drop_no_request(self, stack: LocalStack):
        with Load(stack) as load:
            stack.configure(replicas="3")
            text = stack.up()
            stack.configure(replicas="1")
            stack.up()
            stack.configure(replicas="2")
            stack.up()
            wait_for(lambda: load.answered > 20)
        assert not load.failures
        assert "replaced" not in text
        assert len([one for one in stack.processes() if "serve" in one.cmdline()]) == 2

    def test_another_port_is_taken_over_by_the_running_proxy(self, stack: LocalStack):
        before, old_port = stack.program("caddy").pid, stack.port
        stack.port = free_port()
        stack.configure(port=str(stack.port))
        stack.up()
        assert stack.program("caddy").pid == before
        with stack.client() as client:
            assert client.post("/generate", json={"text": "a new port"}).status_code == 200
        assert is_free(old_port)

    def test_new_code_rolls_the_replicas_one_at_a_time_and_drops_no_request(self, stack: LocalStack):
        before = {name: stack.program(name).pid for name in ("server-0", "server-1")}
        with (stack.project / "requirements-local.txt").open("a") as file:
            file.write("# another version\n")
        with Load(stack) as load:
            stack.up()
        assert not load.failures
        assert all(stack.program(name).pid != pid for name, pid in before.items())
        stack.preview("--expect-no-changes")

    def test_a_new_key_works_at_once_and_restarts_nobody(self, stack: LocalStack):
        pids = sorted(process.pid for process in stack.processes())
        key = "the-key-of-a-studio-0123456789-0123456789"
        stack.configure_path("apiKeys.studio", key, secret=True)
        stack.up()
        url = stack.outputs()["url"]

        def accepted() -> bool:
            headers = {"Authorization": f"Bearer {key}"}
            return httpx.get(f"{url}/v1/models", headers=headers, trust_env=False).status_code == 200

        wait_for(accepted)
        assert sorted(process.pid for process in stack.processes()) == pids
        state = (stack.directory / "state").rglob("*.json")
        assert not [path for path in state if key in path.read_text()]

    def test_a_change_that_does_not_work_is_taken_back(self, stack: LocalStack):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            stack.configure(port=str(taken.getsockname()[1]), checks="false")
            text = stack.up(check=False)
            assert "is in use by" in text
            assert "Traceback" not in text
            with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", trust_env=False) as client:
                assert client.get("/readyz").status_code == 200
        stack.configure(port=str(stack.port), checks="true")
        # The servers had been told the other address, which is in the links that they give out.
        assert "1 updated" in stack.up()
        assert "unchanged" in stack.up("--expect-no-changes")


class TestKill:
    def test_two_hundred_requests_while_a_replica_is_killed_every_second(self, stack: LocalStack):
        victims = itertools.islice(itertools.cycle(["server-0", "server-1"]), 12)
        with Load(stack, concurrency=8) as load:
            for kills, victim in enumerate(victims, start=1):
                wait_for(lambda victim=victim: stack.pid_of(victim))
                server = psutil.Process(stack.pid_of(victim))
                for process in [*server.children(recursive=True), server]:
                    process.kill()
                # The schedule is the test's load; nothing is expected to have happened by then.
                threading.Event().wait(1)
                # On a machine that takes longer to start a replica, or none would ever answer.
                wait_for(lambda kills=kills: load.answered >= 200 * kills / 12)
        assert load.answered >= 200
        assert load.failures == []

    def test_an_engine_that_dies_is_started_again_by_its_server(self, stack: LocalStack):
        server = stack.program("server-0")
        (engine,) = server.children()
        engine.kill()
        wait_for(lambda: [one for one in server.children() if one.pid != engine.pid])
        assert stack.program("server-0").pid == server.pid

    @pytest.mark.parametrize("victim", ["caddy", "supervisord"])
    def test_what_keeps_the_rest_alive_comes_back_too(self, stack: LocalStack, victim):
        if victim == "supervisord":
            process = psutil.Process(int((stack.data / "run" / "supervisord.pid").read_text()))
        else:
            process = stack.program(victim)
        process.kill()
        process.wait(60)

        def speaks() -> bool:
            try:
                with stack.client() as client:
                    return client.post("/generate", json={"text": f"after {victim}"}).status_code == 200
            except httpx.HTTPError:
                return False

        wait_for(speaks)
        assert "unchanged" in stack.up("--refresh")


class TestDrift:
    def test_a_refresh_notices_a_stopped_replica_and_an_update_mends_it(self, stack: LocalStack):
        stack.supervisorctl("stop", "server-1")
        assert "updated" in stack.pulumi("refresh", "--yes", "--skip-preview", "--stack", stack.name).stdout
        assert stack.pulumi("preview", "--expect-no-changes", "--stack", stack.name, check=False).returncode
        stack.up()
        assert stack.program("server-1").is_running()
        stack.preview("--expect-no-changes")

    def test_everything_edited_or_removed_by_hand_is_put_right(self, stack: LocalStack):
        key = stack.outputs()["apiKey"]
        (stack.data / "keys.json").write_text('{"intruder": "' + "x" * 40 + '"}')
        (stack.data / "queue.sqlite").unlink()
        shutil.rmtree(stack.data / "objects")
        caddyfile = stack.data / "run" / "Caddyfile"
        caddyfile.write_text(caddyfile.read_text().replace("bind 127.0.0.1", "bind 0.0.0.0"))
        conf = stack.data / "run" / "conf.d" / "server-0.conf"
        conf.write_text(conf.read_text().replace("serve", "sing"))
        text = stack.up("--refresh")
        assert text.count("updated") >= 5
        assert "bind 127.0.0.1" in caddyfile.read_text()
        assert "sing" not in conf.read_text()
        assert stack.outputs()["apiKey"] == key
        assert "intruder" not in (stack.data / "keys.json").read_text()
        with stack.client() as client:
            assert client.post("/generate", json={"text": "all is well"}).status_code == 200
        assert "unchanged" in stack.up("--refresh", "--expect-no-changes")

    def test_a_machine_that_was_restarted_is_brought_back(self, stack: LocalStack):
        def nothing_runs():
            # Again and again: what keeps the others alive may have started one while it was killed itself.
            for process in stack.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            return not stack.processes()

        wait_for(nothing_runs)
        stack.up("--refresh")
        with stack.client() as client:
            assert client.post("/generate", json={"text": "good morning"}).status_code == 200


class TestMove:
    def test_another_data_directory_is_another_service_and_the_objects_stay(self, stack: LocalStack):
        (stack.data / "objects" / "voice.wav").write_bytes(b"somebody's voice")
        before, stack.data = stack.data, stack.directory / "other"
        stack.configure(dataDir=str(stack.data))
        stack.up()
        with stack.client() as client:
            assert client.post("/generate", json={"text": "a new place"}).status_code == 200
        assert [path.name for path in before.iterdir()] == ["objects"]
        assert (before / "objects" / "voice.wav").exists()


class TestDestroy:
    def test_a_shell_in_the_directory_is_left_alone(self, stack: LocalStack):
        with subprocess.Popen(["sleep", "600"], cwd=stack.data / "run") as shell:
            stack.destroy()
            assert shell.poll() is None
            shell.kill()
        stack.up()

    def test_no_process_is_left_the_port_is_free_and_the_objects_are_kept(self, stack: LocalStack):
        (stack.data / "objects" / "voice.wav").write_bytes(b"somebody's voice")
        with sqlite3.connect(stack.data / "queue.sqlite") as queue:
            # A job that is not due before long.
            queue.execute("INSERT INTO messages (body, sent_at, visible_at) VALUES ('{}', 0, 9e9)")
        queue.close()
        text = stack.destroy()
        assert not stack.processes()
        assert is_free(stack.port)
        assert re.search(rf"{re.escape(str(stack.data))}/objects is kept: it holds \d+ objects", text)
        assert (stack.data / "objects" / "voice.wav").read_bytes() == b"somebody's voice"
        assert f"{stack.data}/queue.sqlite is kept" in text
        assert sorted(path.name for path in stack.data.iterdir()) == ["objects", "queue.sqlite"]

    def test_it_comes_back_with_its_objects_and_goes_for_good_when_told_so(self, stack: LocalStack):
        stack.configure_path("storage.forceDestroy", "true")
        stack.up()
        assert (stack.data / "objects" / "voice.wav").exists()
        stack.destroy()
        assert not stack.data.exists()
        assert not stack.processes()

    def test_twice_is_harmless(self, stack: LocalStack):
        stack.destroy()
