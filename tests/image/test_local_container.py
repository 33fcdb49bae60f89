"""The local stack with `runtime: container`: real Pulumi, a real Docker daemon, the `cpu` image built for it.

The daemon has no network of its own here, so the containers use the machine's; they listen on a Unix socket all the
same. The base image is a stand-in.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from components.local.machine import containers
from components.local.machine.layout import Layout
from components.local.resources.replicas import is_ready
from tests.engine.load import Load
from tests.engine.stack import LocalStack
from tests.image.container_engine import DOCKER, STAND_IN, ContainerEngine, until

# The image is built in the first one's time.
pytestmark = pytest.mark.timeout(1800)


class ContainedStack(LocalStack):
    """Its containers run in the test's own daemon."""

    def __init__(self, directory: Path, engine: ContainerEngine) -> None:
        super().__init__(directory)
        self.engine = engine
        programs = directory / "bin"
        programs.mkdir()
        (programs / "docker").symlink_to(DOCKER)
        self.environment["PATH"] = f"{programs}:{self.environment['PATH']}"
        self.environment["DOCKER_HOST"] = f"unix://{engine.folder}/docker.sock"
        self.environment["DOCKER_CONFIG"] = str(engine.folder / "client")

    def container(self, replica: str) -> str:
        return containers.name_of(Layout(self.data, contained=True), replica)

    def running(self) -> list[str]:
        return self.engine.docker("ps", "--all", "--format={{.Names}}").split()


@pytest.fixture(scope="module")
def stack(container_engine: ContainerEngine) -> Iterator[ContainedStack]:
    """A stack that is up."""
    assert shutil.which("pulumi"), "the Pulumi CLI is not on PATH; run `make test-image`"
    made = ContainedStack(Path(tempfile.mkdtemp(prefix="indextts2-test-")), container_engine)
    try:
        made.configure(runtime="container", build__baseImage=STAND_IN, container__network="host")
        made.up()
        yield made
    finally:
        made.remove()


def in_flight(client: httpx.Client) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("speech_http_requests_in_flight "))


def started(stack: ContainedStack, replica: str) -> str:
    """When its container was; not the time while there is none."""
    command = ("inspect", "--format={{.State.StartedAt}}", stack.container(replica))
    return stack.engine.docker(*command, check=False).strip()


class TestUp:
    def test_it_speaks(self, stack: ContainedStack) -> None:
        with stack.client() as client:
            answer = client.post("/generate", json={"text": "Good morning."})
        assert answer.status_code == 200, answer.text
        assert answer.content[:4] == b"RIFF"

    def test_nothing_is_left_to_do(self, stack: ContainedStack) -> None:
        stack.preview("--expect-no-changes")

    def test_each_server_is_confined(self, stack: ContainedStack) -> None:
        assert sorted(stack.running()) == sorted(stack.container(name) for name in ("server-0", "server-1"))
        (found,) = json.loads(stack.engine.docker("inspect", stack.container("server-0")))
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert not host["Privileged"]
        assert (host["Memory"], host["PidsLimit"]) == (2 << 30, 128)
        assert not host["PortBindings"]
        key = stack.outputs()["apiKey"]
        assert key not in json.dumps(found)

    def test_it_can_change_neither_its_keys_nor_its_image_and_sees_no_other_socket(self, stack: ContainedStack) -> None:
        def refused(script: str) -> bool:
            told = stack.engine.docker("exec", stack.container("server-0"), "sh", "-c", script, check=False)
            return "Read-only file system" in told or "No such file" in told

        assert refused(f"echo x > {stack.data}/keys/keys.json")
        assert refused("echo x > /opt/speech-server/x")
        assert refused(f"ls {stack.data}/run/supervisor.sock")
        assert refused(f"ls {stack.data}/stack.json")


class TestChange:
    def test_a_roll_drops_no_request(self, stack: ContainedStack) -> None:
        before = {name: started(stack, name) for name in ("server-0", "server-1")}
        stack.configure_path("storage.resultDays", "7")
        with Load(stack, concurrency=4) as load:
            stack.up()
            until(lambda: load.answered > 4)
        assert load.failures == []
        assert all(started(stack, name) != at for name, at in before.items())

    def test_a_new_key_is_read_without_a_restart(self, stack: ContainedStack) -> None:
        before = started(stack, "server-0"), started(stack, "server-1")
        key = "the-key-of-a-studio-0123456789-0123456789"
        stack.configure_path("apiKeys.studio", key, secret=True)
        stack.up()
        url = stack.outputs()["url"]

        def accepted() -> bool:
            headers = {"Authorization": f"Bearer {key}"}
            return httpx.get(f"{url}/v1/models", headers=headers, trust_env=False).status_code == 200

        until(accepted)
        assert (started(stack, "server-0"), started(stack, "server-1")) == before


class TestKill:
    @pytest.mark.parametrize("victim", ["client", "server"])
    def test_one_that_is_killed_comes_back_and_the_other_answers_meanwhile(
        self, stack: ContainedStack, victim: str
    ) -> None:
        """A killed client leaves its container behind, which would keep the name from the next one."""
        before = started(stack, "server-0")
        with Load(stack, concurrency=2) as load:
            if victim == "client":
                psutil.Process(stack.pid_of("server-0")).kill()
            else:
                stack.engine.docker("kill", stack.container("server-0"))
            until(lambda: started(stack, "server-0").startswith("20") and started(stack, "server-0") != before, 120)
            until(lambda: is_ready(stack.data / "run" / "server-0.sock"), 120)
        assert load.failures == []


class TestEnd:
    def test_what_is_being_spoken_is_finished(self, stack: ContainedStack) -> None:
        """Six long texts at once, so that some are in flight when the container is told to end."""
        transport = httpx.HTTPTransport(uds=str(stack.data / "run" / "server-0.sock"))
        headers = {"Authorization": f"Bearer {stack.outputs()['apiKey']}"}
        with (
            httpx.Client(base_url="http://server", transport=transport, headers=headers, timeout=120) as client,
            ThreadPoolExecutor(6) as threads,
        ):
            texts = [f"Farewell number {number}. " * 20 for number in range(6)]
            answers = [threads.submit(client.post, "/generate", json={"text": text}) for text in texts]
            until(lambda: in_flight(client) >= 3)
            stack.supervisorctl("stop", "server-0")
            assert [answer.result().status_code for answer in answers] == [200] * 6
        assert stack.container("server-0") not in stack.running()

    def test_nothing_is_left(self, stack: ContainedStack) -> None:
        image = stack.outputs()["image"]
        stack.destroy()
        assert stack.running() == []
        assert image not in stack.engine.docker("images", "--no-trunc", "--quiet")
        assert not stack.processes()
        assert not (stack.data / "keys").exists()
