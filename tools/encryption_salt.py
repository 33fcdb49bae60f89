"""Keeping the checkout clean: Pulumi writes `encryptionsalt:` into the tracked settings file of a passphrase stack.

The salt belongs to one machine's passphrase, so it must not be committed. A git filter, set in this checkout's own
configuration only, leaves the line out of what git compares and commits; .gitattributes names the files it is for.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tools.checkout import Checkout

FILTER = "indextts2-stack"
_CLEAN = "sed -e '/^encryptionsalt:/d'"
_SALT_LINE = re.compile(r"^encryptionsalt:.*\n?", re.MULTILINE)
_SECURE_VALUE = re.compile(r"^\s+(- )?[\"']?secure[\"']?:\s", re.MULTILINE)


def set_filter(checkout: Checkout) -> None:
    """Sets the filter, if the checkout is a git work tree of its own and does not have it yet."""
    if not _is_work_tree(checkout):
        return
    if _git(checkout, "config", "--local", "--get", f"filter.{FILTER}.clean").stdout.strip() != _CLEAN:
        _git(checkout, "config", "--local", f"filter.{FILTER}.clean", _CLEAN)


def remove_filter(checkout: Checkout) -> None:
    """Takes the filter out of the checkout's configuration."""
    if _is_work_tree(checkout):
        _git(checkout, "config", "--local", "--remove-section", f"filter.{FILTER}")


def tell_git(checkout: Checkout, file: Path) -> None:
    """Lets git note the file's new size when, past the filter, its content is the recorded one.

    git compares sizes before it filters (ie_modified in its read-cache.c), so it would call the file modified until it
    is added once. Adding content that is equal stages nothing; a file with real changes is left alone.
    """
    if not file.is_file() or not _is_work_tree(checkout):
        return
    name = file.name
    if not _git(checkout, "status", "--porcelain", "--", name).stdout.startswith(" M"):
        return
    if _git(checkout, "diff", "--quiet", "--", name).returncode == 0:
        _git(checkout, "add", "--", name)


def has_salt(file: Path) -> bool:
    """Whether a settings file has the salt's line."""
    return bool(_SALT_LINE.search(file.read_text(encoding="utf-8")))


def has_secrets(file: Path) -> bool:
    """Whether a settings file has encrypted values, which the salt is needed for."""
    return bool(_SECURE_VALUE.search(file.read_text(encoding="utf-8")))


def drop_salt(file: Path) -> None:
    """Removes the salt's line from a settings file."""
    file.write_text(_SALT_LINE.sub("", file.read_text(encoding="utf-8")), encoding="utf-8")


def _is_work_tree(checkout: Checkout) -> bool:
    return (checkout.root / ".git").exists() and _git(checkout, "rev-parse", "--is-inside-work-tree").returncode == 0


def _git(checkout: Checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
    """git in the checkout, whatever repository a hook's environment may point at."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", *arguments], cwd=checkout.root, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(["git", *arguments], 127, "", "git is not installed")
