"""Who sees which voice, and how soon a deleted one is gone elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from speech_server.errors import ApiError
from speech_server.storage.store import Store
from speech_server.voices.places import sample_key
from tests.inference.voices.conftest import Replica, Run


def refusal(run: Run[Any], call: Any) -> tuple[int, str]:
    with pytest.raises(ApiError) as refused:
        run(call)
    return refused.value.status, refused.value.code


class TestResolve:
    def test_by_id_and_by_ones_own_name_on_every_replica(self, replica: Replica, other: Replica, run: Run[Any]) -> None:
        voice = run(replica.add("alice", "主播 小红"))
        for voices in (replica.voices, other.voices):
            assert run(voices.resolve("alice", voice.id)) == voice
            assert run(voices.resolve("alice", "主播 小红")) == voice

    def test_the_same_look_is_the_same_name(self, replica: Replica, run: Run[Any]) -> None:
        voice = run(replica.add("alice", "caf\u00e9"))
        assert run(replica.voices.resolve("alice", "cafe\u0301")) == voice

    def test_anothers_private_voice_looks_the_same_as_none(self, replica: Replica, run: Run[Any]) -> None:
        voice = run(replica.add("alice", "narrator"))
        with pytest.raises(ApiError) as private:
            run(replica.voices.resolve("bob", voice.id))
        none = voice.id[:-1] + ("0" if voice.id[-1] != "0" else "1")
        with pytest.raises(ApiError) as missing:
            run(replica.voices.resolve("bob", none))
        assert private.value.message.replace(voice.id, none) == missing.value.message
        assert (private.value.status, private.value.code) == (404, "voice_not_found")
        assert refusal(run, replica.voices.resolve("bob", "narrator")) == (404, "voice_not_found")

    def test_a_shared_one_by_id_and_each_clients_own_by_name(self, replica: Replica, run: Run[Any]) -> None:
        shared = run(replica.add("alice", "narrator", scope="shared"))
        own = run(replica.add("bob", "narrator", "female"))
        assert run(replica.voices.resolve("bob", shared.id)) == shared
        assert run(replica.voices.resolve("bob", "narrator")) == own
        assert run(replica.voices.resolve("alice", "narrator")) == shared

    @pytest.mark.parametrize(
        "name", ["", "../..", "voice_", "x" * 10_000, "a/b", "\ud800", "voice.json", "names", "\0"]
    )
    def test_whatever_is_asked_for_is_only_not_found(self, replica: Replica, run: Run[Any], name: str) -> None:
        assert refusal(run, replica.voices.resolve("alice", name)) == (404, "voice_not_found")

    def test_a_known_voice_costs_no_question(self, replica: Replica, run: Run[Any]) -> None:
        run(replica.add("alice", "narrator"))
        run(replica.voices.resolve("alice", "narrator"))
        replica.store.close()  # whoever asks it now fails
        run(replica.voices.resolve("alice", "narrator"))


class TestDeletion:
    def test_elsewhere_it_is_gone_within_a_minute_and_its_sample_too(
        self, replica: Replica, other: Replica, run: Run[Any]
    ) -> None:
        voice = run(replica.add("alice", "narrator"))
        run(other.voices.resolve("alice", "narrator"))
        sample = Path(run(other.voices.reference(voice)).path)
        run(replica.delete(voice))
        assert refusal(run, replica.voices.resolve("alice", "narrator")) == (404, "voice_not_found")
        assert refusal(run, replica.voices.reference(voice)) == (404, "voice_not_found")
        for _ in range(4):
            other.clock.now += 15
            run(other.sweep())
        assert other.clock.now - 1000 == 60
        assert refusal(run, other.voices.resolve("alice", "narrator")) == (404, "voice_not_found")
        assert refusal(run, other.voices.reference(voice)) == (404, "voice_not_found")
        assert not sample.exists()
        assert other.sample_files() == []

    def test_it_is_not_used_after_that_time_even_if_nobody_swept(
        self, replica: Replica, other: Replica, run: Run[Any]
    ) -> None:
        voice = run(replica.add("alice", "narrator"))
        run(other.voices.resolve("alice", voice.id))
        run(replica.delete(voice))
        other.clock.now += 41
        assert refusal(run, other.voices.resolve("alice", voice.id)) == (404, "voice_not_found")

    def test_a_sample_that_was_just_handed_out_is_still_there_for_the_engine(
        self, replica: Replica, other: Replica, run: Run[Any]
    ) -> None:
        voice = run(replica.add("alice", "narrator"))
        reference = run(other.voices.reference(voice))
        run(replica.delete(voice))
        other.clock.now += 15
        run(other.sweep())
        assert refusal(run, other.voices.reference(voice)) == (404, "voice_not_found")
        assert Path(reference.path).exists()

    def test_its_name_is_free_again_for_another_voice(self, replica: Replica, other: Replica, run: Run[Any]) -> None:
        old = run(replica.add("alice", "narrator"))
        run(other.voices.resolve("alice", "narrator"))
        run(replica.delete(old))
        new = run(replica.add("alice", "narrator", "female"))
        other.clock.now += 41
        assert run(other.voices.resolve("alice", "narrator")) == new
        assert refusal(run, other.voices.resolve("alice", old.id)) == (404, "voice_not_found")


class TestReference:
    def test_it_is_downloaded_once_whoever_wants_it(
        self, replica: Replica, other: Replica, run: Run[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        voice = run(replica.add("alice", "narrator"))
        asked: list[str] = []
        get = Store.get

        async def counted(store: Store, key: str) -> bytes:
            asked.append(key)
            return await get(store, key)

        monkeypatch.setattr(Store, "get", counted)

        async def many() -> list[Any]:
            return await asyncio.gather(*(other.voices.reference(voice) for _ in range(20)))

        references = run(many())
        assert len({reference.path for reference in references}) == 1
        assert asked.count(sample_key(voice.id, voice.sha256)) == 1
        content = Path(references[0].path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == voice.sha256 == references[0].sha256
        assert Path(references[0].path).stat().st_mode & 0o777 == 0o600
        assert references[0].seconds == pytest.approx(voice.seconds)

    def test_equal_samples_of_two_clients_do_not_share_a_file(self, replica: Replica, run: Run[Any]) -> None:
        first = run(replica.add("alice", "narrator"))
        second = run(replica.add("bob", "narrator"))
        assert first.sha256 == second.sha256
        paths = [Path(run(replica.voices.reference(voice)).path) for voice in (first, second)]
        run(replica.delete(first))
        replica.clock.now += 45
        run(replica.sweep())
        assert [path.exists() for path in paths] == [False, True]

    def test_a_sample_that_was_changed_in_the_store_is_not_spoken_with(self, replica: Replica, run: Run[Any]) -> None:
        voice = run(replica.add("alice", "narrator"))
        run(replica.store.put(sample_key(voice.id, voice.sha256), b"RIFFother", "audio/wav"))
        assert refusal(run, replica.voices.reference(voice)) == (503, "store_unavailable")
        assert replica.sample_files() == []

    def test_unused_ones_go_and_come_back_when_wanted(self, replica: Replica, run: Run[Any]) -> None:
        voice = run(replica.add("alice", "narrator"))
        run(replica.voices.reference(voice))
        replica.clock.now += 601
        run(replica.sweep())
        assert replica.sample_files() == []
        assert Path(run(replica.voices.reference(voice)).path).exists()

    def test_used_ones_stay(self, replica: Replica, run: Run[Any]) -> None:
        voice = run(replica.add("alice", "narrator"))
        run(replica.voices.reference(voice))
        for _ in range(100):
            replica.clock.now += 15
            run(replica.sweep())
            run(replica.voices.reference(voice))
        assert len(replica.sample_files()) == 1

    def test_what_a_run_before_left_is_removed(self, tmp_path: Path, replica: Replica, run: Run[Any]) -> None:
        run(replica.voices.reference(run(replica.add("alice", "narrator"))))
        again = Replica(tmp_path / "objects", replica.work)
        assert again.sample_files() == []
        again.store.close()


class TestOutage:
    def test_a_known_voice_speaks_on_for_a_while_and_others_are_refused_at_once(
        self, replica: Replica, run: Run[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known = run(replica.add("alice", "narrator"))
        unknown = run(replica.add("alice", "another", "female"))
        run(replica.voices.reference(known))
        monkeypatch.setattr(Store, "failing_since", property(lambda _: datetime.now(timezone.utc)))
        monkeypatch.setattr(Store, "get", unreachable)
        assert run(replica.voices.reference(known)).sha256 == known.sha256
        for name in (unknown.id, "another"):
            assert refusal(run, replica.voices.resolve("alice", name)) == (503, "store_unavailable")
        replica.clock.now += 41  # by now it may have been deleted elsewhere
        assert refusal(run, replica.voices.resolve("alice", known.id)) == (503, "store_unavailable")
        assert refusal(run, replica.voices.reference(known)) == (503, "store_unavailable")
        run(replica.sweep())
        replica.clock.now += 10
        run(replica.sweep())
        assert replica.sample_files() == []


async def unreachable(_: Store, key: str) -> bytes:
    raise AssertionError(f"{key} was asked for")


class TestVisible:
    def test_ones_own_and_the_shared_ones_the_newest_first(
        self, replica: Replica, other: Replica, run: Run[Any]
    ) -> None:
        own = run(replica.add("alice", "narrator"))
        run(replica.add("bob", "private"))
        shared = run(replica.add("bob", "shared", "female", scope="shared"))
        assert run(other.voices.visible("alice")) == [shared, own]
        assert run(other.voices.visible("carol")) == [shared]
        run(replica.delete(shared))
        assert run(other.voices.visible("carol")) == []

    def test_a_record_that_cannot_be_read_is_told_as_an_outage(self, replica: Replica, run: Run[Any]) -> None:
        voice = run(replica.add("alice", "narrator"))
        run(replica.store.put(f"voices/{voice.id}/voice.json", b"[]", "application/json"))
        assert refusal(run, replica.voices.resolve("alice", voice.id)) == (503, "store_unavailable")
