"""The real library: what it says, that it forgets, and that text stays text."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from speech_server.engines.espeak_library import SAMPLE_RATE, EspeakError, Session, open_session

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def never() -> bool:
    return False


@pytest.fixture
def session() -> Iterator[Session]:
    with open_session() as opened:
        yield opened


def said(session: Session, voice: str, text: str) -> np.ndarray:
    session.set_voice(voice)
    samples = session.say(text, never)
    assert samples is not None
    return samples


class TestSay:
    def test_english_and_mandarin(self, session: Session) -> None:
        for voice, text in (("en-us", "Hello there."), ("cmn-latn-pinyin", "ni3hao3")):
            samples = said(session, voice, text)
            assert samples.dtype == np.float32
            assert 0.3 < samples.size / SAMPLE_RATE < 1.5
            assert 0.1 < np.abs(samples).max() <= 1

    def test_the_version_is_told(self, session: Session) -> None:
        assert session.version.startswith("1.")

    def test_an_unknown_voice_is_named(self, session: Session) -> None:
        with pytest.raises(EspeakError, match="'xx-nothing'"):
            session.set_voice("xx-nothing")

    def test_no_text_is_no_sound(self, session: Session) -> None:
        assert np.abs(said(session, "en-us", "")).max(initial=0) == 0


class TestText:
    @pytest.mark.parametrize(
        ("hostile", "harmless"),
        [
            ("a \x01 b", "a   b"), ("a\x00b", "a b"), ("say \x0150S fast", "say  50S fast"), ("x\x1b[2Jy", "x [2Jy"),
            ("a\x9fb", "a b"),
        ],
    )  # fmt: skip
    def test_control_characters_are_blanks(self, session: Session, hostile: str, harmless: str) -> None:
        session.set_voice("en-us")
        assert session.phonemes(hostile) == session.phonemes(harmless)

    def test_everything_after_a_nul_is_spoken(self, session: Session) -> None:
        assert said(session, "en-us", "one\x00two three four").size > 2 * said(session, "en-us", "one").size

    def test_markup_is_text(self) -> None:
        text = '<speak><prosody rate="10%">slow</prosody></speak> &lt; [[h@l\'oU]]'
        with open_session() as session:
            markup = said(session, "en-us", text).size
            slow = said(session, "en-us", "slow").size
        # read as markup it would be one word and a half
        assert markup > 10 * slow

    def test_an_audio_tag_opens_no_file(self, session: Session, tmp_path: Path) -> None:
        wav = tmp_path / "x.wav"
        wav.write_bytes(b"RIFF")
        assert said(session, "en-us", f'<audio src="{wav}"/>').size > SAMPLE_RATE

    @pytest.mark.parametrize("text", ["\ud800", "😀" * 200, "\ufffe\uffff", "\u202e" * 100, "a" * 5000, "( [ {" * 300])
    def test_odd_text_does_no_harm(self, session: Session, text: str) -> None:
        said(session, "en-us", text)
        assert said(session, "en-us", "still here").size > 0


class TestForgetting:
    def test_equal_words_in_new_sessions_are_equal_samples_whatever_was_said_between(self) -> None:
        with open_session() as session:
            first = said(session, "en-us", "The same words.")
        with open_session() as session:
            said(session, "cmn-latn-pinyin+f3", "wo3 shuo1 le5 bie2de5")
            session.set_voice("en-us+f3")
            assert session.say("Something else, cut off soon. " * 20, lambda: True) is None
        with open_session() as session:
            assert np.array_equal(said(session, "en-us", "The same words."), first)

    def test_without_a_new_session_they_differ(self, session: Session) -> None:
        # the reason for sessions: if a later library forgets by itself, they can go
        first = said(session, "en-us", "The same words.")
        assert not np.array_equal(said(session, "en-us", "The same words."), first)

    @ON_LINUX
    def test_it_is_unloaded(self) -> None:
        with open_session():
            assert "libespeak-ng" in Path("/proc/self/maps").read_text()
        assert "libespeak-ng" not in Path("/proc/self/maps").read_text()

    @ON_LINUX
    def test_many_sessions_keep_no_memory(self) -> None:
        def resident_pages() -> int:
            return int(Path("/proc/self/statm").read_text().split()[1])

        def one() -> None:
            with open_session() as session:
                said(session, "cmn-latn-pinyin", "ni3hao3")

        for _ in range(50):
            one()
        before = resident_pages()
        for _ in range(300):
            one()
        # the Mandarin dictionary alone is 1.5 MB: 300 of them would be 110,000 pages
        assert resident_pages() - before < 1000


class TestStop:
    def test_it_is_asked_often_and_stops_the_work(self, session: Session) -> None:
        asked = 0

        def after_three() -> bool:
            nonlocal asked
            asked += 1
            return asked > 3

        session.set_voice("en-us")
        assert session.say("A long story, told slowly. " * 100, after_three) is None
        assert asked <= 6

    def test_from_another_thread(self, session: Session) -> None:
        started, stop = threading.Event(), threading.Event()

        def watched() -> bool:
            started.set()
            return stop.wait(60) and stop.is_set()

        answers: list[np.ndarray | None] = []
        session.set_voice("en-us")
        thread = threading.Thread(target=lambda: answers.append(session.say("story " * 500, watched)))
        thread.start()
        assert started.wait(60)
        stop.set()
        thread.join(10)
        assert answers == [None]

    def test_what_the_question_raises_is_passed_on(self, session: Session) -> None:
        def broken() -> bool:
            raise RuntimeError("the pipe is gone")

        session.set_voice("en-us")
        with pytest.raises(RuntimeError, match="the pipe is gone"):
            session.say("Hello", broken)


class TestPlaces:
    def test_data_in_a_long_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # the library keeps the path in 160 bytes
        far = tmp_path / ("x" * 100) / ("y" * 100) / "espeak-ng-data"
        shutil.copytree(espeakng_loader.get_data_path(), far)
        monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(far))
        with open_session() as session:
            assert said(session, "cmn-latn-pinyin", "ni3hao3").size > 0

    def test_missing_data_is_an_error_that_names_the_place(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path / "gone"))
        with pytest.raises(EspeakError, match="gone"), open_session():
            pass

    def test_a_missing_library_is_an_error_that_names_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(tmp_path / "lib.so"))
        with pytest.raises(EspeakError, match=r"lib\.so"), open_session():
            pass
