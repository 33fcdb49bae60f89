"""Counting what clients had, keeping it in the store, and adding it up again."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from speech_server.storage.open_store import open_store
from speech_server.storage.store import Store, StoreError
from speech_server.usage.ledger import Ledger, Use
from speech_server.usage.objects import UsageObjects, from_json, to_json
from speech_server.usage.report import usage_of
from tests.inference.storage.failing_store import FailingStore

MONDAY = date(2026, 11, 23)


class Calendar:
    def __init__(self) -> None:
        self.today = MONDAY

    def __call__(self) -> date:
        return self.today


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store", "")


class TestLedger:
    def test_days_clients_and_kinds_are_counted_apart(self) -> None:
        calendar = Calendar()
        ledger = Ledger(calendar)
        ledger.add("a", "request", 10, 1.5, 0.5)
        ledger.add("a", "request", 20, 2.5, 0.5)
        ledger.add("a", "job", 1, 1.0, 1.0)
        calendar.today += timedelta(days=1)
        ledger.add("b", "request", 5, 4.0, 2.0)
        assert ledger.changed() == {
            MONDAY: {("a", "request"): Use(2, 30, 4.0, 1.0), ("a", "job"): Use(1, 1, 1.0, 1.0)},
            calendar.today: {("b", "request"): Use(1, 5, 4.0, 2.0)},
        }

    def test_what_is_kept_is_not_kept_again_and_what_came_meanwhile_is(self) -> None:
        calendar = Calendar()
        ledger = Ledger(calendar)
        ledger.add("a", "job", 1, 1.0, 1.0)
        kept = ledger.changed()[MONDAY]
        ledger.add("a", "job", 1, 1.0, 1.0)
        ledger.kept(MONDAY, kept)
        again = ledger.changed()[MONDAY]
        assert again["a", "job"].clips == 2
        ledger.kept(MONDAY, again)
        assert ledger.changed() == {}
        ledger.add("a", "job", 1, 1.0, 1.0)  # today goes on where it was
        assert ledger.changed()[MONDAY]["a", "job"].clips == 3

    def test_a_day_that_is_over_and_kept_is_forgotten(self) -> None:
        calendar = Calendar()
        ledger = Ledger(calendar)
        ledger.add("a", "job", 1, 1.0, 1.0)
        calendar.today += timedelta(days=1)
        ledger.kept(MONDAY, ledger.changed()[MONDAY])
        assert ledger._days == {}


class TestObjects:
    def test_a_day_survives_the_way_through_the_store(self) -> None:
        day = {("a", "request"): Use(2, 30, 4.25, 1.0), ("b", "job"): Use(1, 1, 1.0, 1.0)}
        assert from_json(to_json(day)) == day

    @pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"accounts": [{}]}', b'{"accounts": [{"client": 1}]}'])
    def test_what_is_no_day(self, data: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            from_json(data)

    def test_servers_and_days_add_up(self, store: Store) -> None:
        async def scenario() -> None:
            calendar = Calendar()
            for node in ("one", "two"):
                calendar.today = MONDAY
                ledger = Ledger(calendar)
                objects = UsageObjects(store, ledger, node)
                ledger.add("a", "request", 10, 1.0, 0.5)
                await objects.keep()
                ledger.add("a", "request", 10, 1.0, 0.5)
                calendar.today = MONDAY + timedelta(days=2)
                ledger.add("b", "job", 1, 3.0, 0.5)
                await objects.keep()
            await store.put("usage/2026/11/25/broken.json", b"{", "application/json")
            found = await usage_of(store, MONDAY, MONDAY + timedelta(days=6))
            assert found == {
                MONDAY: {("a", "request"): Use(4, 40, 4.0, 2.0)},
                MONDAY + timedelta(days=2): {("b", "job"): Use(2, 2, 6.0, 1.0)},
            }
            assert await usage_of(store, MONDAY + timedelta(days=1), MONDAY + timedelta(days=1)) == {}

        asyncio.run(scenario())

    def test_an_outage_loses_nothing(self, store: Store) -> None:
        async def scenario() -> None:
            ledger = Ledger(Calendar())
            ledger.add("a", "job", 1, 1.0, 1.0)
            with pytest.raises(StoreError):
                await UsageObjects(FailingStore(), ledger, "one").keep()
            await UsageObjects(store, ledger, "one").keep()
            assert await usage_of(store, MONDAY, MONDAY) == {MONDAY: {("a", "job"): Use(1, 1, 1.0, 1.0)}}

        asyncio.run(scenario())

    def test_of_two_who_keep_at_once_the_later_count_stays(self, store: Store) -> None:
        async def scenario() -> None:
            ledger = Ledger(Calendar())
            objects = UsageObjects(store, ledger, "one")
            ledger.add("a", "job", 1, 1.0, 1.0)
            first = asyncio.create_task(objects.keep())
            await asyncio.sleep(0)
            ledger.add("a", "job", 1, 1.0, 1.0)
            await asyncio.gather(first, objects.keep())
            assert (await usage_of(store, MONDAY, MONDAY))[MONDAY]["a", "job"].clips == 2

        asyncio.run(scenario())

    def test_what_cannot_be_kept_at_the_end_is_in_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        ledger = Ledger(Calendar())
        ledger.add("a", "job", 1, 1.0, 1.0)
        asyncio.run(UsageObjects(FailingStore(), ledger, "one").close())
        lost = caplog.records[0].__dict__["fields"]["usage"]
        assert json.loads(lost["2026-11-23"])["accounts"][0]["client"] == "a"
