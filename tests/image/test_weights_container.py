"""The `weights` image, built and run by a real Docker daemon on a stand-in base, as a node runs it.

`make test-image` runs it; plain `pytest` leaves it out. The bucket is a folder.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from speech_server.engines.indextts2.weights import check_weights
from tests.image.container_engine import ContainerEngine
from tests.image.sbom_schema import errors_of
from tests.image.speech_container import INSTALLED, UID
from tests.inference.weights.material import contents, place_at, push_set, write_set
from tools.bench.image_layers import CODE_LIMIT, MIB, SIZES, sizes

ROOT = Path(__file__).parents[2]
IMAGE = "indextts2-speech:weights-test"
REVISION = "0123456789abcdef0123456789abcdef01234567"
# As components/node_scripts/weights.sh has it, without a network.
CONFINEMENT = (
    "--init", "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
    "--pids-limit=512", f"--user={UID}:{UID}", "--tmpfs=/tmp:rw,nosuid,nodev,noexec,size=256m,mode=1777",
)  # fmt: skip

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def image(container_engine: ContainerEngine, figures: list[str]) -> str:
    started = time.monotonic()
    container_engine.build(ROOT / "inference", IMAGE, target="weights", arguments={"REVISION": REVISION})
    figures.append(f"weights, build from nothing: {time.monotonic() - started:.0f} s (on the stand-in base)")
    return IMAGE


@pytest.fixture(scope="module")
def made(container_engine: ContainerEngine) -> tuple[Path, Path]:
    """(a folder of weights, a store's folder that holds them as `set`, of the container's user)."""
    folder, store = (container_engine.folder / name for name in ("made", "store"))
    write_set(folder)
    place = place_at(store)
    push_set(place, folder)
    place.close()
    for path in (store, *store.rglob("*")):
        os.chown(path, UID, UID)
    return folder, store


class TestSync:
    def test_it_brings_the_weights_with_no_right_but_to_one_folder(
        self, container_engine: ContainerEngine, image: str, made: tuple[Path, Path]
    ) -> None:
        folder = container_engine.folder / "weights"
        folder.mkdir()
        os.chown(folder, UID, UID)
        mounts = (f"--volume={made[1]}:/store", f"--volume={folder}:/weights")
        settings = {"SPEECH_STORE": "file:///store", "SPEECH_WEIGHTS": "set", "SPEECH_WEIGHTS_DIR": "/weights"}
        variables = [f"--env={name}={value}" for name, value in settings.items()]
        run = ("run", "--rm", *CONFINEMENT, *mounts, *variables)
        as_a_node = ("--entrypoint=python", image, "-m", "speech_server.node", "sync-weights")
        for command in (as_a_node, (image,)):
            said = container_engine.docker(*run, *command)  # of both its outputs, in the order in which docker has them
            assert "sync-weights: /weights holds weights/set/, version 2.5, verified: 18 files" in said
        assert contents(folder) == contents(made[0])
        check_weights(folder, "2.5")


class TestContents:
    def test_its_layers(self, container_engine: ContainerEngine, image: str, figures: list[str]) -> None:
        code, packages, base = sizes(container_engine.docker(*SIZES, image))
        assert code < CODE_LIMIT
        assert packages < 60 * MIB
        named = {"code": code, "packages": packages, "base": base}
        figures.append("weights, layers: " + ", ".join(f"{name} {size / MIB:.1f} MiB" for name, size in named.items()))

    def test_the_bill_of_materials_is_valid_and_whole(self, container_engine: ContainerEngine, image: str) -> None:
        inside = ("run", "--rm", "--network=none", "--entrypoint")
        sbom = container_engine.docker(*inside, "cat", image, "/usr/share/sbom/speech-server.cdx.json")
        assert errors_of(sbom) == ""
        told = {part["name"] for part in json.loads(sbom)["components"] if part.get("purl", "").startswith("pkg:pypi/")}
        assert told == set(container_engine.docker(*inside, "python", image, "-c", INSTALLED).split())
        assert "av" not in told

    def test_no_gpu_is_asked_for(self, container_engine: ContainerEngine, image: str) -> None:
        config = json.loads(container_engine.docker("inspect", "--format={{json .Config}}", image))
        assert not any(variable.startswith("NVIDIA_") for variable in config["Env"])
        assert config["User"] == f"{UID}:{UID}"
        assert config["Entrypoint"] == ["python", "-m", "speech_server"]
        assert config["Labels"]["org.opencontainers.image.revision"] == REVISION
