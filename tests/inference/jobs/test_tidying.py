"""What is mended and what is deleted, once, by whoever comes first."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.inference.jobs.workshop import Workshop, in_workshop

DAY = 86_400


class TestMending:
    def test_a_job_whose_message_was_lost_is_put_into_the_queue_again(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            order = await shop.accept(clips=[{"text": "one"}, {"text": "two"}])
            await shop.queue.delete(await shop.take())
            await shop.tidying.tidy()
            assert await shop.do_all() == 0  # too young to be given up
            shop.now += 3600
            await shop.tidying.tidy()
            await shop.do_all()
            assert (await shop.ledger.end("studio", order.id)).status == "succeeded"

        in_workshop(tmp_path, test)

    def test_it_is_done_once_an_hour(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            await shop.accept(text="one")
            await shop.queue.delete(await shop.take())
            shop.now += 3600
            await shop.tidying.tidy()
            await shop.tidying.tidy()
            assert (await shop.queue.depth()).waiting == 1

        in_workshop(tmp_path, test)

    def test_not_while_the_queue_holds_anything(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            await shop.accept(text="one")
            shop.now += DAY
            await shop.tidying.mend()
            assert (await shop.queue.depth()).waiting == 1

        in_workshop(tmp_path, test)


class TestDeleting:
    def test_what_a_killed_server_left_half_written_goes_after_an_hour(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            shop.now = time.time()  # as the disk's
            results = tmp_path / "store" / "results"
            results.mkdir(exist_ok=True)
            half, young = results / "clip.wav#1", results / "young.wav#12"
            for path in (half, young):
                path.write_bytes(b"RIFF")
            os.utime(half, (shop.now - 3700, shop.now - 3700))
            await shop.tidying.tidy()
            assert [path.name for path in results.iterdir()] == [young.name]

        in_workshop(tmp_path, test)

    def test_old_results_and_records_go_and_young_ones_and_waiting_jobs_stay(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            shop.now = time.time()  # samples and keys are deleted by the store's own clock
            old = await shop.accept("key", text="old", webhook="https://hooks.example/")
            batch = await shop.accept(clips=[{"text": "a"}, {"text": "b"}])
            await shop.do_all()
            waiting = await shop.accept(text="waiting")
            shop.now += 8.5 * DAY
            young = await shop.accept(text="young")
            message = await shop.take()
            await shop.do_all()
            await shop.tidying.delete_old(7)
            left = [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()]
            assert not [name for name in left if old.id in name or batch.id in name]
            assert f"{young.id}.wav" in left
            assert await shop.ledger.order("studio", waiting.id) is not None
            assert not list((tmp_path / "store" / "jobs").rglob(f"{batch.id}/*/*"))
            assert not list((tmp_path / "store" / "jobs" / "keys").rglob("*.json"))
            assert message is not None

        in_workshop(tmp_path, test)
