"""Who may write: one at a time, whoever dies or sleeps meanwhile."""

import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from speech_server.weights.claim import Claim, Pace, Sent, claim_path, decode, encode, is_over, newest, take_or_wait
from speech_server.weights.failure import TransferError
from speech_server.weights.place import Kept
from speech_server.weights.together import Stop
from tests.inference.weights.material import QUICK, place_at, told

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
CLAIM = Claim("node-1/7/ab", 3, NOW, True, "push", 5, 9, {"gpt.pth": Sent("ab" * 32, Kept(5, '"x"'))})


@pytest.fixture
def empty(tmp_path):
    place = place_at(tmp_path / "store")
    yield place
    place.close()


def take(place, pace=QUICK, is_done=lambda: False, stop=None):
    return take_or_wait(place, told()[0], stop or Stop(), is_done, pace)


class TestDecision:
    @pytest.mark.parametrize(
        ("claim", "hours_later", "unchanged", "over"),
        [
            (CLAIM, 0, 0, False),
            (CLAIM, 0, 89, False),
            (CLAIM, 0, 90, True),  # it was watched, and nobody renewed it
            (CLAIM, 0.4, 0, False),  # the clocks may differ
            (CLAIM, 0.6, 0, True),
            (CLAIM, -5, 0, False),
            (replace(CLAIM, held=False), 0, 0, True),
        ],
    )
    def test_when_another_one_may_write(self, claim, hours_later, unchanged, over):
        assert is_over(claim, NOW + timedelta(hours=hours_later), unchanged, 90) is over

    def test_what_is_written_is_read(self):
        assert decode(encode(CLAIM)) == replace(CLAIM, holder="'node-1/7/ab'")

    @pytest.mark.parametrize(
        "data", [b"", b"[]", b"{}", b"\xff", b'{"sent": 5}', b"[" * 100_000, encode(CLAIM).replace(b"+00:00", b"")]
    )
    def test_what_is_no_claim_keeps_nobody_out(self, data):
        assert is_over(decode(data), NOW, 0, 90)

    def test_the_name_of_a_holder_does_nothing_to_a_terminal(self):
        assert decode(encode(replace(CLAIM, holder="\x1b[2J\n"))).holder == "'\\x1b[2J\\n'"


class TestHolding:
    def test_of_many_that_come_together_one_gets_it(self, empty):
        holders, stop = [], Stop()
        ready = threading.Barrier(6)

        def come():
            ready.wait()
            taken = take(empty, Pace(lease=60, renew=60, poll=0.01), is_done=lambda: bool(holders), stop=stop)
            if taken is not None:
                holders.append(taken)

        threads = [threading.Thread(target=come) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(holders) == 1
        assert newest(empty)[0] == 1

    def test_it_is_renewed_as_long_as_it_works_and_given_back(self, empty):
        with take(empty) as holder:
            before = newest(empty)[1].beat
            deadline = time.monotonic() + 30
            while newest(empty)[1].beat < before + 3:
                assert time.monotonic() < deadline
            assert newest(empty)[1].held
            holder.record("a", Sent("cd" * 32, Kept(1, None)))
        generation, claim = newest(empty)
        assert (generation, claim.held) == (1, False)
        with take(empty) as after:
            assert set(after.sent) == {"a"}  # what it sent is known to the next one
            assert newest(empty)[0] == 2

    def test_a_dead_holder_is_followed(self, empty):
        dead = replace(CLAIM, expires=datetime.now(timezone.utc) + timedelta(seconds=60))
        empty.create(claim_path(1), encode(dead))
        began = time.monotonic()
        with take(empty) as holder:
            assert time.monotonic() - began >= QUICK.lease
            assert set(holder.sent) == {"gpt.pth"}

    def test_the_others_wait_and_say_how_far_it_is(self, empty):
        progress, said = told()
        alive = replace(
            CLAIM, expires=datetime.now(timezone.utc) + timedelta(hours=1), done=3_000_000_000, total=9 * 10**9
        )
        empty.create(claim_path(1), encode(alive))
        asked = iter([False, False, True])
        assert take_or_wait(empty, progress, Stop(), lambda: next(asked), Pace(60, 20, 0.001)) is None
        assert "'node-1/7/ab' fills weights/set/ (push: 3.00 GB of 9.00 GB): waiting" in said.getvalue()

    def test_a_holder_that_slept_finds_the_next_one_and_stops(self, empty):
        with pytest.raises(TransferError, match="another program has taken over"), take(empty) as sleeper:
            empty.create(claim_path(2), encode(CLAIM))
            with pytest.raises(TransferError, match="taken over"):
                sleeper.check()
            assert sleeper.stop.is_set()

    def test_it_finds_it_by_itself_too(self, empty):
        with pytest.raises(TransferError, match="another program has taken over"), take(empty) as sleeper:
            empty.create(claim_path(2), encode(CLAIM))
            assert sleeper.stop.wait(30)
