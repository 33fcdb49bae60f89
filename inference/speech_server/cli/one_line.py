"""Text of others on a terminal."""

from __future__ import annotations


def one_line(text: str) -> str:
    """`text` on one line; nothing in it moves the terminal's cursor."""
    return "".join(character if character.isprintable() else " " for character in text)
