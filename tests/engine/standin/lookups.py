"""Answers to the functions that a program calls, as an account of the vendor would give them.

A function without an answer here is refused, and so is an argument that the SDK does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.engine.standin import alicloud_lookups, aws_lookups
from tests.engine.standin.account import Account, RefusedError

ANSWERS: Mapping[str, Callable[[Account, str, Mapping[str, Any]], dict[str, Any]]] = {
    **aws_lookups.ANSWERS,
    **alicloud_lookups.ANSWERS,
}


def answer(account: Account, token: str, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The function's result. Raises RefusedError for a function that has none here, or what the account refuses."""
    found = ANSWERS.get(token)
    if found is None:
        raise RefusedError(f"the stand-in has no answer for {token}; standin/*_lookups.py hold them")
    if token in account.denied:
        raise RefusedError(f"AccessDeniedException: not authorized to perform {token.rpartition(':')[2]}")
    return found(account, arguments.get("region") or region, arguments)
