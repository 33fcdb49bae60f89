"""The policy pack, made ready for whichever Pulumi CLI there is."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from tools import virtualenv
from tools.checkout import Checkout
from tools.failure import SetupError

_LANGUAGE_HOST = "pulumi-language-python"
# The Go package of a language host that is older than 3.79, which starts no policy pack. Go writes it into the binary:
# https://pkg.go.dev/runtime/debug#BuildInfo
_OLD_HOST = b"path\tgithub.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python\n"
# A name that no language host has: the engine then starts `pulumi-analyzer-policy-NAME` from PATH.
_RUNTIME = "indextts2-rules"


@dataclass(frozen=True)
class Pack:
    """`directory` is what `--policy-pack` takes; `path` stands first on PATH, None where nothing is needed there."""

    directory: Path
    path: Path | None

    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        """`environment` in which the pack starts."""
        if self.path is None:
            return environment
        return {**environment, "PATH": os.pathsep.join([str(self.path), environment.get("PATH", os.defpath)])}


def prepare(checkout: Checkout, pulumi_bin: Path) -> Pack:
    """Leaves the pack's own environment filled and the pack startable. Raises SetupError."""
    source = checkout.root / "policy"
    if not (source / "PulumiPolicy.yaml").is_file():
        raise SetupError(f"{source}/PulumiPolicy.yaml is missing: without the rules nothing may be deployed")
    virtualenv.ensure_separate(checkout, source / ".venv", source / "requirements.txt")
    if not _host_is_old(pulumi_bin):
        return Pack(source, None)
    return without_language_host(source, checkout.local / "policy")


def without_language_host(source: Path, directory: Path) -> Pack:
    """The engine's other way: a pack whose runtime no language host has is started by a program of that name."""
    programs = directory / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    text = (source / "PulumiPolicy.yaml").read_text(encoding="utf-8")
    head = text.partition("runtime:")[0]
    (directory / "PulumiPolicy.yaml").write_text(f"{head}runtime: {_RUNTIME}\n", encoding="utf-8")
    program = programs / f"pulumi-analyzer-policy-{_RUNTIME}"
    # `$1` is the engine's address.
    python, pack = shlex.quote(str(source / ".venv" / "bin" / "python")), shlex.quote(str(source))
    program.write_text(f'#!/bin/sh\nexec {python} -u -m pulumi.policy "$1" {pack}\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Pack(directory, programs)


def _host_is_old(pulumi_bin: Path) -> bool:
    """Of the language host that this CLI uses: the one beside it, else the one on PATH."""
    beside = pulumi_bin / _LANGUAGE_HOST
    host = beside if beside.exists() else Path(shutil.which(_LANGUAGE_HOST) or beside)
    try:
        return _OLD_HOST in host.read_bytes()
    except OSError:
        return False
