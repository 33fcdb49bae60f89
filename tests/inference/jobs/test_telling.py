"""Who is told of a job's end, how often, and when nobody is any more."""

from __future__ import annotations

from pathlib import Path

from speech_server.jobs.telling import DELAYS
from tests.inference.jobs.workshop import Workshop, in_workshop

HOOK = "https://hooks.example/"


async def end_one(shop: Workshop) -> str:
    order = await shop.accept(text="tell me", webhook=HOOK)
    await shop.do_one()
    await shop.telling.settled()
    return order.id


class TestTelling:
    def test_once_is_enough(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            await end_one(shop)
            assert len(shop.telephone.calls) == 1
            for _ in range(5):
                shop.now += 100_000
                await shop.do_all()
            assert len(shop.telephone.calls) == 1
            depth = await shop.queue.depth()
            assert depth.waiting + depth.delayed == 0

        in_workshop(tmp_path, test)

    def test_failures_are_repeated_at_growing_intervals_and_then_given_up(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            shop.telephone.failures = 1000
            await end_one(shop)
            times = [shop.now]
            for delay in DELAYS:
                shop.now += delay - 2
                await shop.do_all()
                assert len(shop.telephone.calls) == len(times)
                shop.now += 2.5
                await shop.do_all()
                times.append(shop.now)
                assert len(shop.telephone.calls) == len(times)
            shop.now += 1e6
            await shop.do_all()
            assert len(shop.telephone.calls) == 1 + len(DELAYS)
            assert 2 * 86_400 < times[-1] - times[0] < 3 * 86_400
            assert len({message_id for _, message_id, _ in shop.telephone.calls}) == 1

        in_workshop(tmp_path, test)

    def test_a_queue_with_short_delays_is_used_in_steps(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            shop.queue.max_delay_seconds = 900
            shop.telephone.failures = 4
            await end_one(shop)
            for _ in range(60):
                shop.now += 300
                await shop.do_all()
            assert len(shop.telephone.calls) == 5

        in_workshop(tmp_path, test)

    def test_a_receiver_that_is_gone_is_not_called_again(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            shop.telephone.gone = True
            await end_one(shop)
            for _ in range(5):
                shop.now += 100_000
                await shop.do_all()
            assert len(shop.telephone.calls) == 2  # at once, and the one that learns that it is final

        in_workshop(tmp_path, test)

    def test_a_server_that_dies_before_it_tells_leaves_it_to_another(self, tmp_path: Path) -> None:
        async def test(shop: Workshop) -> None:
            await shop.accept(text="tell me", webhook=HOOK)
            shop.queue.fail_sends = 1  # the end is written, the message of the telling is not sent
            await shop.do_one()
            assert shop.telephone.calls == []
            await shop.do_all()
            await shop.telling.settled()
            assert len(shop.telephone.calls) == 1
            assert shop.speaker.spoken == ["tell me"]

        in_workshop(tmp_path, test)
