"""Pins the workflows' actions by commit: `python -m tools.pin_actions` asks GitHub what each tag stands for.

`uses: owner/name@v1.2.3` becomes `uses: owner/name@COMMIT # v1.2.3`; what is pinned is checked against its tag.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

from tools.checkout import here
from tools.failure import SetupError, exit_status

_USES = re.compile(
    r"(?P<head>\buses:\s*)(?P<action>[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)(?P<path>/[A-Za-z0-9_./-]+)?"
    r"@(?P<version>\S+)(?:[ \t]*#[ \t]*(?P<tag>\S+))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def main(arguments: list[str]) -> None:
    """Rewrites the workflows. `--check` asks nobody and only refuses what is not pinned by a commit."""
    for file in sorted((here().root / ".github" / "workflows").glob("*.yml")):
        text = file.read_text(encoding="utf-8")
        if "--check" in arguments:
            loose = unpinned(text)
            if loose:
                raise SetupError(f"{file.name}: {', '.join(loose)} by no commit; run `make pin-actions`")
            continue
        file.write_text(pinned(text, commit_of), encoding="utf-8")
        print(f"{file.name}: pinned")


def unpinned(text: str) -> list[str]:
    """The actions of a workflow that no commit, with the tag that it is, pins."""
    return [
        f"{found['action']}@{found['version']}"
        for found in _USES.finditer(text)
        if not (_COMMIT.fullmatch(found["version"]) and found["tag"])
    ]


def pinned(text: str, commit_of: Callable[[str, str], str]) -> str:
    """The workflow with each action at the commit of its tag. Raises SetupError where a commit is not its tag's."""

    def pin(found: re.Match[str]) -> str:
        is_commit = _COMMIT.fullmatch(found["version"]) is not None
        tag = found["tag"] if is_commit else found["version"]
        if not tag:
            raise SetupError(f"{found['action']}@{found['version']}: say in a comment which release this commit is")
        commit = commit_of(found["action"], tag)
        if is_commit and commit != found["version"]:
            raise SetupError(
                f"{found['action']}: {tag} is {commit}, and the workflow has {found['version']}. A release's tag does "
                "not move: find out which of both is meant before anything runs"
            )
        return f"{found['head']}{found['action']}{found['path'] or ''}@{commit} # {tag}"

    return _USES.sub(pin, text)


def commit_of(action: str, tag: str) -> str:
    """The commit that a tag of the action's repository stands for, asked of GitHub. Raises SetupError."""
    url = f"https://github.com/{action}"
    wanted = [f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}"]
    done = subprocess.run(["git", "ls-remote", url, *wanted], capture_output=True, text=True, check=False)
    rows = [line.split() for line in done.stdout.splitlines()]
    if done.returncode or not rows:
        raise SetupError(f"{url} does not tell what {tag} is: {done.stderr.strip() or 'it has no such tag'}")
    # An annotated tag is an object of its own; `^{}` is the commit behind it.
    return next((commit for commit, name in rows if name.endswith("^{}")), rows[0][0])


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
