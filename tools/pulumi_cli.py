"""The Pulumi CLI: the one on PATH if it will do, else from the cache, the official installer, or built from source."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.checkout import Checkout
from tools.failure import SetupError
from tools.progress import Step, step
from tools.pulumi_build import build, module_version
from tools.pulumi_cache import PulumiCache, cache_root
from tools.pulumi_installer import install

LANGUAGE_HOST = "pulumi-language-python"
Version = tuple[int, int, int]


@dataclass(frozen=True)
class Found:
    """A CLI that will do: the directory that `pulumi` is in, and its version."""

    directory: Path
    version: str


def ensure(checkout: Checkout, environment: Mapping[str, str]) -> Path:
    """The directory of a CLI that is at least the pinned version; records it in the checkout.

    The pinned version (of tools/pulumi/cli/go.mod) is also the least that a CLI on PATH must have: it is the oldest
    with which this project was run. Raises SetupError that says what was tried and what to do.
    """
    with step("Pulumi CLI") as current:
        pinned = pinned_version(checkout)
        found, tried = _find_or_install(checkout, pinned, environment, current)
        if found is None:
            raise SetupError(_nothing_worked(pinned, tried))
        checkout.local.mkdir(mode=0o700, exist_ok=True)
        checkout.pulumi_bin_record.write_text(f"{found.directory}\n", encoding="utf-8")
        current.done(f"{found.version} in {found.directory}")
        return found.directory


def pinned_version(checkout: Checkout) -> str:
    """The version that tools/pulumi/cli/go.mod requires, "3.259.0"."""
    go_mod = checkout.root / "tools" / "pulumi" / "cli" / "go.mod"
    return module_version(go_mod.read_text(encoding="utf-8"), "pkg/v3")


def parse_version(text: str) -> Version | None:
    """The version in what `pulumi version` prints ("v3.259.0", "3.260.0-alpha.1"); None when there is none."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def find_on_path(least: str, environment: Mapping[str, str], pulumi_home: Path) -> tuple[Found | None, str]:
    """The CLI on PATH, if it will do, and what was seen there."""
    path = environment.get("PATH", "")
    program = shutil.which("pulumi", path=path)
    if program is None:
        return None, "PATH has no pulumi"
    directory = Path(program).absolute().parent
    version = _version_of(Path(program), pulumi_home)
    parsed = parse_version(version)
    if parsed is None:
        return None, f"{program} does not tell its version"
    if parsed < (parse_version(least) or parsed):
        return None, f"{program} is {version}, older than {least}"
    if not _has_language_host(directory) and shutil.which(LANGUAGE_HOST, path=path) is None:
        return None, f"{program} has no {LANGUAGE_HOST} beside it"
    return Found(directory, version), ""


def find_in_cache(cache: PulumiCache) -> Found | None:
    """What an earlier set-up put into the cache. A directory there is whole: it is renamed into place at the end."""
    for directory in (cache.installed, cache.built):
        if os.access(directory / "bin" / "pulumi", os.X_OK) and _has_language_host(directory / "bin"):
            return Found(directory / "bin", cache.version)
    return None


def _find_or_install(
    checkout: Checkout, pinned: str, environment: Mapping[str, str], current: Step
) -> tuple[Found | None, list[str]]:
    found, seen = find_on_path(pinned, environment, checkout.pulumi_home)
    if found:
        return found, []
    tried = [seen]
    cache = PulumiCache(cache_root(environment), pinned)
    if found := find_in_cache(cache):
        return found, tried
    tried.append(f"the cache {cache.root} has no {pinned}")
    current.say(f"{seen}; getting {pinned}")
    with cache.locked(current):
        if found := find_in_cache(cache):  # by the set-up that was waited for
            return found, tried
        with cache.scratch() as directory:
            failed = install(pinned, directory, environment, current) or _check(directory, pinned, checkout.pulumi_home)
            if failed is None:
                cache.put(directory, cache.installed)
                return find_in_cache(cache), tried
            tried.append(failed)
        with cache.scratch() as directory:
            modules = checkout.root / "tools" / "pulumi"
            failed = build(modules, directory, cache.root / "go", environment, current) or _check(
                directory, pinned, checkout.pulumi_home
            )
            if failed is None:
                cache.put(directory, cache.built)
                return find_in_cache(cache), tried
            tried.append(failed)
    return None, tried


def _check(root: Path, version: str, pulumi_home: Path) -> str | None:
    """What is wrong with a CLI that was just put into `root`/bin; None when it is as wanted."""
    directory = root / "bin"
    answer = _version_of(directory / "pulumi", pulumi_home)
    if parse_version(answer) != parse_version(version):
        return f"what came has a pulumi that answers {answer!r} instead of {version}"
    if not _has_language_host(directory):
        return f"what came has no {LANGUAGE_HOST}"
    return None


def _has_language_host(directory: Path) -> bool:
    return os.access(directory / LANGUAGE_HOST, os.X_OK)


def _version_of(program: Path, pulumi_home: Path) -> str:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_HOME": str(pulumi_home)}
    try:
        finished = subprocess.run(
            [program, "version"], capture_output=True, text=True, timeout=60, env=environment, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return finished.stdout.strip()


def _nothing_worked(pinned: str, tried: list[str]) -> str:
    lines = "\n".join(f"    - {line}" for line in tried)
    return f"""no Pulumi CLI {pinned} or newer is to be had. Tried in this order:
{lines}
Do one of these, then run this again:
    - install Pulumi {pinned} or newer in your own way and put it on PATH
    - give a way to the network: HTTPS_PROXY, a mirror of the installer in INDEXTTS2_PULUMI_INSTALLER, or a Go module
      proxy in GOPROXY
    - copy the cache directory of a machine that has it, and name it in INDEXTTS2_CACHE"""
