"""Questions to an account, which may refuse each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def ask(question: Callable[..., T], *arguments: Any) -> tuple[T, None] | tuple[None, str]:
    """The answer, or why there is none: the SDKs raise a plain Exception for everything that a cloud refuses."""
    try:
        return question(*arguments), None
    except Exception as error:
        return None, in_brief(error)


def in_brief(error: Exception) -> str:
    """One line of what the cloud said."""
    return " ".join(str(error).split())[:400]
