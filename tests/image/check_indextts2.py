"""The `indextts2` image, built and run by a real Docker daemon: `make test-image-indextts2`. Not collected otherwise.

It takes about 30 GB of disk, 10 GB of memory and half an hour. The engine is real and runs on the CPU; its weights are
small and random (tools/bench_gpu/random_weights.py), so nothing is asked of the sound but its form. What only a GPU
shows is not shown: the NVIDIA runtime, the driver, speed.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.image.container_engine import ContainerEngine
from tests.image.sbom_schema import errors_of
from tests.image.speech_container import INSTALLED, SpeechContainer
from tools.bench.image_layers import CODE_LIMIT, MIB, SIZES, sizes

ROOT = Path(__file__).parents[2]
IMAGE = "indextts2-speech:indextts2-test"
# Made by the packages in the image itself: no other environment here has them.
_MAKE_WEIGHTS = (
    "import sys; sys.path.insert(0, '/made-by'); from pathlib import Path; import random_weights; "
    "random_weights.write_v25(Path('/weights'), 'indextts25')"
)

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def image(container_engine: ContainerEngine, figures: list[str]) -> str:
    started = time.monotonic()
    container_engine.build(ROOT / "inference", IMAGE, target="indextts2")
    figures.append(f"indextts2, build from nothing: {time.monotonic() - started:.0f} s (on the stand-in base)")
    return IMAGE


@pytest.fixture(scope="module")
def weights(container_engine: ContainerEngine, image: str) -> Path:
    folder = container_engine.folder / "weights"
    folder.mkdir()
    folder.chmod(0o777)  # the container's user writes it
    program = ROOT / "tools/bench_gpu"
    mounts = [f"--volume={program}:/made-by:ro", f"--volume={folder}:/weights"]
    container_engine.docker("run", "--rm", "--network=none", *mounts, "--entrypoint=python", image, "-c", _MAKE_WEIGHTS)
    return folder


@pytest.fixture(scope="module")
def server(
    container_engine: ContainerEngine, image: str, weights: Path, figures: list[str]
) -> Iterator[SpeechContainer]:
    started = time.monotonic()
    container = SpeechContainer(
        container_engine,
        image,
        f"{weights}:/weights:ro",
        memory=8 << 30,
        pids=1024,
        ready_within=900,
        SPEECH_ENGINE_DEVICE="cpu",
    )
    figures.append(f"indextts2, docker run to ready, small weights: {time.monotonic() - started:.0f} s")
    yield container
    container.remove()


def a_voice() -> str:
    seconds = np.arange(44_100) / 22_050
    wav = io.BytesIO()
    soundfile.write(wav, 0.3 * np.sin(2 * np.pi * 220 * seconds), 22_050, format="WAV")
    return base64.b64encode(wav.getvalue()).decode()


class TestSpeaking:
    @pytest.mark.parametrize(
        ("text", "language"),
        [("今天有12个苹果。", "zh"), ("There are 12 apples.", "en"), ("おはよう。", "ja"), ("Hay 12 manzanas.", "es")],
    )
    def test_every_language_that_has_a_grammar(self, server: SpeechContainer, text: str, language: str) -> None:
        answer = server.generate(text, reference_audio=a_voice(), language=language)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-engine"] == "indextts2/2.5"
        samples, rate = soundfile.read(io.BytesIO(answer.content))
        assert rate == 22_050
        assert len(samples) > rate // 10

    def test_nothing_that_it_needs_was_looked_for_in_the_network(self, server: SpeechContainer) -> None:
        lines = server.engine.docker("logs", server.name)
        assert "huggingface.co" not in lines


class TestConfinement:
    def test_the_root_is_read_only_and_nothing_was_compiled_anew(self, server: SpeechContainer) -> None:
        tried = server.inside("sh", "-c", "touch /opt/grammars/x && echo written || true")
        assert "Read-only file system" in tried
        assert server.inside("sh", "-c", "find /tmp /work -name '*.fst' -o -name '*.pkl'") == ""

    def test_no_compiler_and_no_package_manager_of_python(self, server: SpeechContainer) -> None:
        look = "command -v cc gcc g++ ld as strip make; ls -d /build /layers /opt/venv/bin/pip* 2> /dev/null; true"
        found = server.engine.docker(
            "run", "--rm", "--user=0", "--network=none", "--entrypoint=sh", server.image, "-c", look
        )
        assert found == ""


class TestContents:
    def test_the_models_terms_are_inside(self, server: SpeechContainer) -> None:
        terms = server.inside("cat", "/usr/share/licenses/IndexTTS2/LICENSE")
        assert terms.startswith("bilibili Model Use License Agreement")
        assert "indextts25-inference 0.2.0" in server.inside("cat", "/usr/share/licenses/THIRD-PARTY")

    def test_the_bill_of_materials_is_valid_and_whole(self, server: SpeechContainer) -> None:
        sbom = server.inside("cat", "/usr/share/sbom/speech-server.cdx.json")
        assert errors_of(sbom) == ""
        components = json.loads(sbom)["components"]
        told = {part["name"] for part in components if part.get("purl", "").startswith("pkg:pypi/")}
        assert told == set(server.inside("python", "-c", INSTALLED).split())

    def test_its_layers(self, container_engine: ContainerEngine, image: str, figures: list[str]) -> None:
        code, server, engine, torch, base = sizes(container_engine.docker(*SIZES, image))
        assert code < CODE_LIMIT
        assert server < 300 * MIB
        named = {"code": code, "server": server, "engine": engine, "torch": torch, "base": base}
        figures.append(
            "indextts2, layers: " + ", ".join(f"{name} {size / MIB:.1f} MiB" for name, size in named.items())
        )

    def test_a_gpu_is_asked_of_the_runtime(self, container_engine: ContainerEngine, image: str) -> None:
        config = json.loads(container_engine.docker("inspect", "--format={{json .Config}}", image))
        assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"} < set(config["Env"])
        assert "LicenseRef-Bilibili-IndexTTS" in config["Labels"]["org.opencontainers.image.licenses"]
