"""The scripts of a node, run: with stand-ins for AWS, docker and systemd that record what they are asked.

Processes, because what counts is what the shell does. The stand-ins are programs of the same names, first on PATH;
what they answer stands in files.
"""

import http.server
import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from components.aws.timing import START_SECONDS
from components.aws.user_data import render
from tests.unit.aws.test_user_data import BOOT, MODEL_BOOT

# Each records its name and arguments, then does what the file of its name in $ANSWERS says.
STAND_IN = """#!/bin/bash
printf '%s\\n' "$(basename "$0") $*" >> "$ANSWERS/calls"
if [[ -f $ANSWERS/$(basename "$0").sh ]]; then . "$ANSWERS/$(basename "$0").sh"; fi
"""
# The metadata service: an answer is a file; a missing one is a 404.
METADATA = """
[[ $* == *X-aws-ec2-metadata-token-ttl* ]] && { echo a-token; exit 0; }
read -r header
[[ $header == "X-aws-ec2-metadata-token: a-token" ]] || exit 22
url=${!#}
file=$ANSWERS/imds-$(basename "$url")
[[ -f $file ]] && cat "$file" || exit 22
"""


class Node:
    """The scripts below `root`, and what was asked of the machine around them."""

    def __init__(self, root, boot=BOOT):
        self.root = root
        self.answers = root / "answers"
        self.run_dir = root / "run/indextts2"
        for folder in ("answers", "bin", "etc/indextts2", "lib", "run/indextts2", "var"):
            (root / folder).mkdir(parents=True)
        for name in ("aws", "docker", "systemctl", "curl", "chown"):
            self.stand_in(name)
        self.answer("curl.sh", METADATA)
        self.answer("imds-instance-id", "i-0123456789abcdef0")
        files = re.finditer(r"cat > (/\S+) <<'END_OF_FILE'\n(.*?)\nEND_OF_FILE\n", render(boot), re.S)
        for match in files:
            text = match[2]
            for place, moved in {
                "/usr/local/lib/indextts2": root / "lib",
                "/etc/indextts2": root / "etc/indextts2",
                "/run/indextts2": self.run_dir,
                "/var/lib": root / "var",
                # Nobody but root gives files away.
                'install -d -m 0500 -o "$SERVER_UID" -g "$SERVER_UID"': "install -d -m 0700",
                "POLL_SECONDS=5": "POLL_SECONDS=0.02",
                "SPOT_GRACE_SECONDS=20": "SPOT_GRACE_SECONDS=0",
            }.items():
                text = text.replace(place, str(moved))
            folder = "etc/indextts2" if match[1].startswith("/etc") else "lib"
            (root / folder / match[1].rpartition("/")[2]).write_text(text + "\n")

    def stand_in(self, name):
        path = self.root / "bin" / name
        path.write_text(STAND_IN)
        path.chmod(0o755)

    def answer(self, name, text):
        (self.answers / name).write_text(text)

    def environment(self):
        return {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "ANSWERS": str(self.answers)}

    def run(self, script, *arguments, check=True):
        command = [sys.executable] if script.endswith(".py") else ["bash"]
        return subprocess.run(
            [*command, str(self.root / "lib" / script), *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )

    def prepare(self, check=True):
        """What the server's unit runs before it."""
        lib, settings = self.root / "lib", self.root / "etc/indextts2/node.env"
        step = f"set -a; . {settings}; exec bash {lib}/prepare.sh bash {lib}/login.sh"
        return subprocess.run(
            ["bash", "-c", step],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )

    def start(self, script):
        return subprocess.Popen(
            ["bash", str(self.root / "lib" / script)], env=self.environment(), stdout=subprocess.DEVNULL
        )

    @property
    def calls(self):
        path = self.answers / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def calls_of(self, name):
        return [call for call in self.calls if call.startswith(f"{name} ")]


def until(condition):
    """Waits for `condition`; the test's own time limit is the only one."""
    while not condition():
        time.sleep(0.01)


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


class TestBoot:
    """The whole script, below a directory of the test's."""

    @pytest.fixture
    def machine(self, tmp_path):
        node = Node(tmp_path)
        for name in ("mountpoint", "lsblk"):
            node.stand_in(name)
        self.write(node, BOOT)
        for folder in ("etc/docker", "etc/systemd/system", "opt/dlami/nvme"):
            (tmp_path / "root" / folder).mkdir(parents=True)
        return node

    def write(self, node, boot):
        script = render(boot)
        for place in ("/etc/", "/usr/local/lib/", "/opt/", "/var/lib/", "/run/"):
            script = re.sub(rf"(?<![\w/.]){place}", f"{node.root}/root{place}", script)
        (node.root / "boot.sh").write_text(script)

    def boot(self, node):
        return subprocess.run(
            ["bash", str(node.root / "boot.sh")],
            env=node.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    def tree(self, node):
        root = node.root / "root"
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def test_docker_keeps_what_the_image_told_it_and_moves_to_the_fast_disk(self, machine):
        settings = machine.root / "root/etc/docker/daemon.json"
        settings.write_text('{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}')
        self.boot(machine)
        found = json.loads(settings.read_text())
        assert found["runtimes"] == {"nvidia": {"path": "nvidia-container-runtime"}}
        assert found["data-root"] == f"{machine.root}/root/opt/dlami/nvme/docker"
        assert "systemctl restart docker" in machine.calls

    def test_an_instance_without_a_local_disk_stays_as_it_is(self, machine):
        machine.answer("mountpoint.sh", "exit 1")
        self.boot(machine)
        assert not (machine.root / "root/etc/docker/daemon.json").exists()
        assert "systemctl restart docker" not in machine.calls

    def test_a_disk_that_is_still_being_mounted_is_waited_for(self, machine):
        machine.answer("mountpoint.sh", "[[ $(grep -c ^mountpoint $ANSWERS/calls) -ge 3 ]]")
        machine.answer("lsblk.sh", "echo 'Amazon EC2 NVMe Instance Storage'")
        machine.stand_in("sleep")
        self.boot(machine)
        assert (machine.root / "root/etc/docker/daemon.json").exists()

    def settings(self, node):
        lines = (node.root / "root/etc/indextts2/node.env").read_text()
        shown = subprocess.run(
            ["bash", "-c", f"{lines}\necho $WEIGHTS_DIR"], capture_output=True, text=True, check=True
        )
        return shown.stdout.strip()

    def test_weights_lie_on_the_fast_disk_and_the_servers_user_writes_them(self, machine):
        self.write(machine, MODEL_BOOT)
        self.boot(machine)
        folder = f"{machine.root}/root/opt/dlami/nvme/weights"
        assert self.settings(machine) == folder
        assert Path(folder).is_dir()
        assert f"chown 10001:10001 {folder}" in machine.calls

    def test_weights_lie_beside_the_system_where_there_is_no_local_disk(self, machine):
        machine.answer("mountpoint.sh", "exit 1")
        self.write(machine, MODEL_BOOT)
        self.boot(machine)
        assert self.settings(machine) == f"{machine.root}/root/var/lib/indextts2/weights"

    def test_an_engine_without_weights_gets_no_folder(self, machine):
        self.boot(machine)
        assert self.settings(machine) == ""
        assert not (machine.root / "root/opt/dlami/nvme/weights").exists()

    def test_the_weights_are_there_before_the_server_starts(self, machine):
        self.boot(machine)
        unit = (machine.root / "root/etc/systemd/system/indextts2-server.service").read_text()
        steps = re.findall(r"^Exec(?:Start|StartPre|StopPost)=.*?(\w+\.sh)", unit, re.M)
        assert steps == ["keys.sh", "prepare.sh", "server.sh", "end_weights.sh"]
        assert f"TimeoutStartSec={START_SECONDS}\n" in unit

    def test_a_second_time_changes_nothing(self, machine):
        self.boot(machine)
        first = self.tree(machine)
        self.boot(machine)
        assert self.tree(machine) == first
        assert machine.calls.count("systemctl restart docker") == 1

    def test_every_unit_runs_a_script_that_is_there(self, machine):
        self.boot(machine)
        units = {path.name: path.read_text() for path in (machine.root / "root/etc/systemd/system").iterdir()}
        assert set(units) == {
            f"indextts2-{name}"
            for name in (
                "keys.service", "keys.timer", "report.service", "report.timer", "server.service", "drain.service",
            )
        }  # fmt: skip
        scripts = re.findall(rf"{machine.root}/root/usr/local/lib/indextts2/\S+\.(?:sh|py)", "\n".join(units.values()))
        assert {Path(script).name for script in scripts} == {
            "drain.sh", "end_weights.sh", "keys.sh", "login.sh", "prepare.sh", "report.py", "server.sh",
        }  # fmt: skip
        assert all(os.access(path, os.X_OK) for path in scripts)
        enabled = [call for call in machine.calls if "enable" in call]
        assert sorted(re.findall(r"indextts2-\S+", " ".join(enabled))) == [
            "indextts2-drain.service",
            "indextts2-keys.timer",
            "indextts2-report.timer",
            "indextts2-server.service",
        ]

    def test_the_server_is_started_again_but_not_for_ever(self, machine):
        self.boot(machine)
        unit = (machine.root / "root/etc/systemd/system/indextts2-server.service").read_text()
        assert "Restart=always" in unit
        limits = dict(re.findall(r"^(StartLimit\w+)=(\d+)$", unit, re.M))
        assert int(limits["StartLimitBurst"]) > 1
        assert int(limits["StartLimitIntervalSec"]) > 0
        stop, limit = re.search(r"docker stop -t (\d+)", unit), re.search(r"TimeoutStopSec=(\d+)", unit)
        assert stop and limit and int(stop[1]) < int(limit[1])

    def test_keys_are_fetched_often_enough_for_a_rotation_within_a_minute(self, machine):
        self.boot(machine)
        unit = (machine.root / "root/etc/systemd/system/indextts2-keys.timer").read_text()
        assert all(int(seconds) <= 30 for seconds in re.findall(r"^On\w+=(\d+)$", unit, re.M))
        assert "AccuracySec=1\n" in unit

    def test_the_agent_reports_where_the_alarms_look(self, machine):
        self.boot(machine)
        agent = json.loads((machine.root / "root/etc/indextts2/agent.json").read_text())
        assert agent["metrics"]["namespace"] == "IndexTTS2"
        assert agent["metrics"]["metrics_collected"]["nvidia_gpu"]["append_dimensions"] == {"Fleet": BOOT.fleet}
        assert {one["log_group_name"] for one in agent["logs"]["logs_collected"]["files"]["collect_list"]} == {
            BOOT.log_group
        }


class TestKeys:
    KEYS = json.dumps({"studio": "a-key-of-a-studio-that-is-long-enough-01"})

    def test_they_lie_where_the_server_reads_and_only_it_may(self, node):
        node.answer("aws.sh", f"printf '%s' '{self.KEYS}'")
        node.run("keys.sh")
        path = node.run_dir / "keys/keys.json"
        assert path.read_text() == self.KEYS
        assert stat.S_IMODE(path.stat().st_mode) == 0o400
        assert node.calls_of("aws") == [
            f"aws secretsmanager get-secret-value --region us-west-2 --secret-id {BOOT.keys_secret} "
            "--query SecretString --output text"
        ]
        assert [call.split()[1] for call in node.calls_of("chown")] == ["10001:10001"]

    def test_new_keys_take_the_place_of_the_old_at_once(self, node):
        node.answer("aws.sh", f"printf '%s' '{self.KEYS}'")
        node.run("keys.sh")
        path = node.run_dir / "keys/keys.json"
        before = path.stat().st_ino
        node.run("keys.sh")
        assert path.stat().st_ino == before, "the same keys are not written again"
        node.answer("aws.sh", """printf '%s' '{"other": "another-key"}'""")
        node.run("keys.sh")
        assert json.loads(path.read_text()) == {"other": "another-key"}

    @pytest.mark.parametrize("answer", ["printf ''", "printf '{}'", "printf None", "printf '[1]'", "exit 255"])
    def test_what_is_no_list_of_keys_leaves_the_former_ones(self, node, answer):
        node.answer("aws.sh", f"printf '%s' '{self.KEYS}'")
        node.run("keys.sh")
        node.answer("aws.sh", answer)
        assert node.run("keys.sh", check=False).returncode != 0
        assert (node.run_dir / "keys/keys.json").read_text() == self.KEYS
        assert [path.name for path in node.run_dir.iterdir()] == ["keys"], "nothing half-written is left"

    def test_no_key_is_printed(self, node):
        node.answer("aws.sh", f"printf '%s' '{self.KEYS}'")
        done = node.run("keys.sh")
        node.answer("aws.sh", "printf '[\"a-key-of-a-studio-that-is-long-enough-01\"]'")
        failed = node.run("keys.sh", check=False)
        assert "a-key-of-a-studio" not in done.stdout + done.stderr + failed.stdout + failed.stderr


class TestLogin:
    def test_it_logs_in_by_the_role_and_pulls_the_digest(self, node):
        node.answer("docker.sh", "case $1 in image) exit 1;; login) cat > $ANSWERS/password;; esac")
        node.answer("aws.sh", "echo a-registry-password")
        node.prepare()
        assert [call for call in node.calls_of("docker")[1:] if "inspect" not in call] == [
            f"docker login --username AWS --password-stdin {BOOT.registry_host}",
            f"docker pull --quiet {BOOT.image}",
        ]
        assert (node.answers / "password").read_text().strip() == "a-registry-password"
        assert not any("a-registry-password" in call for call in node.calls)

    def test_an_image_that_is_here_is_not_asked_for(self, node):
        node.prepare()
        assert not [call for call in node.calls if "pull" in call or "login" in call]

    def test_a_registry_open_to_all_needs_no_login(self, tmp_path):
        node = Node(tmp_path, boot=type(BOOT)(**{**vars(BOOT), "registry_host": ""}))
        node.answer("docker.sh", "[[ $1 != image ]]")
        node.prepare()
        assert not node.calls_of("aws")
        assert node.calls_of("docker")[-1].startswith("docker pull")

    def test_a_failed_login_stops_it(self, node):
        node.answer("docker.sh", "[[ $1 != image ]]")
        node.answer("aws.sh", "exit 255")
        assert node.prepare(check=False).stderr == f"login: no login to {BOOT.registry_host}: \n"
        assert not [call for call in node.calls if call.startswith("docker pull")]


class TestServer:
    def test_it_ends_as_its_container_ended(self, node):
        node.answer("docker.sh", "if [[ $1 == wait ]]; then echo 3; else echo a-container; fi")
        assert node.run("server.sh", check=False).returncode == 3
        run = node.calls_of("docker")[0]
        assert "--env SPEECH_REPLICA=i-0123456789abcdef0" in run
        assert "awslogs-stream=server/i-0123456789abcdef0" in run
        assert run.endswith(BOOT.image)

    def test_it_reads_the_weights_and_cannot_write_them(self, tmp_path):
        node = Node(tmp_path, boot=MODEL_BOOT)
        node.answer("docker.sh", "if [[ $1 == wait ]]; then echo 0; fi")
        settings = tmp_path / "etc/indextts2/node.env"
        settings.write_text(settings.read_text() + "WEIGHTS_DIR=/fast/weights\n")
        node.run("server.sh")
        assert "--volume /fast/weights:/weights:ro" in node.calls_of("docker")[0]

    def test_an_engine_without_weights_has_none(self, node):
        node.answer("docker.sh", "if [[ $1 == wait ]]; then echo 0; fi")
        node.run("server.sh")
        assert ":/weights" not in node.calls_of("docker")[0]


class TestDrain:
    COMPLETE = (
        "aws autoscaling complete-lifecycle-action --region us-west-2 --auto-scaling-group-name "
        f"{BOOT.fleet} --lifecycle-hook-name drain --instance-id i-0123456789abcdef0 --lifecycle-action-result CONTINUE"
    )
    STOP = "systemctl stop indextts2-server.service"

    def test_nothing_happens_while_the_node_is_wanted(self, node):
        node.answer("imds-target-lifecycle-state", "InService")
        drainer = node.start("drain.sh")
        until(lambda: len(node.calls_of("curl")) > 12)
        drainer.kill()
        drainer.wait()
        assert not node.calls_of("systemctl")
        assert not node.calls_of("aws")

    def test_a_node_that_is_let_go_finishes_and_then_says_so(self, node):
        node.answer("imds-target-lifecycle-state", "Terminated")
        assert node.run("drain.sh").returncode == 0
        assert [call for call in node.calls if not call.startswith("curl")] == [self.STOP, self.COMPLETE]

    def test_it_says_so_until_the_group_hears_and_stops_the_server_once(self, node):
        node.answer("imds-target-lifecycle-state", "Terminated")
        node.answer("aws.sh", "[[ $(grep -c complete-lifecycle $ANSWERS/calls) -ge 3 ]]")
        node.run("drain.sh")
        assert node.calls_of("systemctl") == [self.STOP]
        assert node.calls_of("aws") == [self.COMPLETE] * 3

    def test_a_spot_notice_drains_and_the_group_is_told_when_it_waits(self, node):
        node.answer("imds-target-lifecycle-state", "InService")
        node.answer("imds-instance-action", '{"action": "terminate"}')
        drainer = node.start("drain.sh")
        until(lambda: node.calls_of("systemctl"))
        assert not node.calls_of("aws")
        assert node.calls_of("docker") == [
            "docker exec speech indextts2 node drain --stay --within 85 --reason a spot notice"
        ], "the server knows how long it has, and gives back what it will not finish"
        node.answer("imds-target-lifecycle-state", "Terminated")
        assert drainer.wait(timeout=60) == 0
        assert node.calls_of("systemctl") == [self.STOP]
        assert node.calls_of("aws") == [self.COMPLETE]

    def test_a_server_that_takes_no_orders_is_stopped_all_the_same(self, node):
        node.answer("imds-target-lifecycle-state", "InService")
        node.answer("imds-instance-action", '{"action": "terminate"}')
        node.answer("docker.sh", "exit 1")
        drainer = node.start("drain.sh")
        until(lambda: node.calls_of("systemctl"))
        node.answer("imds-target-lifecycle-state", "Terminated")
        assert drainer.wait(timeout=60) == 0

    def test_a_metadata_service_that_is_silent_stops_nothing(self, node):
        node.answer("curl.sh", "[[ $(grep -c ^curl $ANSWERS/calls) -gt 9 ]] || exit 28\n" + METADATA)
        node.answer("imds-target-lifecycle-state", "Terminated")
        node.run("drain.sh")
        assert node.calls_of("aws") == [self.COMPLETE]


class TestReport:
    @pytest.fixture
    def server(self):
        """A server's pages; `pages` may be changed. It insists on the key."""

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, text = pages.get(self.path, (404, ""))
                if self.path == "/metrics" and self.headers.get("Authorization") != "Bearer the-key":
                    status = 401
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        pages = {"/readyz": (200, "{}")}
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield server.server_port, pages
            server.shutdown()
            thread.join()

    def report(self, node, port):
        """What one run puts into CloudWatch; None if it puts nothing."""
        before = len(node.calls_of("aws"))
        node.run("report.py", "us-west-2", "IndexTTS2", BOOT.fleet, str(port))
        put = node.calls_of("aws")[before:]
        if not put:
            return None
        head, _, data = put[0].partition(" --metric-data ")
        assert head == "aws cloudwatch put-metric-data --region us-west-2 --namespace IndexTTS2"
        rows = json.loads(data)
        assert all(row["Dimensions"] == [{"Name": "Fleet", "Value": BOOT.fleet}] for row in rows)
        return {row["MetricName"]: row["Value"] for row in rows}

    @pytest.fixture(autouse=True)
    def keys(self, node):
        (node.run_dir / "keys").mkdir()
        (node.run_dir / "keys/keys.json").write_text('{"studio": "the-key"}')
        node.answer("imds-document", '{"pendingTime": "2026-01-01T00:00:00Z"}')

    @staticmethod
    def page(spoken, calls, waits, in_flight):
        return 200, (
            "# HELP speech_synthesis_seconds_total Seconds\n"
            f"speech_synthesis_seconds_total {spoken}\nspeech_real_time_factor_count {calls}\n"
            f"speech_lane_expected_wait_seconds {waits}\nspeech_http_requests_in_flight {in_flight}\n"
            'speech_http_requests_total{method="GET",route="/a b",status="200"} 7.0\n'
        )

    def was(self, node, seconds_ago, spoken, calls):
        state = {"at": time.monotonic() - seconds_ago, "spoken": spoken, "calls": calls}
        (node.run_dir / "report.json").write_text(json.dumps(state))

    def test_it_tells_how_busy_the_node_was_and_what_waits(self, node, server):
        port, pages = server
        (node.root / "var/indextts2-was-ready").touch()
        pages["/metrics"] = self.page(spoken=130, calls=14, waits=42.5, in_flight=1)
        self.was(node, 60, spoken=100, calls=12)
        told = self.report(node, port)
        assert set(told) == {"BusyFraction", "WorkSeconds", "ClipWorkSeconds"}
        assert told["BusyFraction"] == pytest.approx(0.5, abs=0.02)
        assert told["WorkSeconds"] == 42.5
        assert told["ClipWorkSeconds"] == 15

    def test_a_call_longer_than_a_minute_is_no_idleness(self, node, server):
        port, pages = server
        pages["/metrics"] = self.page(spoken=100, calls=12, waits=0, in_flight=1)
        self.was(node, 60, spoken=100, calls=12)
        assert self.report(node, port)["BusyFraction"] == 1
        pages["/metrics"] = self.page(spoken=100, calls=12, waits=0, in_flight=0)
        assert self.report(node, port)["BusyFraction"] == 0

    def test_a_call_that_ended_is_never_more_than_all_of_a_minute(self, node, server):
        port, pages = server
        pages["/metrics"] = self.page(spoken=300, calls=13, waits=0, in_flight=0)
        self.was(node, 60, spoken=100, calls=12)
        assert self.report(node, port)["BusyFraction"] == 1

    def test_a_server_that_was_restarted_counts_from_nothing(self, node, server):
        port, pages = server
        pages["/metrics"] = self.page(spoken=3, calls=1, waits=0, in_flight=0)
        self.was(node, 60, spoken=100, calls=12)
        told = self.report(node, port)
        assert told["BusyFraction"] == 0
        assert "ClipWorkSeconds" not in told

    def test_the_cold_start_is_told_once_and_only_when_the_engine_is_warm(self, node, server):
        port, pages = server
        pages["/metrics"] = self.page(spoken=0, calls=0, waits=0, in_flight=0)
        pages["/readyz"] = (503, "{}")
        assert "ColdStartSeconds" not in self.report(node, port)
        pages["/readyz"] = (200, "{}")
        assert self.report(node, port)["ColdStartSeconds"] > 0
        assert "ColdStartSeconds" not in self.report(node, port)

    def test_a_server_that_is_not_up_is_told_by_silence(self, node, server):
        port, _ = server
        assert self.report(node, port) is None

    def test_the_key_is_on_no_command_line(self, node, server):
        port, pages = server
        pages["/metrics"] = self.page(spoken=0, calls=0, waits=0, in_flight=0)
        self.report(node, port)
        assert not any("the-key" in call for call in node.calls)
