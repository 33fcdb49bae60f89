"""What every kind of store does alike: the real folder, moto's S3 as a process, and the strict stand-in for OSS."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from speech_server.storage import store as store_module
from speech_server.storage.open_store import open_store
from speech_server.storage.store import ExistsError, NotFoundError, Store, StoreError
from tests.inference.storage.conftest import Run
from tests.inference.storage.oss_server import OssBucket

WAV = "audio/wav"


async def keys_of(store: Store, prefix: str, after: str | None = None) -> list[str]:
    return [found.key async for found in store.list(prefix, after)]


class TestObjects:
    def test_what_was_put_is_got_and_measured(self, store: Store, run: Run[Any]) -> None:
        run(store.put("results/2026/11/22/a+b=c@d.wav", b"sound", WAV))
        assert run(store.get("results/2026/11/22/a+b=c@d.wav")) == b"sound"
        found = run(store.head("results/2026/11/22/a+b=c@d.wav"))
        assert (found.key, found.size) == ("results/2026/11/22/a+b=c@d.wav", 5)
        assert found.modified.tzinfo is not None
        assert abs(found.modified - datetime.now(timezone.utc)) < timedelta(minutes=1)

    def test_a_put_replaces(self, store: Store, run: Run[Any]) -> None:
        run(store.put("a/b", b"one", WAV))
        run(store.put("a/b", b"two", WAV))
        assert run(store.get("a/b")) == b"two"

    def test_an_empty_object_and_one_of_megabytes(self, store: Store, run: Run[Any]) -> None:
        large = bytes(range(256)) * 4096 * 9
        run(store.put("a/empty", b"", WAV))
        run(store.put("a/large", large, WAV, create=True))
        assert run(store.get("a/empty")) == b""
        assert run(store.get("a/large")) == large

    def test_a_missing_one_is_told_from_an_outage(self, store: Store, run: Run[Any]) -> None:
        for call in (store.get("a/none"), store.head("a/none")):
            with pytest.raises(NotFoundError) as missing:
                run(call)
            assert not missing.value.retryable
        assert store.failing_since is None

    def test_a_deletion_may_be_repeated(self, store: Store, run: Run[Any]) -> None:
        run(store.put("a/b", b"one", WAV))
        run(store.delete("a/b"))
        run(store.delete("a/b"))
        with pytest.raises(NotFoundError):
            run(store.get("a/b"))

    @pytest.mark.parametrize(
        "key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/.b", "a b", "ä", "a\n", "a%2e", "x" * 600]
    )
    def test_what_is_no_key_reaches_no_store(self, store: Store, run: Run[Any], key: str) -> None:
        for call in (
            store.get(key),
            store.put(key, b"", WAV),
            store.delete(key),
            store.head(key),
            store.presign(key, 9),
        ):
            with pytest.raises(ValueError, match="no key of an object"):
                run(call)


class TestCreate:
    def test_only_the_first_one_is_kept(self, store: Store, run: Run[Any]) -> None:
        run(store.put("jobs/a/order.json", b"first", "application/json", create=True))
        with pytest.raises(ExistsError) as there:
            run(store.put("jobs/a/order.json", b"second", "application/json", create=True))
        assert not there.value.retryable
        assert run(store.get("jobs/a/order.json")) == b"first"
        assert store.failing_since is None

    def test_of_many_at_once_exactly_one_succeeds(self, store: Store, run: Run[Any]) -> None:
        async def race() -> list[BaseException | None]:
            puts = (store.put("jobs/a/done.json", b"%d" % number, WAV, create=True) for number in range(12))
            return await asyncio.gather(*puts, return_exceptions=True)

        results = run(race())
        assert [type(result) for result in results].count(ExistsError) == 11
        winner = next(number for number, result in enumerate(results) if result is None)
        assert run(store.get("jobs/a/done.json")) == b"%d" % winner

    def test_a_deleted_one_may_be_created_again(self, store: Store, run: Run[Any]) -> None:
        run(store.put("a/b", b"one", WAV, create=True))
        run(store.delete("a/b"))
        run(store.put("a/b", b"two", WAV, create=True))
        assert run(store.get("a/b")) == b"two"


class TestList:
    def test_by_key_whole_folders_only_and_page_after_page(self, store: Store, run: Run[Any]) -> None:
        names = ["jobs/alice/9", "jobs/alice/10", "jobs/alice/a/1", "jobs/alicia/1", "jobs/bob/1", "results/1"]
        for name in names:
            run(store.put(name, name.encode(), WAV))
        assert run(keys_of(store, "jobs/alice/")) == ["jobs/alice/10", "jobs/alice/9", "jobs/alice/a/1"]
        assert run(keys_of(store, "")) == sorted(names)
        assert run(keys_of(store, "", "jobs/alice/9")) == ["jobs/alice/a/1", "jobs/alicia/1", "jobs/bob/1", "results/1"]
        assert run(keys_of(store, "jobs/", "jobs/bob/1")) == []
        assert run(keys_of(store, "nothing/")) == []

    def test_what_is_no_folder_is_refused(self, store: Store, run: Run[Any]) -> None:
        for prefix in ("jobs", "/jobs/", "../", "jobs//"):
            with pytest.raises(ValueError, match="no folder"):
                run(keys_of(store, prefix))


class TestPresign:
    def test_its_time_is_bounded(self, store: Store, run: Run[Any]) -> None:
        for seconds in (0, -1, 7 * 24 * 3600 + 1):
            with pytest.raises(ValueError, match="1 to 604,800 seconds"):
                run(store.presign("a/b", seconds))

    @pytest.mark.parametrize("store", ["s3", "oss"], indirect=True)  # a file: store's links: test_file.py
    def test_anybody_may_get_it_under_its_name_and_nothing_else(
        self, store: Store, run: Run[Any], request: pytest.FixtureRequest
    ) -> None:
        run(store.put("results/a.wav", b"sound", WAV))
        run(store.put("results/b.wav", b"secret", WAV))
        url = run(store.presign("results/a.wav", 60, '你好 "x".wav'))
        got = httpx.get(url)
        assert (got.status_code, got.content, got.headers["content-type"]) == (200, b"sound", WAV)
        assert "UTF-8''%E4%BD%A0%E5%A5%BD" in got.headers["content-disposition"]
        assert "\n" not in got.headers["content-disposition"]
        if "oss" in request.node.name:  # moto does not verify what it is sent
            assert httpx.get(url.replace("a.wav", "b.wav", 1)).status_code == 403
            assert httpx.get(url.replace("x-oss-expires=60", "x-oss-expires=600")).status_code == 403
            assert httpx.put(url, content=b"mine").status_code == 403


class TestOutage:
    def test_a_store_that_fails_now_and_then_is_asked_again(self, oss_url: str, oss: OssBucket, run: Run[Any]) -> None:
        store = opened(oss_url)
        for call, wanted in (
            (lambda: store.put("a/b", b"1", WAV), None),
            (lambda: store.put("a/c", b"2", WAV, create=True), None),
            (lambda: store.get("a/b"), b"1"),
        ):
            oss.failures[:] = [503, 500]
            assert run(call()) == wanted
            assert oss.failures == []
        store.close()

    def test_it_is_told_since_when_and_that_it_is_over(
        self,
        oss_url: str,
        oss: OssBucket,
        run: Run[Any],
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        caplog.set_level(logging.INFO)
        monkeypatch.setattr(store_module, "_PROBE_SECONDS", 0.01)
        store = opened(oss_url)
        oss.failures[:] = [503] * 100
        for call in (store.get("a/b"), store.put("a/b", b"", WAV), store.put("a/b", b"", WAV, create=True)):
            with pytest.raises(StoreError) as failed:
                run(call)
            assert failed.value.retryable
            assert not isinstance(failed.value, NotFoundError)
        assert store.failing_since is not None
        since = store.failing_since
        with pytest.raises(StoreError):
            run(store.head("a/b"))
        assert store.failing_since == since
        assert [record.message for record in caplog.records].count("store_failing") == 1

        async def healed() -> None:
            watching = asyncio.create_task(store.watch())
            oss.failures.clear()
            while store.failing_since is not None:
                await asyncio.sleep(0.01)
            watching.cancel()

        run(healed())
        assert "store_works_again" in [record.message for record in caplog.records]
        store.close()

    def test_one_folder_that_is_forbidden_is_no_outage_and_all_of_them_are(
        self, oss_url: str, oss: OssBucket, run: Run[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "_PROBE_SECONDS", 0.01)
        store = opened(oss_url)

        async def watched() -> None:
            watching = asyncio.create_task(store.watch())
            for call in (store.get("usage/a"), store.put("usage/a", b"", WAV, create=True)):
                oss.failures[:] = [403]
                with pytest.raises(StoreError):
                    await call
                while not oss.requests[-1].startswith("GET /?list-type"):
                    await asyncio.sleep(0.01)
                assert store.failing_since is None
            keys, oss.keys = oss.keys, {}
            with pytest.raises(StoreError):
                await store.get("usage/a")
            while store.failing_since is None:
                await asyncio.sleep(0.01)
            oss.keys = keys
            while store.failing_since is not None:
                await asyncio.sleep(0.01)
            watching.cancel()

        run(watched())
        store.close()

    def test_a_wrong_key_is_a_failure_that_tells_no_secret(
        self, oss_url: str, oss: OssBucket, run: Run[Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        store = opened(oss_url)
        oss.keys.clear()
        for call in (store.get("a/b"), store.put("a/b", b"", WAV, create=True)):
            with pytest.raises(StoreError) as failed:
                run(call)
            assert failed.value.retryable
            assert not isinstance(failed.value, NotFoundError | ExistsError)
            assert "secret-of-a-test" not in str(failed.value) + caplog.text
        store.close()


class TestProcess:
    def test_a_short_lived_process_ends_as_it_should(self, tmp_path: Path) -> None:
        program = (
            "import asyncio, sys\n"
            "from speech_server.storage.open_store import open_store\n"
            "async def main():\n"
            "    store = open_store(sys.argv[1], None)\n"
            "    await store.put('a/b', b'1', 'audio/wav')\n"
            "    assert await store.get('a/b') == b'1'\n"
            "asyncio.run(main())\n"
        )
        for _ in range(5):
            ended = subprocess.run([sys.executable, "-c", program, tmp_path.as_uri()], check=False, capture_output=True)
            assert (ended.returncode, ended.stderr) == (0, b"")


def opened(url: str) -> Store:
    return open_store(url, None)
