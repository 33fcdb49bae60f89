"""How a voice comes in and goes out when others do the same, and when the store fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speech_server.errors import ApiError
from speech_server.storage.store import Store, StoreError
from speech_server.voices.statements import check_statements
from speech_server.voices.voice import Voice
from tests.inference.voices.conftest import Replica, Run, statements
from tests.inference.voices.speech import NOT_SPEECH
from tests.inference.voices.test_registry import refusal


async def keys_of(replica: Replica, prefix: str = "") -> list[str]:
    return [found.key async for found in replica.store.list(prefix)]


def fail_on(monkeypatch: pytest.MonkeyPatch, method: str, matches: Callable[[str], bool]) -> list[str]:
    """Let the store's `method` fail on the keys that match, until the list that is returned is cleared of "armed"."""
    state = ["armed"]
    real = getattr(Store, method)

    async def failing(store: Store, key: str, *rest: Any, **more: Any) -> Any:
        if "armed" in state and matches(key):
            state.append(key)
            raise StoreError("the disk is full")
        return await real(store, key, *rest, **more)

    monkeypatch.setattr(Store, method, failing)
    return state


class TestAdd:
    def test_what_is_kept_of_it(self, replica: Replica, run: Run[Any]) -> None:
        voice = run(replica.add("alice", "narrator"))
        assert (voice.owner, voice.name, voice.scope) == ("alice", "narrator", "private")
        keys = run(keys_of(replica, "voices/"))
        assert f"voices/{voice.id}/voice.json" in keys
        assert f"voices/{voice.id}/{voice.sha256}.wav" in keys
        assert len(keys) == 3
        entries = run(replica.registration.audit.entries("alice", None, 10))
        assert [(entry.action, entry.by, entry.voice, entry.sha256) for entry in entries] == [
            ("added", "alice", voice.id, voice.sha256)
        ]
        assert (entries[0].consent, entries[0].source) == (voice.consent, voice.source)

    def test_the_same_again_is_the_same_voice_and_another_is_refused(
        self, replica: Replica, other: Replica, run: Run[Any]
    ) -> None:
        voice = run(replica.add("alice", "narrator"))
        assert run(other.add("alice", "narrator")) == voice
        assert refusal(run, other.add("alice", "narrator", "female")) == (409, "voice_name_taken")
        assert refusal(run, other.add("alice", "narrator", scope="shared")) == (409, "voice_name_taken")
        assert refusal(run, other.add("alice", "narrator", consent="Somebody else agreed.")) == (
            409,
            "voice_name_taken",
        )
        assert len(run(keys_of(replica, "voices/"))) == 3

    def test_of_two_at_once_under_one_name_one_is_made(self, replica: Replica, other: Replica, run: Run[Any]) -> None:
        async def race() -> list[Any]:
            adds = [one.add("alice", "narrator", voice) for one in (replica, other) for voice in ("default", "female")]
            return await asyncio.gather(*adds, return_exceptions=True)

        results = run(race())
        voices = {result for result in results if isinstance(result, Voice)}
        assert len(voices) == 1
        assert {result.code for result in results if isinstance(result, ApiError)} == {"voice_name_taken"}
        assert run(replica.voices.visible("alice")) == list(voices)
        assert run(replica.voices.reference(voices.pop())).seconds > 2

    @pytest.mark.parametrize("part", ["names/", ".wav", "audit/", "voice.json"])
    def test_interrupted_anywhere_it_is_completed_by_the_next_try(
        self, replica: Replica, other: Replica, run: Run[Any], monkeypatch: pytest.MonkeyPatch, part: str
    ) -> None:
        state = fail_on(monkeypatch, "put", lambda key: part in key)
        assert refusal(run, replica.add("alice", "narrator")) == (503, "store_unavailable")
        assert run(other.voices.visible("alice")) == []
        assert refusal(run, other.voices.resolve("alice", "narrator")) == (404, "voice_not_found")
        state.clear()
        voice = run(other.add("alice", "narrator"))
        assert run(replica.voices.resolve("alice", "narrator")) == voice
        assert len(run(keys_of(replica, "voices/"))) == 3

    def test_what_was_deleted_meanwhile_does_not_come_back_without_its_name(
        self, replica: Replica, other: Replica, run: Run[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = run(replica.add("alice", "narrator"))
        get = Store.get

        async def deleted_after_the_claim_was_read(store: Store, key: str) -> bytes:
            content = await get(store, key)
            if store is other.store and "names/" in key:
                monkeypatch.setattr(Store, "get", get)
                await replica.delete(old)
            return content

        monkeypatch.setattr(Store, "get", deleted_after_the_claim_was_read)
        assert refusal(run, other.add("alice", "narrator")) == (503, "store_unavailable")
        assert run(keys_of(replica, "voices/")) == []
        new = run(other.add("alice", "narrator"))
        assert new.id != old.id
        assert run(replica.voices.resolve("alice", "narrator")) == new

    def test_no_voice_is_usable_without_an_entry(
        self, replica: Replica, run: Run[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail_on(monkeypatch, "put", lambda key: key.startswith("audit/"))
        assert refusal(run, replica.add("alice", "narrator")) == (503, "store_unavailable")
        assert not [key for key in run(keys_of(replica)) if key.endswith("voice.json")]

    def test_what_is_no_voice_leaves_nothing_behind(self, replica: Replica, run: Run[Any]) -> None:
        for audio, code in ((b"", "not_audio"), (b"RIFF", "not_audio"), (NOT_SPEECH, "audio_no_speech")):
            with pytest.raises(ApiError) as refused:
                run(replica.registration.add("alice", statements("x"), audio))
            assert (refused.value.status, refused.value.code, refused.value.param) == (400, code, "audio_sample")
        assert run(keys_of(replica)) == []

    def test_a_client_has_so_many_and_no_more(self, tmp_path: Path, run: Run[Any]) -> None:
        replica = Replica(tmp_path / "objects", tmp_path / "work", max_voices=2)
        for name in ("one", "two"):
            run(replica.add("alice", name))
        assert refusal(run, replica.add("alice", "three")) == (403, "too_many_voices")
        assert run(replica.add("alice", "two")).name == "two"  # the same again
        run(replica.add("bob", "three"))
        run(replica.delete(run(replica.voices.resolve("alice", "one"))))
        run(replica.add("alice", "three"))
        replica.store.close()


class TestDelete:
    def test_nothing_but_the_entries_is_left(self, replica: Replica, run: Run[Any]) -> None:
        voice = run(replica.add("alice", "narrator"))
        run(replica.registration.delete(voice, "root"))
        assert run(keys_of(replica, "voices/")) == []
        entries = run(replica.registration.audit.entries("alice", None, 10))
        assert [(entry.action, entry.by) for entry in entries] == [("added", "alice"), ("deleted", "root")]

    @pytest.mark.parametrize("part", ["names/", ".wav", "voice.json"])
    def test_interrupted_anywhere_it_can_be_tried_again(
        self, replica: Replica, other: Replica, run: Run[Any], monkeypatch: pytest.MonkeyPatch, part: str
    ) -> None:
        voice = run(replica.add("alice", "narrator"))
        state = fail_on(monkeypatch, "delete", lambda key: part in key)
        assert refusal(run, replica.registration.delete(voice, "alice")) == (503, "store_unavailable")
        state.clear()
        again = run(other.voices.resolve("alice", voice.id))
        run(other.registration.delete(again, "alice"))
        assert run(keys_of(replica, "voices/")) == []

    def test_without_an_entry_nothing_is_deleted(
        self, replica: Replica, run: Run[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        voice = run(replica.add("alice", "narrator"))
        fail_on(monkeypatch, "put", lambda key: key.startswith("audit/"))
        assert refusal(run, replica.registration.delete(voice, "alice")) == (503, "store_unavailable")
        assert run(replica.voices.resolve("alice", voice.id)) == voice

    def test_a_name_that_another_voice_has_by_now_is_left_to_it(self, replica: Replica, run: Run[Any]) -> None:
        old = run(replica.add("alice", "narrator"))
        run(replica.delete(old))
        new = run(replica.add("alice", "narrator", "female"))
        run(replica.registration.delete(old, "alice"))  # by a replica that had not heard of it
        assert run(replica.voices.resolve("alice", "narrator")) == new


class TestAudit:
    def test_pages_by_client_or_over_all(self, replica: Replica, run: Run[Any]) -> None:
        for client, name in (("alice", "one"), ("alice", "two"), ("bob", "three")):
            run(replica.add(client, name))
        audit = replica.registration.audit
        first = run(audit.entries("alice", None, 1))
        assert [entry.name for entry in first] == ["one"]
        assert [entry.name for entry in run(audit.entries("alice", first[0].id, 10))] == ["two"]
        assert [entry.name for entry in run(audit.entries(None, None, 10))] == ["one", "two", "three"]
        assert run(audit.entries("alice", "zzz", 10)) == []
        assert run(audit.entries("nobody", None, 10)) == []

    def test_a_name_that_begins_like_anothers_sees_nothing_of_it(self, replica: Replica, run: Run[Any]) -> None:
        run(replica.add("alice2", "one"))
        assert run(replica.registration.audit.entries("alice", None, 10)) == []


class TestStatements:
    GOOD = ("narrator", "The speaker agreed.", "Our own studio.", "private")

    def test_good_ones_are_kept_as_they_are(self) -> None:
        found = check_statements(
            "旁白 (女) No. 2", "她\r\n书面同意了我们使用她的声音。", "我们自己的录音棚,二〇二六年。", "shared", ()
        )
        assert (found.name, found.scope) == ("旁白 (女) No. 2", "shared")
        assert found.consent == "她\n书面同意了我们使用她的声音。"

    @pytest.mark.parametrize(
        ("place", "value", "problem"),
        [
            (0, None, "name is required"),
            (0, "", "1 to 64 characters, not 0"),
            (0, "x" * 65, "1 to 64 characters, not 65"),
            (0, " narrator", "has others"),
            (0, "a/b", "has others"),
            (0, "a\nb", "has others"),
            (0, "\u202eevil", "has others"),
            (0, "\ud800", "has others"),
            (0, "😀", "has others"),
            (0, "voice_" + "0" * 24, "looks like a voice's id"),
            (0, "alloy", "always there"),
            (0, "default", "always there"),
            (1, None, "consent is required: who allowed"),
            (1, "yes", "10 to 2,000 characters"),
            (1, " " * 50, "10 to 2,000 characters"),
            (1, "x" * 2001, "it has 2,001"),
            (1, "He agreed.\x00\x1b[31m", "control characters"),
            (2, None, "source is required: where the sample"),
            (2, "tape", "10 to 2,000 characters"),
            (3, "public", "private or shared, not 'public'"),
        ],
    )
    def test_a_wrong_one_is_named(self, place: int, value: str | None, problem: str) -> None:
        given: list[Any] = [*self.GOOD]
        given[place] = value
        with pytest.raises(ApiError) as refused:
            check_statements(*given, taken=("default",))
        assert problem in refused.value.message
        assert refused.value.param == ("name", "consent", "source", "scope")[place]
        assert refused.value.message.isprintable()
