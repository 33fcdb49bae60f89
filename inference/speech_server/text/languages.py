"""Which language each stretch of a mixed text is spoken in: scripts first, then what they cannot tell.

`scripts.split_by_language` sees letters. This adds what a model of several languages needs: Spanish beside English,
Arabic, and Japanese words that are written without kana.
"""

from __future__ import annotations

import re

from speech_server.text.scripts import OTHER, Run, split_by_language

_ARABIC = "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufeff"
_ARABIC_RUN = re.compile(f"[{_ARABIC}][{_ARABIC}\\s\\d.,:;!?،؛؟\"'()-]*")
# Letters and marks that Spanish has and English has not.
_SPANISH = re.compile("[ñÑ¿¡]")
_SPANISH_WORDS = frozenset(
    [
        "el",
        "los",
        "las",
        "una",
        "unos",
        "que",
        "del",
        "por",
        "para",
        "con",
        "está",
        "qué",
        "cómo",
        "hola",
        "gracias",
        "muy",
        "pero",
        "también",
    ]
)
_WORD = re.compile(r"[^\W\d_]+")
# Characters of JIS X 0208 that most Chinese sentences hold, and that a Japanese sentence writes beside kana if at all.
_CHINESE_WORDS = frozenset("的了你您他她是在不我有也和就都很什要去好呢吧啊")
# A letter or two of a third script inside a sentence are a symbol (the π of 3.14), not another language.
_SYMBOL_LETTERS = 2
CJK = ("zh", "ja", "ko")


def language_runs(text: str, hint: str | None = None) -> list[Run]:
    """Runs of one language: zh, en, es, ja, ko, ar or "other". Joined they are the text, and neighbours differ.

    `hint` (BCP 47) decides between languages of one script. A run of Chinese characters without kana is Japanese if
    other runs are, and it holds no character that only Chinese uses.
    """
    hinted = (hint or "").split("-")[0].lower()
    runs: list[Run] = []
    for run in split_by_language(text, hint):
        if run.language == OTHER:
            runs.extend(_arabic_and_other(run.text))
        elif run.language == "en":
            runs.append(Run("es" if _is_spanish(run.text, hinted) else "en", run.text))
        else:
            runs.append(run)
    if hinted != "zh" and any(run.language == "ja" for run in runs):
        runs = [Run("ja", run.text) if run.language == "zh" and may_be_japanese(run.text) else run for run in runs]
    return _merged(runs)


def may_be_japanese(text: str) -> bool:
    """Whether Chinese characters without kana can be Japanese words: no simplified one and no Chinese particle."""
    try:
        # simplified characters are not in JIS X 0208
        text.encode("shift_jis", "strict")
    except UnicodeEncodeError:
        return False
    return not any(character in _CHINESE_WORDS for character in text)


def spoken_as_one(runs: list[Run]) -> list[Run]:
    """Runs as a speaker of the languages would say them: Latin words inside Chinese, Japanese or Korean stay in it.

    One sentence in, at most one run for each change between Chinese, Japanese, Korean and the rest out.
    """
    runs = _symbols_joined(runs)
    if not any(run.language in CJK for run in runs):
        return runs
    joined: list[Run] = []
    pending = ""
    for run in runs:
        if run.language in ("en", "es") and joined and joined[-1].language in CJK:
            joined[-1] = Run(joined[-1].language, joined[-1].text + run.text)
        elif run.language in ("en", "es"):
            pending += run.text
        else:
            joined.append(Run(run.language, pending + run.text if run.language in CJK else run.text))
            if run.language not in CJK and pending:
                joined.insert(-1, Run("en", pending))
            pending = ""
    if pending:
        joined.append(Run("en", pending))
    return _merged(joined)


def _symbols_joined(runs: list[Run]) -> list[Run]:
    joined: list[Run] = []
    pending = ""
    for run in runs:
        symbol = run.language == OTHER and sum(map(str.isalpha, run.text)) <= _SYMBOL_LETTERS
        if symbol and joined:
            joined[-1] = Run(joined[-1].language, joined[-1].text + run.text)
        elif symbol:
            pending += run.text
        else:
            joined.append(Run(run.language, pending + run.text))
            pending = ""
    if pending:
        joined.append(Run(OTHER, pending))
    return _merged(joined)


def _arabic_and_other(text: str) -> list[Run]:
    runs: list[Run] = []
    done = 0
    for match in _ARABIC_RUN.finditer(text):
        if match.start() > done:
            runs.append(Run(OTHER, text[done : match.start()]))
        runs.append(Run("ar", match[0]))
        done = match.end()
    if done < len(text):
        runs.append(Run(OTHER, text[done:]))
    return runs


def _is_spanish(text: str, hinted: str) -> bool:
    if hinted in ("en", "es"):
        return hinted == "es"
    if _SPANISH.search(text):
        return True
    words = [word.lower() for word in _WORD.findall(text)]
    # one word in four: English text quotes a Spanish name or two
    return sum(word in _SPANISH_WORDS for word in words) * 4 > len(words)


def _merged(runs: list[Run]) -> list[Run]:
    merged: list[Run] = []
    for run in runs:
        if merged and merged[-1].language == run.language:
            merged[-1] = Run(run.language, merged[-1].text + run.text)
        else:
            merged.append(run)
    return merged
