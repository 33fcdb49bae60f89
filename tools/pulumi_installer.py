"""Pulumi's own installer script: fetched if its site answers at once, run so that it stays out of the user's home."""

from __future__ import annotations

import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tools.follow import follow
from tools.progress import Step

DEFAULT_INSTALLER = "https://get.pulumi.com/install.sh"  # the address that Pulumi's own SDKs install from
SECONDS_TO_ANSWER = 3.0
SECONDS_TO_INSTALL = 900.0
_LARGEST_SCRIPT = 1 << 20


def install(version: str, root: Path, environment: Mapping[str, str], current: Step) -> str | None:
    """Installs the release into `root`/bin. Gives why it could not, None when it did.

    INDEXTTS2_PULUMI_INSTALLER names another address of the script (a mirror).
    """
    url = environment.get("INDEXTTS2_PULUMI_INSTALLER") or DEFAULT_INSTALLER
    current.live(f"asking {url}")
    script, failed = fetch(url)
    if script is None:
        return f"the installer {url}: {failed}"
    home = root / "home"
    home.mkdir()
    file = home / "install.sh"
    file.write_bytes(script)
    current.say(f"installing with {url}")
    command = ["sh", str(file), "--version", version, "--install-root", str(root), "--no-edit-path"]
    # The script would otherwise look at, and once wrote to, ~/.pulumi and the shell's start files.
    finished = follow(
        command,
        lambda line: current.live(line or "the installer is working"),
        env={**environment, "HOME": str(home), "SHELL": "/bin/sh"},
        cwd=home,
        limit=SECONDS_TO_INSTALL,
    )
    if finished.timed_out:
        return f"the installer {url} did not finish within {SECONDS_TO_INSTALL:.0f} s"
    if finished.status != 0:
        return f"the installer {url} ended with status {finished.status}: {' / '.join(finished.tail[-3:])}"
    shutil.rmtree(home)
    return None


def fetch(url: str) -> tuple[bytes | None, str]:
    """The script, or why not. The time limit is on the whole: a name that does not resolve can block for long."""
    outcome: list[tuple[bytes | None, str]] = []

    def work() -> None:
        outcome.append(_download(url))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(SECONDS_TO_ANSWER)
    return outcome[0] if outcome else (None, f"no answer within {SECONDS_TO_ANSWER:.0f} s")


def _download(url: str) -> tuple[bytes | None, str]:
    if not url.startswith(("https://", "http://")):
        return None, "not an http(s) address"
    try:
        with urllib.request.urlopen(url, timeout=SECONDS_TO_ANSWER) as answer:  # noqa: S310 (the scheme is checked above)
            script = answer.read(_LARGEST_SCRIPT)
    except (urllib.error.URLError, OSError, ValueError) as error:
        return None, str(getattr(error, "reason", error))
    if not script.startswith(b"#!"):  # a captive portal's page, for example
        return None, "answered with something that is no script"
    return script, ""
