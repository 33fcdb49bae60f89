"""The comments of a pull request, one a stack, each changed in its place: `python -m tools.plan.comments FOLDER`.

FOLDER holds STACK.md for each stack that the change can touch. It may come from a job that ran the pull request's own
code, so nothing in it is trusted: it becomes text of a comment and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.failure import SetupError, exit_status
from tools.github_api import GitHubApi
from tools.plan.markdown import MAX_CHARACTERS, marker

_MARKER = re.compile(r"<!-- indextts2-plan:([A-Za-z0-9_.-]{1,100}) -->")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_MAX_PAGES = 50


@dataclass(frozen=True)
class Comment:
    """One that this tool wrote earlier."""

    id: int
    stack: str
    body: str


@dataclass(frozen=True)
class Write:
    """What is to be done: a new comment (`id` None) or another text of one."""

    id: int | None
    stack: str
    body: str


def main(arguments: list[str]) -> None:
    """Reads GITHUB_TOKEN, GITHUB_REPOSITORY, PULL_REQUEST, GITHUB_API_URL and TOUCHED from the environment.

    TOUCHED: JSON of lists of the stacks whose plans should be there, as `tools.plan.touched` gives them.
    """
    if len(arguments) != 1:
        raise SetupError("give the folder with the plans")
    pull_request = PullRequest.of(os.environ)
    texts = complete(read_texts(Path(arguments[0])), touched_stacks(os.environ.get("TOUCHED") or "[]"))
    for write in decide(texts, pull_request.comments()):
        pull_request.write(write)
        print(f"{'made' if write.id is None else 'changed'} the comment of {write.stack}")


def read_texts(folder: Path) -> dict[str, str]:
    """Stack -> comment of every plan in the folder. Raises SetupError for a name that no stack has."""
    texts = {}
    for file in sorted(folder.glob("*.md")):
        if not _NAME.fullmatch(file.stem) or file.is_symlink() or not file.is_file():
            raise SetupError(f"{file.name!r} is no plan of a stack")
        with file.open(encoding="utf-8", errors="replace") as opened:
            text = opened.read(MAX_CHARACTERS + 2000)
        # Whose comment it is this tool says, not the file.
        texts[file.stem] = f"{marker(file.stem)}\n{_MARKER.sub('', text).strip()}\n"
    return texts


def touched_stacks(text: str) -> list[str]:
    """The names in lists of lists of `{"name": ...}`. Raises SetupError for anything else."""
    try:
        names = [row["name"] for rows in json.loads(text) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(f"TOUCHED is no list of lists of stacks ({type(error).__name__})") from None
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise SetupError("TOUCHED names what can be no stack")
    return names


def complete(texts: Mapping[str, str], expected: Iterable[str]) -> dict[str, str]:
    """`texts`, and for an expected stack without one that its preview did not get so far."""
    missing = {
        name: f"{marker(name)}\n### <code>{name}</code>: **the preview did not finish**\n\nIts job says why; nothing "
        "is known of what this pull request would change.\n"
        for name in expected
        if name not in texts
    }
    return {**texts, **missing}


def decide(texts: Mapping[str, str], comments: list[Comment]) -> list[Write]:
    """What brings the comments to `texts`: what is there is changed, not repeated; what no longer holds says so."""
    earlier: dict[str, Comment] = {}
    for comment in comments:
        earlier.setdefault(comment.stack, comment)
    writes = [
        Write(earlier[stack].id if stack in earlier else None, stack, text)
        for stack, text in texts.items()
        if stack not in earlier or earlier[stack].body.strip() != text.strip()
    ]
    for stack, comment in earlier.items():
        gone = f"{marker(stack)}\n### <code>{stack}</code>: this pull request no longer touches it\n"
        if stack not in texts and comment.body.strip() != gone.strip():
            writes.append(Write(comment.id, stack, gone))
    return writes


class PullRequest:
    """The comments of one pull request: https://docs.github.com/en/rest/issues/comments"""

    def __init__(self, github: GitHubApi, number: int) -> None:
        self._github = github
        self._number = number

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> PullRequest:
        """Number PULL_REQUEST. Raises SetupError that names what is missing or wrong."""
        number = environment.get("PULL_REQUEST", "")
        if not (number.isascii() and number.isdecimal()):
            raise SetupError(f"PULL_REQUEST={number!r} is no pull request's number")
        return cls(GitHubApi.of(environment), int(number))

    def comments(self) -> list[Comment]:
        """Those that a workflow wrote and that carry a plan's marker. Anybody can write the marker; nobody else's
        comment is touched."""
        found = []
        for row in self._all():
            match = _MARKER.match(row.get("body") or "")
            if match and (row.get("user") or {}).get("type") == "Bot":
                found.append(Comment(int(row["id"]), match[1], row["body"]))
        return found

    def write(self, write: Write) -> None:
        """Makes or changes one comment."""
        if write.id is None:
            self._github.call("POST", f"issues/{self._number}/comments", {"body": write.body})
        else:
            self._github.call("PATCH", f"issues/comments/{write.id}", {"body": write.body})

    def _all(self) -> Iterator[dict[str, Any]]:
        for page in range(1, _MAX_PAGES + 1):
            rows = self._github.call("GET", f"issues/{self._number}/comments?per_page=100&page={page}")
            yield from rows
            if len(rows) < 100:
                return


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
