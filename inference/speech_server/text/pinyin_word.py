"""One word in pinyin, run together and with tone marks, to its syllables."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from speech_server.text.pinyin_syllables import INTERJECTIONS, LONGEST_SYLLABLE, SYLLABLES

NEUTRAL = 5
APOSTROPHES = "'’‘ʼ`´"

# combining macron, acute, caron, grave; a breve is what keyboards without a caron offer
_TONE_OF_MARK = {"\u0304": 1, "\u0301": 2, "\u030c": 3, "\u0306": 3, "\u0300": 4}
_DIAERESIS = "\u0308"
# the letter shapes of Chinese primers
_LETTER_OF_SHAPE = {"ɑ": "a", "ɡ": "g"}
_VOWELS = frozenset("aeiouv")
_MARKABLE = _VOWELS | frozenset("nmg")

# What a reading of a word costs; the cheapest one is taken. GB/T 16159 wants an apostrophe before a syllable that
# starts with a, e or o inside a word, so "fǎngǎn" is fǎn + gǎn, and puts the mark on a fixed vowel. Both rules are
# often broken, so they weigh and do not decide.
_COST_NO_APOSTROPHE = 3
_COST_MISPLACED_MARK = 4
_COST_ERHUA = 4
_COST_NEUTRAL = 1


@dataclass(frozen=True)
class Syllable:
    """`base` is one of SYLLABLES, `tone` 1-4 or 5 for neutral, `erhua` says that it ends in a retroflex r (wánr)."""

    base: str
    tone: int
    erhua: bool = False

    def __str__(self) -> str:
        """The tone-numbered form: yao4, lv4, wanr2, de5."""
        return f"{self.base}{'r' if self.erhua else ''}{self.tone}"


@dataclass(frozen=True)
class Letter:
    """A letter of a word: a-z (`ü` is v), its tone mark (0: none), and where it stands in the text."""

    letter: str
    tone: int
    index: int
    after_apostrophe: bool


@dataclass(frozen=True)
class _Step:
    """The cheapest way to read the word up to here: its last syllable starts at letter `start`."""

    cost: int
    count: int
    start: int
    syllable: Syllable | None


class UnreadableError(ValueError):
    """No syllable can be read from `index` (in the text that the letters came from) on."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def letters_of(word: str, start: int) -> list[Letter] | None:
    """The letters of `word`, which stands at `start` in its text; None if it holds a letter that pinyin lacks.

    So words of other languages that show it (`façade`, `Škoda`, `mañana`, `Việt`) are not taken for pinyin.
    """
    letters: list[Letter] = []
    apostrophe = False
    for offset, character in enumerate(word):
        if character in APOSTROPHES:
            apostrophe = True
            continue
        for part in unicodedata.normalize("NFD", character.lower()):
            if not unicodedata.combining(part):
                letter = _LETTER_OF_SHAPE.get(part, part)
                if not "a" <= letter <= "z":
                    return None
                letters.append(Letter(letter, 0, start + offset, apostrophe))
                apostrophe = False
                continue
            marked = _with_mark(letters[-1], part) if letters else None
            if marked is None:
                return None
            letters[-1] = marked
    return letters


def syllables_of(letters: list[Letter]) -> tuple[Syllable, ...]:
    """The best reading of a word that carries at least one tone mark; a syllable without one is neutral.

    Raises UnreadableError where no legal syllable fits.
    """
    spelling = "".join(letter.letter for letter in letters)
    if spelling in INTERJECTIONS:
        return (Syllable(INTERJECTIONS[spelling], max(letter.tone for letter in letters)),)
    steps: list[_Step | None] = [None] * (len(letters) + 1)
    steps[0] = _Step(0, 0, 0, None)
    furthest = 0
    for start in range(len(letters)):
        before = steps[start]
        if before is None:
            continue
        furthest = start
        # longest first, and only a cheaper step replaces one: the longer syllable wins a tie
        for end in range(min(len(letters), start + LONGEST_SYLLABLE + 1), start, -1):
            found = _syllable(letters[start:end], first=start == 0)
            if found is None:
                continue
            step = _Step(before.cost + found[0], before.count + 1, start, found[1])
            rival = steps[end]
            if rival is None or (step.cost, step.count) < (rival.cost, rival.count):
                steps[end] = step
    if steps[-1] is None:
        raise UnreadableError(letters[_misspelt(letters, steps, furthest)].index)
    return _walked_back(steps)


def legal_base(spelling: str) -> str | None:
    """The entry of SYLLABLES that a spelling in a-z means, or None: `lv`, `lue` -> lve, `jv` -> ju."""
    if spelling in ("lue", "nue"):
        return spelling.replace("u", "v")
    if spelling[:1] in ("j", "q", "x", "y"):
        spelling = spelling.replace("v", "u")
    return spelling if spelling in SYLLABLES else None


def legal_syllable(spelling: str, tone: int) -> Syllable | None:
    """The syllable of a spelling in a-z that may end in the r of erhua, or None."""
    base = legal_base(spelling)
    if base is not None:
        return Syllable(base, tone)
    base = legal_base(spelling[:-1]) if spelling.endswith("r") else None
    return Syllable(base, tone, erhua=True) if base is not None else None


def _with_mark(letter: Letter, mark: str) -> Letter | None:
    if mark == _DIAERESIS and letter.letter == "u" and not letter.tone:
        return Letter("v", 0, letter.index, letter.after_apostrophe)
    if mark not in _TONE_OF_MARK or letter.tone or letter.letter not in _MARKABLE:
        return None
    return Letter(letter.letter, _TONE_OF_MARK[mark], letter.index, letter.after_apostrophe)


def _syllable(letters: list[Letter], first: bool) -> tuple[int, Syllable] | None:
    if any(letter.after_apostrophe for letter in letters[1:]):
        return None
    marked = [offset for offset, letter in enumerate(letters) if letter.tone]
    if len(marked) > 1:
        return None
    spelling = "".join(letter.letter for letter in letters)
    syllable = legal_syllable(spelling, letters[marked[0]].tone if marked else NEUTRAL)
    if syllable is None:
        return None
    cost = _COST_ERHUA if syllable.erhua else 0
    if not marked:
        cost += _COST_NEUTRAL
    elif marked[0] != _mark_place(spelling):
        cost += _COST_MISPLACED_MARK
    if not first and spelling[0] in "aeo" and not letters[0].after_apostrophe:
        cost += _COST_NO_APOSTROPHE
    return cost, syllable


def _mark_place(spelling: str) -> int:
    """Where the mark belongs: on a or e, else on the o of ou, else on the last vowel."""
    for sign in ("a", "e", "ou"):
        if sign in spelling:
            return spelling.index(sign)
    return max(offset for offset, letter in enumerate(spelling) if letter in _VOWELS)


def _misspelt(letters: list[Letter], steps: list[_Step | None], furthest: int) -> int:
    """The first letter of the syllable at fault: a rest without a vowel belongs to the syllable before (fóng, hǎok)."""
    step = steps[furthest]
    if step is None or any(letter.letter in _VOWELS for letter in letters[furthest:]):
        return furthest
    return step.start


def _walked_back(steps: list[_Step | None]) -> tuple[Syllable, ...]:
    syllables: list[Syllable] = []
    step = steps[-1]
    while step is not None and step.syllable is not None:
        syllables.append(step.syllable)
        step = steps[step.start]
    return tuple(reversed(syllables))
