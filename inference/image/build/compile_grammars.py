"""Compile the grammars of the `indextts2` engine's text normalisers into XDG_CACHE_HOME, where it looks for them.

It would else take minutes at every start of a container whose file system is read-only. Of indextts25-inference 0.2.0:
WeTextProcessing for Chinese and English, whose grammar comes compiled; NeMo for Spanish; none for the others.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

EXAMPLES = (
    ("zh", "12个苹果", "十二个苹果"),
    ("en", "12 apples", "twelve apples"),
    ("es", "12 manzanas", "doce manzanas"),
)
FILES = ("zh_tn_tagger.fst", "zh_tn_verbalizer.fst", "es-*.pkl")


def main() -> None:
    """Raises RuntimeError where a grammar is not there or does not work."""
    for language, text, expected in EXAMPLES:
        if (read := _read(text, language)) != expected:
            raise RuntimeError(f"the grammar of {language!r} reads {text!r} as {read!r}, not {expected!r}")
    check_compiled()


def check_compiled() -> None:
    """Raises RuntimeError for a grammar that would be compiled when it is first used."""
    folder = Path(os.environ["XDG_CACHE_HOME"])
    if missing := [name for name in FILES if not any(folder.rglob(name))]:
        raise RuntimeError(f"{folder} has no {', '.join(missing)}")


def _read(text: str, language: str) -> str | None:
    if language == "es":
        return importlib.import_module("indextts25.utils.nemo_tn").normalize_text(text, language)
    normaliser = importlib.import_module("indextts25.utils.front").TextNormalizer()
    if not normaliser.load():
        raise RuntimeError("WeTextProcessing did not load: is the extra `zh` installed?")
    return normaliser.normalize(text, language)


if __name__ == "__main__":
    main()
