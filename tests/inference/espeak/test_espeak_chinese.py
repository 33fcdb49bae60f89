"""Chinese to espeak's pinyin, and that the library's rules know every syllable that it can be given."""

from __future__ import annotations

import pytest

from speech_server.engines.espeak_chinese import (
    Mark,
    Unknown,
    Word,
    espeak_spelling,
    read_chinese,
    with_changed_tones,
)
from speech_server.engines.espeak_library import open_session
from speech_server.text.pinyin_syllables import SYLLABLES
from speech_server.text.pinyin_word import Syllable


def pinyin(text: str) -> str:
    words = [item for item in read_chinese(text) if isinstance(item, Word)]
    return " ".join("".join(map(str, word.syllables)) for word in with_changed_tones(words))


class TestReading:
    @pytest.mark.parametrize(
        ("text", "read"),
        [
            ("你好", "ni3hao3"),
            ("你为什么要这样做?", "ni3 wei4shen2me5 yao4 zhe4yang4 zuo4"),
            ("你为什么yao4 zhe4yang4做?", "ni3 wei4shen2me5 yao4 zhe4yang4 zuo4"),
            ("银行行长", "yin2hang2 hang2zhang3"),
            ("重庆的重量", "chong2qing4 de5 zhong4liang4"),
            ("兄弟", "xiong1di4"),
            ("2026年有35个", "er4 ling2 er4 liu4 nian2 you3 san1 shi2 wu3 ge4"),
            ("还hai2没", "hai2 hai2 mei2"),
            ("嗯，绿女儿", "en2 lv4 nv3er2"),
            ("25℃", "er4 shi2 wu3 she4shi4du4"),
        ],
    )
    def test_hanzi_numbers_and_the_callers_pinyin(self, text: str, read: str) -> None:
        assert pinyin(text) == read

    def test_a_correction_is_kept_against_the_dictionary(self) -> None:
        assert pinyin("长大") == "zhang3da4"
        assert pinyin("chang2大") == "chang2 da4"

    def test_marks_and_unknown_characters_are_told_apart(self) -> None:
        assert [*read_chinese("好，\U0002a6d6 \n")] == [
            Word((Syllable("hao", 3),), "好"), Mark("，"), Unknown("\U0002a6d6"), Mark("\n")
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "read"),
        [
            ("不是", "bu2shi4"), ("不好", "bu4hao3"), ("一天", "yi4 tian1"), ("一个", "yi2ge4"), ("一年", "yi4nian2"),
            ("一次", "yi2ci4"), ("第一次", "di4 yi1ci4"), ("十一个", "shi2yi1 ge4"), ("一月", "yi1yue4"),
            ("唯一", "wei2yi1"), ("一下", "yi2xia4"), ("差不多", "cha4bu5duo1"),
            ("2011年", "er4 ling2 yi1 yi1 nian2"), ("一百", "yi4bai3"), ("bu4是yi1天", "bu4 shi4 yi1 tian1"),
        ],
    )  # fmt: skip
    def test_the_tones_of_one_and_not(self, text: str, read: str) -> None:
        assert pinyin(text).replace(" ", "") == read.replace(" ", "")


class TestSpelling:
    def test_the_library_reads_every_syllable_in_every_tone_as_one_chinese_syllable(self) -> None:
        tones = {1: "55", 2: "35", 3: "214", 4: "51", 5: "11"}
        wrong: list[tuple[str, str]] = []
        with open_session() as session:
            session.set_voice("cmn-latn-pinyin")
            for base in sorted(SYLLABLES):
                for tone, contour in tones.items():
                    spelled = espeak_spelling(Word((Syllable(base, tone),), ""))
                    if spelled.startswith("[["):
                        continue
                    read = session.phonemes(spelled)
                    digits = "".join(character for character in read if character.isdigit())
                    # "(en)" is how the library says that it went over to English
                    if "(en)" in read or digits != contour:
                        wrong.append((spelled, read))
        assert wrong == []

    @pytest.mark.parametrize("base", ["jiong", "qiong", "xiong"])
    def test_syllables_that_the_library_lacks_are_given_by_sound(self, base: str) -> None:
        spelled = espeak_spelling(Word((Syllable(base, 1),), ""))
        with open_session() as session:
            session.set_voice("cmn-latn-pinyin")
            assert "(en)" in session.phonemes(f"{base}1"), "the library has learnt it: give it as it is"
            by_sound = session.say(spelled, lambda: False, phonemes=True)
            yong = session.say("yong1", lambda: False)
        assert by_sound is not None
        assert yong is not None
        # one syllable: its consonant and then yong
        assert yong.size < by_sound.size < 2.2 * yong.size

    def test_erhua_is_a_short_er(self) -> None:
        assert espeak_spelling(Word((Syllable("wan", 2, erhua=True),), "")) == "wan2er5"

    def test_a_third_tone_before_a_third_tone_rises(self) -> None:
        with open_session() as session:
            session.set_voice("cmn-latn-pinyin")
            third, second = (session.say(text, lambda: False) for text in ("ni3hao3", "ni2hao3"))
        with open_session() as session:
            session.set_voice("cmn-latn-pinyin")
            second_first = session.say("ni2hao3", lambda: False)
        assert third is not None
        assert second is not None
        assert second_first is not None
        # the library changes it by itself: said first in a session, ni3hao3 is ni2hao3 sample by sample
        assert third.tolist() == second_first.tolist()
