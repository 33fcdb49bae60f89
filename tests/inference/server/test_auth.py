"""API keys: the file, its changes, and what is refused."""

from __future__ import annotations

import itertools
import json
import logging
import os
from pathlib import Path

import pytest

from speech_server.auth import KeyRing
from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import KEY, KEY_HINT, RunningServer, until

NEW_KEY = "a-new-key-for-the-client"


def write(path: Path, content: object) -> Path:
    replacement = path.with_suffix(".new")
    replacement.write_text(content if isinstance(content, str) else json.dumps(content))
    replacement.chmod(0o600)
    replacement.replace(path)
    return path


def ring(path: Path) -> KeyRing:
    """One that looks at its file whenever it is asked: a second passes between two questions."""
    return KeyRing(path, itertools.count().__next__)


class TestKeyRing:
    def test_a_key_names_its_client(self, tmp_path: Path) -> None:
        keys = KeyRing(write(tmp_path / "keys.json", {"a": "a" * 16, "b": "b" * 16}))
        assert [keys.client_of(key) for key in ("a" * 16, "b" * 16, "c" * 16, "", "\udcff")] == [
            "a",
            "b",
            None,
            None,
            None,
        ]

    def test_a_changed_file_is_in_force(self, tmp_path: Path) -> None:
        path = write(tmp_path / "keys.json", {"a": "a" * 16})
        keys = ring(path)
        write(path, {"a": "z" * 16})
        assert keys.client_of("a" * 16) is None
        assert keys.client_of("z" * 16) == "a"

    def test_a_file_that_others_can_read_is_warned_of(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = write(tmp_path / "keys.json", {"a": "a" * 16})
        for mode, warnings in [(0o600, 0), (0o644, 1)]:
            path.chmod(mode)
            KeyRing(path)
            assert len(caplog.records) == warnings

    def test_a_file_written_in_place_counts_too(self, tmp_path: Path) -> None:
        path = write(tmp_path / "keys.json", {"a": "a" * 16})
        keys = ring(path)
        path.write_text(json.dumps({"a": "z" * 16}))
        os.utime(path, ns=(1, 1))
        assert keys.client_of("z" * 16) == "a"

    @pytest.mark.parametrize("broken", ["", "{", "[]", "{}", '{"a": 1}', '{"a": "short"}', "[" * 100_000])
    def test_a_broken_new_file_keeps_the_old_keys_and_says_so(
        self, tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = write(tmp_path / "keys.json", {"a": "a" * 16})
        keys = ring(path)
        write(path, broken)
        with caplog.at_level(logging.ERROR):
            assert keys.client_of("a" * 16) == "a"
            assert keys.client_of("a" * 16) == "a"
        assert [record.message for record in caplog.records] == ["api_keys_kept"]

    def test_a_removed_file_keeps_the_old_keys(self, tmp_path: Path) -> None:
        path = write(tmp_path / "keys.json", {"a": "a" * 16})
        keys = ring(path)
        path.unlink()
        assert keys.client_of("a" * 16) == "a"

    def test_the_file_is_not_looked_at_for_every_request(self, tmp_path: Path) -> None:
        now = [0.0]
        path = write(tmp_path / "keys.json", {"a": "a" * 16})
        keys = KeyRing(path, lambda: now[0])
        write(path, {"a": "z" * 16})
        now[0] = 0.09
        assert keys.client_of("a" * 16) == "a"
        now[0] = 0.11
        assert keys.client_of("a" * 16) is None

    def test_policies_are_those_of_the_file_now(self, tmp_path: Path) -> None:
        path = write(tmp_path / "keys.json", {"a": {"key": "a" * 16, "concurrency": 3}, "b": "b" * 16})
        keys = ring(path)
        policy = keys.policy("a")
        assert policy is not None
        assert policy.concurrency == 3
        assert keys.clients() == ["a", "b"]
        write(path, {"b": {"key": "b" * 16, "admin": True}})
        assert keys.policy("a") is None
        policy = keys.policy("b")
        assert policy is not None
        assert policy.admin


class TestRequests:
    @pytest.mark.parametrize(
        ("header", "code"),
        [
            (None, "missing_api_key"),
            ("Basic " + KEY, "missing_api_key"),
            (KEY, "missing_api_key"),
            ("Bearer wrong-key-of-nobody", "invalid_api_key"),
            ("Bearer x", "invalid_api_key"),
        ],
    )
    @pytest.mark.parametrize("path", ["/generate", "/v1/models", "/metrics", "/openapi.json", "/nothing"])
    def test_without_a_right_key_nothing_is_reached(
        self, shared_server: RunningServer, path: str, header: str | None, code: str
    ) -> None:
        with shared_server.client(None) as client:
            answer = client.get(path, headers={} if header is None else {"Authorization": header})
        assert answer.status_code == 401
        error = answer.json()["error"]
        assert error["code"] == code
        assert error["type"] == "authentication_error"
        assert "'Authorization: Bearer KEY'" in error["message"]
        assert KEY_HINT in error["message"]
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["x-request-id"].startswith("req-")

    def test_the_scheme_is_case_insensitive(self, shared_server: RunningServer) -> None:
        with shared_server.client(None) as client:
            assert client.get("/v1/models", headers={"authorization": f"bearer {KEY}"}).status_code == 200

    def test_health_pages_are_open(self, shared_server: RunningServer) -> None:
        with shared_server.client(None) as client:
            assert client.get("/healthz").json() == {
                "status": "ok",
                "version": "0.1.0",
                "image": "sha256:test",
                "replica": "replica-1",
                "engines": ["ready"],
            }
            assert client.get("/readyz").json() == {"status": "ready", "engine": "strict/1"}

    def test_keys_rotate_without_a_restart(self, start_server: StartServer) -> None:
        server = start_server()
        assert server.generate().status_code == 200
        server.write_keys({"first": NEW_KEY})
        until(lambda: server.generate().status_code == 401)
        assert server.generate(key=NEW_KEY).status_code == 200
        server.write_keys("broken")
        until(lambda: server.generate(key=NEW_KEY).status_code == 200 and server.log("api_keys_kept"))
        assert NEW_KEY not in server.log_file.read_text()
