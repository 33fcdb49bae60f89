"""The folder of a file: store: private, shared by processes, and linked to by signed URLs only."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import obstore
import pytest

from speech_server.storage.file import FileStore
from speech_server.storage.file_links import FileLink, LinkError, check_link
from speech_server.storage.store import StoreError
from tests.inference.storage.conftest import Run


def link_in(url: str) -> tuple[FileLink, str]:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    key = unquote(parts.path).removeprefix("/files/")
    return FileLink(key, int(query["expires"]), query.get("name", "")), query["signature"]


class TestFolder:
    def test_a_new_one_is_private_and_shared_by_all_who_open_it(self, tmp_path: Path, run: Run[Any]) -> None:
        folder = tmp_path / "new" / "objects"
        with ThreadPoolExecutor(8) as threads:
            stores = list(threads.map(lambda _: FileStore(folder, None), range(8)))
        assert folder.stat().st_mode & 0o777 == 0o700
        run(stores[0].put("a/b", b"1", "audio/wav"))
        assert run(stores[1].get("a/b")) == b"1"
        link, signature = link_in(run(stores[0].presign("a/b", 60)))
        assert stores[7].linked_file(link, signature) == folder / "a/b"
        assert sorted(path.name for path in folder.iterdir()) == [".link-secret", "a"]
        assert (folder / ".link-secret").stat().st_mode & 0o777 == 0o600
        for store in stores:
            store.close()

    def test_what_is_not_an_object_is_not_listed(self, tmp_path: Path, run: Run[Any]) -> None:
        store = FileStore(tmp_path, None)
        (tmp_path / "ä b").write_text("x")
        run(store.put("a/b", b"1", "audio/wav"))

        async def listed() -> list[str]:
            return [found.key async for found in store.list("")]

        assert run(listed()) == ["a/b"]
        store.close()

    def test_only_what_is_half_written_and_old_is_deleted_as_unfinished(self, tmp_path: Path, run: Run[Any]) -> None:
        store = FileStore(tmp_path, None)
        run(store.put("a/b", b"1", "audio/wav"))
        (tmp_path / "a" / "c.wav#1").write_bytes(b"1")
        (tmp_path / "a" / "not ours #x").write_bytes(b"1")
        now = datetime.now(timezone.utc)
        assert run(store.delete_unfinished(now - timedelta(minutes=1))) == 0
        assert run(store.delete_unfinished(now + timedelta(minutes=1))) == 1
        left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
        assert left == [".link-secret", "b", "not ours #x"]
        store.close()

    def test_the_library_calls_what_it_writes_as_expected_here(self, tmp_path: Path, run: Run[Any]) -> None:
        store = FileStore(tmp_path, None)
        writer = obstore.open_writer(store.objects, "a.wav", buffer_size=1)
        writer.write(b"RIFF")
        assert {path.name for path in tmp_path.iterdir()} == {".link-secret", "a.wav#1"}
        assert run(store.delete_unfinished(datetime.now(timezone.utc) + timedelta(minutes=1))) == 1
        store.close()

    def test_a_disk_that_was_taken_away_is_an_outage_and_no_empty_store(self, tmp_path: Path, run: Run[Any]) -> None:
        folder = tmp_path / "objects"
        store = FileStore(folder, None)
        run(store.put("a/b", b"1", "audio/wav"))
        folder.rename(tmp_path / "elsewhere")
        for call in (store.get("a/b"), store.head("a/b"), store.put("a/c", b"2", "audio/wav", create=True)):
            with pytest.raises(StoreError, match="gone") as failed:
                run(call)
            assert failed.value.retryable
        assert store.failing_since is not None
        assert not folder.exists()
        (tmp_path / "elsewhere").rename(folder)
        assert run(store.get("a/b")) == b"1"
        assert store.failing_since is None
        store.close()

    def test_a_folder_that_cannot_be_used_is_told_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OSError, match="file"):
            FileStore(tmp_path / "file" / "objects", None)


class TestLinks:
    def test_a_link_is_to_one_object_for_a_time(self, tmp_path: Path, run: Run[Any]) -> None:
        store = FileStore(tmp_path, "https://speech.example.com/")
        run(store.put("results/a.wav", b"1", "audio/wav"))
        url = run(store.presign("results/a.wav", 60, "你好.wav"))
        assert url.startswith("https://speech.example.com/files/results/a.wav?expires=")
        link, signature = link_in(url)
        assert link.file_name == "你好.wav"
        assert store.linked_file(link, signature) == tmp_path / "results/a.wav"
        run(store.delete("results/a.wav"))
        assert store.linked_file(link, signature) is None
        store.close()

    def test_without_an_address_it_is_a_path(self, tmp_path: Path, run: Run[Any]) -> None:
        store = FileStore(tmp_path, None)
        assert run(store.presign("a", 60)).startswith("/files/a?expires=")
        store.close()

    def test_whatever_is_changed_is_noticed(self) -> None:
        secret = b"s" * 32
        good = FileLink("results/a.wav", int(time.time()) + 60, "a.wav")
        _, signature = link_in(good.path(secret))
        check_link(good, signature, secret, time.time())
        for wrong, given, key in (
            (FileLink("results/b.wav", good.expires, "a.wav"), signature, secret),
            (FileLink("results/a.wav", good.expires + 1, "a.wav"), signature, secret),
            (FileLink("results/a.wav", good.expires, "b.wav"), signature, secret),
            (good, signature[:-1], secret),
            (good, "", secret),
            (good, "\udc80ä" + signature, secret),
            (good, signature, b"t" * 32),
        ):
            with pytest.raises(LinkError, match="does not match"):
                check_link(wrong, given, key, time.time())
        with pytest.raises(LinkError, match="time is over"):
            check_link(good, signature, secret, good.expires)

    def test_a_signed_link_to_what_is_no_object_leads_nowhere(self, tmp_path: Path) -> None:
        store = FileStore(tmp_path / "objects", None)
        (tmp_path / "secret.txt").write_text("x")
        secret = (tmp_path / "objects" / ".link-secret").read_bytes()
        for key in ("../secret.txt", ".link-secret", "/etc/passwd", ""):
            link, signature = link_in(FileLink(key, int(time.time()) + 60, "").path(secret))
            assert store.linked_file(FileLink(key, link.expires, ""), signature) is None
        store.close()
