"""What becomes of jobs when messages come twice, calls fail half-way, and everything is tried again."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from speech_server.errors import ApiError, retry_later
from speech_server.jobs.messages import SpeakClip, StartPart, to_body
from speech_server.jobs.work import Fate
from speech_server.queues.base import MAX_TRIES
from tests.inference.jobs.workshop import FlakyStore, Workshop, engine_failed, in_workshop


def texts(count: int) -> list[dict[str, str]]:
    return [{"text": f"clip {number}"} for number in range(count)]


def results(shop: Workshop) -> list[Path]:
    return [path for path in (shop.folder / "store" / "results").rglob("*") if path.is_file()]


class TestTwice:
    def test_a_message_that_comes_twice_is_spoken_once(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            one = await shop.accept(text="one clip")
            many = await shop.accept(clips=texts(3))
            await shop.queue.send([to_body(SpeakClip("studio", one.id, 0))] * 3)
            await shop.queue.send([to_body(StartPart("studio", many.id, 0))] * 2)
            await shop.do_all()
            assert sorted(shop.speaker.spoken) == ["clip 0", "clip 1", "clip 2", "one clip"]
            assert len(results(shop)) == 4

        in_workshop(tmp_path, test)

    def test_the_first_of_two_outcomes_counts(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            order = await shop.accept(text="one clip")
            await shop.queue.send([to_body(SpeakClip("studio", order.id, 0))])
            first, second = [await shop.take() for _ in range(2)]
            assert first is not None
            assert second is not None
            await shop.work.do(first, lambda: None, lambda _: None)
            end = await shop.ledger.end("studio", order.id)
            shop.now += 60
            await shop.work.do(second, lambda: None, lambda _: None)
            assert await shop.ledger.end("studio", order.id) == end

        in_workshop(tmp_path, test)

    def test_a_message_without_an_order_is_dropped(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            order = await shop.accept(text="one clip")
            await shop.ledger.drop_order(order)
            assert (await shop.do_one()).fate is Fate.DONE
            assert shop.speaker.spoken == []

        in_workshop(tmp_path, test)

    @pytest.mark.parametrize("body", ["", "[]", '{"do": "clip"}', '{"do":"rm","client":"a","job":"b"}', "x" * 9999])
    def test_a_strange_message_becomes_a_dead_letter(self, tmp_path: Path, body: str) -> None:
        async def test(shop: Workshop) -> None:
            await shop.queue.send([body])
            for _ in range(MAX_TRIES):
                await shop.do_one()
                shop.now += 3600
            assert await shop.do_one() is None
            assert (await shop.queue.depth()).dead == 1
            await shop.dead_letters.look()
            assert [letter.task for letter in await shop.dead_letters.letters(9)] == [None]

        in_workshop(tmp_path, test)


class TestBrokenStore:
    @pytest.mark.parametrize("late", [False, True])
    @pytest.mark.parametrize("clips", [1, 3])
    def test_whichever_write_fails_every_clip_ends_once_and_is_told(
        self, tmp_path: Path, clips: int, late: bool
    ) -> None:
        """`late`: the write was carried out, and the answer was lost."""
        for number in itertools.count(1):
            folder = tmp_path / str(number)
            folder.mkdir()
            counts: list[int] = []

            async def test(shop: Workshop, number: int = number, counts: list[int] = counts) -> None:
                body = {"text": "clip 0"} if clips == 1 else {"clips": texts(clips)}
                order = await shop.accept(**body, webhook="https://hooks.example/")
                flaky = FlakyStore(shop.store, {number}, late)
                await shop.do_all()
                await shop.telling.settled()
                end = await shop.ledger.end("studio", order.id)
                assert end is not None
                assert (end.status, end.tally.succeeded) == ("succeeded", clips)
                assert len(results(shop)) == clips
                shop.now += 60
                await shop.do_all()
                await shop.telling.settled()
                assert shop.telephone.calls
                assert len({message_id for _, message_id, _ in shop.telephone.calls}) == 1
                counts.append(flaky.count)

            in_workshop(folder, test)
            if counts[0] < number:
                break
        assert number > 3

    def test_a_store_that_fails_half_the_time(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            order = await shop.accept(clips=texts(105))
            FlakyStore(shop.store, {*range(1, 300, 2)}, late=False)
            await shop.do_all()
            end = await shop.ledger.end("studio", order.id)
            assert end is not None
            assert end.tally.succeeded == 105

        in_workshop(tmp_path, test)


class TestFailures:
    def test_a_refusal_is_final(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            shop.speaker.errors["bad"] = ApiError(400, "text_unsupported", "cannot say it", "text")
            order = await shop.accept(text="bad")
            assert (await shop.do_one()).fate is Fate.DONE
            end = await shop.ledger.end("studio", order.id)
            assert end.outcome.error.code == "text_unsupported"
            assert not end.outcome.error.gave_up

        in_workshop(tmp_path, test)

    def test_a_fault_of_the_engine_is_tried_three_times_with_waits(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            shop.speaker.errors["sick"] = engine_failed()
            order = await shop.accept(text="sick")
            verdicts = []
            for _ in range(MAX_TRIES):
                verdicts.append(await shop.do_one())
                assert await shop.do_one() is None  # not before its time
                shop.now += 3600
            assert [verdict.fate for verdict in verdicts] == [Fate.RETRY, Fate.RETRY, Fate.DEAD]
            assert await shop.do_one() is None
            end = await shop.ledger.end("studio", order.id)
            assert (end.status, end.outcome.error.gave_up) == ("failed", True)

        in_workshop(tmp_path, test)

    def test_an_engine_that_is_away_is_no_try(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            shop.speaker.errors["later"] = retry_later(503, "engine_unavailable", "not ready", 1)
            order = await shop.accept(text="later")
            for _ in range(MAX_TRIES + 3):
                assert (await shop.do_one()).fate is Fate.GIVE_BACK
            shop.speaker.errors.clear()
            await shop.do_all()
            assert (await shop.ledger.end("studio", order.id)).status == "succeeded"

        in_workshop(tmp_path, test)


class TestDeadLetters:
    def test_one_that_is_driven_again_replaces_the_failure_and_is_told_again(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            shop.speaker.errors["clip 1"] = engine_failed()
            order = await shop.accept(clips=texts(3), webhook="https://hooks.example/")
            for _ in range(9):
                await shop.do_all()
                shop.now += 3600
            assert (await shop.ledger.end("studio", order.id)).status == "failed"
            shop.speaker.errors.clear()
            assert await shop.dead_letters.redrive(None, 10) == 1
            await shop.do_all()
            await shop.telling.settled()
            end = await shop.ledger.end("studio", order.id)
            assert (end.status, end.tally.succeeded) == ("succeeded", 3)
            assert [json.loads(body)["type"] for _, _, body in shop.telephone.calls] == ["job.failed", "job.succeeded"]
            assert len({message_id for _, message_id, _ in shop.telephone.calls}) == 2

        in_workshop(tmp_path, test)

    def test_one_whose_servers_died_lives_again_and_then_is_given_up(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            order = await shop.accept(text="deadly")
            for _ in range(3):
                for _ in range(MAX_TRIES):
                    assert await shop.take() is not None  # and the server is gone
                    shop.now += 61
                assert await shop.take() is None
                assert await shop.ledger.end("studio", order.id) is None
                await shop.dead_letters.look()
            end = await shop.ledger.end("studio", order.id)
            assert (end.status, end.outcome.error.code) == ("failed", "gave_up")
            await shop.dead_letters.look()
            assert (await shop.queue.depth()).dead == 1

        in_workshop(tmp_path, test)

    def test_a_batch_that_cannot_be_started_fails(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            order = await shop.accept(clips=texts(3))
            for _ in range(3):
                for _ in range(MAX_TRIES):
                    await shop.take()
                    shop.now += 61
                assert await shop.take() is None
                await shop.dead_letters.look()
            end = await shop.ledger.end("studio", order.id)
            assert (end.status, end.error.code, end.tally.cancelled) == ("failed", "gave_up", 3)

        in_workshop(tmp_path, test)


class TestFairness:
    def test_a_later_job_waits_for_a_part_and_not_for_a_whole_batch(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            await shop.accept(clips=texts(350))
            await shop.do_one()
            await shop.accept(text="a single line", client="studio")
            await shop.do_all()
            assert shop.speaker.spoken.index("a single line") <= 100
            assert len(shop.speaker.spoken) == 351

        in_workshop(tmp_path, test)
