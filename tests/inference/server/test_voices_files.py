"""The links of a file: store, served by the service itself: no key, a signature, a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from speech_server.storage.file import FileStore
from tests.inference.server.running_server import RunningServer

KEY = "results/2026/11/22/job_1-3.wav"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("files")
    running = RunningServer(folder, store=(folder / "objects").as_uri(), public_url="https://speech.example.com/")
    yield running
    running.kill()


@pytest.fixture(scope="module")
def store(server: RunningServer) -> Iterator[FileStore]:
    """The same folder, as another replica has it."""
    made = FileStore(server.folder / "objects", "https://speech.example.com")
    asyncio.run(made.put(KEY, b"0123456789", "audio/wav"))
    yield made
    made.close()


def get(server: RunningServer, url: str, method: str = "GET", **headers: str) -> httpx.Response:
    parts = urlsplit(url)
    with server.client(None) as client:
        return client.request(method, f"{parts.path}?{parts.query}", headers=headers)


class TestLinks:
    def test_a_link_is_all_one_needs(self, server: RunningServer, store: FileStore) -> None:
        url = asyncio.run(store.presign(KEY, 60, "第 3 句.wav"))
        assert url.startswith("https://speech.example.com/files/results/")
        got = get(server, url)
        assert (got.status_code, got.content, got.headers["content-type"]) == (200, b"0123456789", "audio/wav")
        assert "filename*=UTF-8''%E7%AC%AC" in got.headers["content-disposition"]
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["x-request-id"]
        part = get(server, url, Range="bytes=2-4")
        assert (part.status_code, part.content) == (206, b"234")
        head = get(server, url, "HEAD")
        assert (head.status_code, head.headers["content-length"]) == (200, "10")

    def test_any_change_of_it_is_refused(self, server: RunningServer, store: FileStore) -> None:
        url = asyncio.run(store.presign(KEY, 60))
        for wrong in (
            url.replace("-3.wav", "-4.wav"),
            url.replace("expires=", "expires=9"),
            url + "&name=x.html",
            url[:-1] + ("0" if url[-1] != "0" else "1"),
        ):
            refused = get(server, wrong)
            assert refused.status_code in (400, 403, 404), wrong
            assert b"0123456789" not in refused.content
        assert get(server, url.replace("-3.wav", "-4.wav")).json()["error"]["code"] == "invalid_link"

    def test_its_time_ends(self, server: RunningServer, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("speech_server.storage.file.time.time", lambda: 1_700_000_000.0)
        old = get(server, asyncio.run(store.presign(KEY, 60)))
        assert old.status_code == 403
        assert "ask for a new one" in old.json()["error"]["message"]

    def test_a_deleted_object_is_gone(self, server: RunningServer, store: FileStore) -> None:
        asyncio.run(store.put("results/gone.wav", b"x", "audio/wav"))
        url = asyncio.run(store.presign("results/gone.wav", 60))
        asyncio.run(store.delete("results/gone.wav"))
        assert get(server, url).status_code == 404

    @pytest.mark.parametrize(
        "path",
        [
            "/files/",
            "/files/a",
            "/files/.link-secret?expires=9999999999&signature=x",
            "/files/..%2f..%2fkeys.json?expires=1",
        ],
    )
    def test_without_a_signature_nothing_is_told(self, server: RunningServer, path: str) -> None:
        with server.client(None) as client:
            answer = client.get(path)
        assert answer.status_code in (400, 403, 404)
        assert set(answer.json()) == {"error"}

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    def test_it_is_for_reading(self, server: RunningServer, store: FileStore, method: str) -> None:
        assert get(server, asyncio.run(store.presign(KEY, 60)), method).status_code == 405

    def test_a_service_without_a_folder_has_no_links(self, shared_server: RunningServer) -> None:
        with shared_server.client(None) as client:
            assert client.get("/files/a?expires=9999999999&signature=x").status_code == 404


class TestRoute:
    def test_a_path_beside_it_still_needs_a_key(self, server: RunningServer, tmp_path: Path) -> None:
        with server.client(None) as client:
            for path in ("/files", "/filesystem", "//files/a", "/v1/files/a"):
                assert client.get(path).status_code in (401, 307), path
