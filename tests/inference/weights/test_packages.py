"""What brings the weights needs the packages of requirements-weights.txt and no other: the small image has no more.

Processes, because it counts what a fresh interpreter imports.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inference.weights.material import contents

INFERENCE = Path(__file__).parents[3] / "inference"
LISTED = re.findall(r"^([a-z0-9-]+)==", (INFERENCE / "requirements-weights.txt").read_text(), re.M)
# As if nothing but the packages listed were installed.
PROGRAM = """
import importlib.metadata, re, sys
listed = {*sys.argv[2:], "speech-server"}
others = {
    module
    for module, packages in importlib.metadata.packages_distributions().items()
    if not any(re.sub("[-_.]+", "-", package).lower() in listed for package in packages)
}
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in others:
            raise ModuleNotFoundError(f"{name} is not listed", name=name)
assert {"fastapi", "numpy", "pydantic"} <= others
sys.meta_path.insert(0, NotInstalled())
exec(sys.argv[1])
"""
SYNC = "from speech_server.cli import main; sys.exit(main(['node', 'sync-weights']))"


def run(program: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, program, *LISTED],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(INFERENCE), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestPackages:
    def test_the_program_does_its_work_with_them(self, made, tmp_path):
        done = run(
            SYNC, SPEECH_STORE=made[1].as_uri(), SPEECH_WEIGHTS="set", SPEECH_WEIGHTS_DIR=str(tmp_path / "weights")
        )
        assert done.returncode == 0, done.stderr
        assert contents(tmp_path / "weights") == contents(made[0])

    @pytest.mark.parametrize("cloud", ["s3", "oss"])
    def test_each_clouds_store_can_be_opened(self, cloud):
        done = run(
            f"from speech_server.weights.place import open_place\n"
            f"open_place('{cloud}://speech-objects?region=us-west-2', 'set').close()",
            AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b",
            ALIBABA_CLOUD_ACCESS_KEY_ID="a", ALIBABA_CLOUD_ACCESS_KEY_SECRET="b",
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_hub_can_be_asked(self, hubs, tmp_path):
        hub = hubs()
        done = run(
            SYNC, SPEECH_STORE=(tmp_path / "store").as_uri(), SPEECH_WEIGHTS="set",
            SPEECH_WEIGHTS_DIR=str(tmp_path / "weights"),
            SPEECH_WEIGHTS_SOURCE=f"hf://IndexTeam/IndexTTS-2.5?endpoint={hub.url}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def test_the_versions_are_the_servers(self):
        pinned = re.compile(r"^[a-z0-9-]+==\S+", re.M)
        servers = {
            pin for part in ("", "-aws") for pin in pinned.findall((INFERENCE / f"requirements{part}.txt").read_text())
        }
        assert set(pinned.findall((INFERENCE / "requirements-weights.txt").read_text())) <= servers
