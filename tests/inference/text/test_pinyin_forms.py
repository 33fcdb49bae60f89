"""Pinyin as IndexTTS2 reads it: the whole syllable table, in both versions' forms."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_server.engines.indextts2.spoken_text import marked, rendered
from speech_server.text.pinyin import number_pinyin
from speech_server.text.pinyin_forms import UNREADABLE, UnreadablePinyinError, marked_form, spelling
from speech_server.text.pinyin_syllables import SYLLABLES
from speech_server.text.pinyin_word import Syllable

READABLE = sorted(SYLLABLES - UNREADABLE)
# what upstream's normaliser takes for pinyin (TextNormalizer.PINYIN_TONE_PATTERN in indextts/utils/front.py)
UPSTREAM = re.compile(
    r"(?<![a-z])((?:[bpmfdtnlgkhjqxzcsryw]|[zcs]h)?(?:[aeiouüv]|[ae]i|u[aio]|ao|ou|i[aue]|[uüv]e|[uvü]ang?|uai"
    r"|[aeiuv]n|[aeio]ng|ia[no]|i[ao]ng)|ng|er)([1-5])",
    re.IGNORECASE,
)

syllables = st.builds(Syllable, st.sampled_from(READABLE), st.integers(1, 5), st.just(False))


class TestTable:
    def test_what_the_model_lacks_is_legal_pinyin(self) -> None:
        assert UNREADABLE < SYLLABLES
        assert len(READABLE) == 404

    @pytest.mark.parametrize("tone", [1, 2, 3, 4, 5])
    def test_every_syllable_is_what_upstream_looks_for_and_no_two_are_alike(self, tone: int) -> None:
        spelled = [spelling(Syllable(base, tone)) for base in READABLE]
        assert len(set(spelled)) == len(READABLE)
        for found in spelled:
            assert UPSTREAM.fullmatch(found), found
            # where pinyin writes u and means ü, the model wants V
            assert not re.match("[JQX]U", found)

    @pytest.mark.parametrize(
        ("base", "spelled"),
        [("ju", "JV2"), ("quan", "QVAN2"), ("xue", "XVE2"), ("jun", "JVN2"), ("jiong", "JIONG2"), ("lv", "LV2"),
         ("nve", "NVE2"), ("yu", "YU2"), ("yuan", "YUAN2"), ("lu", "LU2"), ("zhu", "ZHU2"), ("qiu", "QIU2")],
    )  # fmt: skip
    def test_spellings(self, base: str, spelled: str) -> None:
        assert spelling(Syllable(base, 2)) == spelled

    @pytest.mark.parametrize("base", sorted(UNREADABLE))
    def test_what_the_model_cannot_read_is_named(self, base: str) -> None:
        with pytest.raises(UnreadablePinyinError, match=f"{base}3"):
            marked_form(Syllable(base, 3))

    def test_erhua_is_a_character_of_its_own(self) -> None:
        assert marked_form(Syllable("wan", 2, erhua=True)) == "<你|WAN2>儿"


class TestInText:
    @pytest.mark.parametrize(
        ("written", "v2", "v25"),
        [
            ("你为什么yào zhèyàng做?", "你为什么YAO4 ZHE4YANG4做?", "你为什么<你|YAO4> <你|ZHE4><你|YANG4>做?"),
            ("我们去Xī'ān吧", "我们去XI1AN1吧", "我们去<你|XI1><你|AN1>吧"),
            ("péngyou的nǚ'ér", "PENG2YOU5的NV3ER2", "<你|PENG2><你|YOU5>的<你|NV3><你|ER2>"),
            ("去wánr", "去WAN2儿", "去<你|WAN2>儿"),
            ("yào3个", "YAO4 3个", "<你|YAO4> 3个"),
            ("OK, hello GPU", "OK, hello GPU", "OK, hello GPU"),
        ],
    )
    def test_both_forms(self, written: str, v2: str, v25: str) -> None:
        numbered = number_pinyin(written)
        assert rendered(marked(numbered, "2"), "2") == v2
        assert rendered(marked(numbered, "2.5"), "2.5") == v25

    @given(st.lists(st.one_of(st.sampled_from(["好", "，", "GPU ", " 3 ", "a"]), syllables), max_size=12))
    @settings(max_examples=300, deadline=None)
    def test_upstream_finds_every_syllable_again_in_order(self, parts: list[str | Syllable]) -> None:
        text = " ".join(map(str, parts))
        expected = [spelling(part) for part in parts if isinstance(part, Syllable)]
        inline = rendered(marked(text, "2"), "2")
        assert [match[0] for match in UPSTREAM.finditer(inline) if match[0].isupper()] == expected
        assert re.findall(r"<你\|([A-Z]+[1-5])>", marked(text, "2.5")) == expected
