"""A client's limits: what is refused, when it may come back, and that a refusal costs nothing."""

from __future__ import annotations

import pytest

from speech_server.errors import ApiError
from speech_server.tenants.limits import ClientLimits
from speech_server.tenants.policy import ClientPolicy


class World:
    """Clients' policies, and a clock that stands still."""

    def __init__(self, **policies: ClientPolicy) -> None:
        self.now = 0.0
        self.policies = policies
        self.limits = ClientLimits(self.policies.get, lambda: self.now)

    def refused(self, audio_seconds: float, client: str = "a") -> int | None:
        """Seconds to wait; None if it is allowed."""
        try:
            self.limits.spend(client, audio_seconds)
        except ApiError as error:
            assert (error.status, error.code) == (429, "audio_limit")
            return int(error.headers["Retry-After"])
        return None


class TestConcurrency:
    def test_the_one_over_the_limit_is_refused_and_others_are_not(self) -> None:
        world = World(a=ClientPolicy(concurrency=2), b=ClientPolicy())
        for client in ("a", "a", *["b"] * 10, *["nobody"] * 10):
            world.limits.begin(client)
        with pytest.raises(ApiError) as refused:
            world.limits.begin("a")
        assert (refused.value.status, refused.value.code) == (429, "concurrency_limit")
        assert refused.value.headers["Retry-After"]
        world.limits.end("a")
        world.limits.begin("a")

    def test_a_lowered_limit_holds_for_the_next(self) -> None:
        world = World(a=ClientPolicy(concurrency=2))
        world.limits.begin("a")
        world.policies["a"] = ClientPolicy(concurrency=1)
        with pytest.raises(ApiError):
            world.limits.begin("a")
        world.limits.end("a")
        world.limits.begin("a")


class TestAudioSecondsPerMinute:
    def test_a_minutes_worth_at_once_and_then_at_its_pace(self) -> None:
        world = World(a=ClientPolicy(audio_seconds_per_minute=60))
        assert world.refused(40) is None
        assert world.refused(40) == 20
        world.now = 19.0
        assert world.refused(40) == 1
        world.now = 20.0
        assert world.refused(40) is None
        world.now = 1e6  # no more than a minute's worth is saved up
        assert world.refused(60) is None
        assert world.refused(1) == 1

    def test_a_text_longer_than_a_minute_is_possible_and_paid_for(self) -> None:
        world = World(a=ClientPolicy(audio_seconds_per_minute=60))
        assert world.refused(180) is None
        assert world.refused(1) == 120
        world.now = 119.0
        assert world.refused(1) == 2
        world.now = 121.0
        assert world.refused(1) is None

    def test_what_was_not_spoken_is_given_back_and_what_was_more_is_taken(self) -> None:
        world = World(a=ClientPolicy(audio_seconds_per_minute=60))
        assert world.refused(60) is None
        world.limits.correct("a", -60)
        assert world.refused(60) is None
        world.limits.correct("a", 30)
        assert world.refused(30) == 60

    def test_it_is_each_clients_own(self) -> None:
        limit = ClientPolicy(audio_seconds_per_minute=60)
        world = World(a=limit, b=limit)
        assert world.refused(60, "a") is None
        assert world.refused(60, "b") is None
        assert world.refused(1, "a") is not None
        assert world.refused(1000, "nobody") is None

    def test_retry_after_is_at_most_what_clients_wait_for(self) -> None:
        world = World(a=ClientPolicy(audio_seconds_per_minute=1))
        assert world.refused(500) is None
        assert world.refused(1) == 120
