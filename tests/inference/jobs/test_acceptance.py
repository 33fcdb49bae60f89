"""Nothing accepted and lost, nothing refused and spoken: wherever acceptance is cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_server.errors import ApiError
from speech_server.storage.store import StoreError
from tests.inference.jobs.workshop import FlakyStore, Workshop, in_workshop


class TestBrokenQueue:
    @pytest.mark.parametrize("lie", [False, True])
    def test_what_was_refused_is_never_spoken(self, tmp_path: Path, lie: bool) -> None:
        """`lie`: the message did arrive, and the answer was lost."""

        async def test(shop: Workshop) -> None:
            shop.queue.fail_sends, shop.queue.lie = 1, lie
            with pytest.raises(ApiError) as refused:
                await shop.accept(text="refused")
            assert (refused.value.status, refused.value.code) == (503, "queue_unavailable")
            await shop.do_all()
            assert shop.speaker.spoken == []
            assert [job async for job in shop.ledger.orders("studio", None)] == []

        in_workshop(tmp_path, test)

    def test_a_repetition_with_its_key_makes_it_whole(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            shop.queue.fail_sends = 1
            with pytest.raises(ApiError):
                await shop.accept("key", text="twice asked")
            first = await shop.accept("key", text="twice asked")
            again = await shop.accept("key", text="twice asked")
            assert first.id == again.id
            await shop.do_all()
            assert shop.speaker.spoken == ["twice asked"]

        in_workshop(tmp_path, test)


class TestBrokenStore:
    @pytest.mark.parametrize("late", [False, True])
    @pytest.mark.parametrize("number", [1, 2])
    def test_a_repetition_with_its_key_makes_it_whole(self, tmp_path: Path, number: int, late: bool) -> None:
        async def test(shop: Workshop) -> None:
            FlakyStore(shop.store, {number}, late)
            with pytest.raises(ApiError) as refused:
                await shop.accept("key", text="twice asked")
            assert refused.value.code == "store_unavailable"
            order = await shop.accept("key", text="twice asked")
            await shop.do_all()
            assert shop.speaker.spoken == ["twice asked"]
            assert (await shop.ledger.end("studio", order.id)).status == "succeeded"
            assert len([job async for job in shop.ledger.orders("studio", None)]) == 1

        in_workshop(tmp_path, test)

    @pytest.mark.parametrize("late", [False, True])
    def test_what_was_refused_is_never_spoken(self, tmp_path: Path, late: bool) -> None:
        """Not even when the refused order could not be taken back, and everything unfinished is mended later."""

        async def test(shop: Workshop) -> None:
            FlakyStore(shop.store, {1}, late)
            undo = shop.store.delete

            async def fail(key: str) -> None:
                raise StoreError(f"the test refuses to delete {key}")

            shop.store.delete = fail  # ty: ignore[invalid-assignment]
            with pytest.raises(ApiError):
                await shop.accept(text="refused")
            shop.store.delete = undo  # ty: ignore[invalid-assignment]
            shop.now += 7200
            await shop.tidying.mend()
            await shop.do_all()
            assert shop.speaker.spoken == []

        in_workshop(tmp_path, test)

    def test_a_mark_that_cannot_be_written_refuses_nothing(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            FlakyStore(shop.store, {2}, late=False)
            order = await shop.accept(text="accepted")
            await shop.do_all()
            assert (await shop.ledger.end("studio", order.id)).status == "succeeded"

        in_workshop(tmp_path, test)


class TestSharedFields:
    def test_what_a_clip_says_goes_before_what_all_share(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            order = await shop.accept(
                format="mp3",
                duration_ratio=1.1,
                mode="controlled",
                voice="default",
                clips=[
                    {"text": "a"},
                    {"text": "b", "target_seconds": 2.0, "format": "wav"},
                    {"text": "c", "voice": None},
                ],
            )
            first, second, third = [clip.fields for clip in order.clips]
            assert (first["format"], first["duration_ratio"], first["voice"]) == ("mp3", 1.1, "default")
            assert (second["format"], second["target_seconds"]) == ("wav", 2.0)
            assert "duration_ratio" not in second
            assert "voice" not in third

        in_workshop(tmp_path, test)


class TestWebhookUrls:
    @pytest.mark.parametrize(
        "url",
        [
            *("http://example.com/", "ftp://example.com/", "https://", "https:///x", "x", "https://user:pw@example.com/"),
            *("https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/"),
            *("https://0x7f000001/", "https://2130706433/", "https://127.1/", "https://0/", "https://a.0x7f/"),
            *("https://example.com:0/", "https://example.com:99999/", "https://example.com/#x", "https://a b.com/"),
            *("https://例子.com/", "https://example.com\r\nX: y/", "https://-a.com/", "https://a..b/", "https://[fe80::1%25eth0]/"),
        ],
    )  # fmt: skip
    def test_what_is_refused_at_once(self, tmp_path: Path, url: str) -> None:
        async def test(shop: Workshop) -> None:
            with pytest.raises(ApiError) as refused:
                await shop.accept(text="a", webhook=url)
            assert (refused.value.code, refused.value.param) == ("invalid_webhook", "webhook")
            assert "\n" not in refused.value.message

        in_workshop(tmp_path, test)

    @pytest.mark.parametrize(
        "url", ["https://hooks.example.com/x?y=z", "https://8.8.8.8:8443/", "https://xn--fiqs8s.cn/"]
    )
    def test_what_is_taken(self, tmp_path: Path, url: str) -> None:
        async def test(shop: Workshop) -> None:
            assert (await shop.accept(text="a", webhook=url)).webhook == url

        in_workshop(tmp_path, test)
