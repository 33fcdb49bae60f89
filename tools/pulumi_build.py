"""The Pulumi CLI and its Python language host, built from the Go modules that tools/pulumi/ pins."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.follow import Finished, follow
from tools.go_toolchain import Go, ensure_go, needed_version
from tools.progress import Step

_CLI = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_PYTHON_HOST = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
_SDK = "github.com/pulumi/pulumi/sdk/v3"
# Scripts that the language host and the dynamic providers are started by; the releases carry them beside the CLI.
_SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")


def build(modules: Path, root: Path, work: Path, environment: Mapping[str, str], current: Step) -> str | None:
    """Builds into `root`/bin. Gives why it could not, None when it did.

    `modules` is tools/pulumi. `work` keeps a downloaded toolchain and its caches until a build succeeds, so that one
    that was cut short goes on where it was.
    """
    pins = {name: (modules / name / "go.mod").read_text(encoding="utf-8") for name in ("cli", "python-host")}
    go, missing = ensure_go(
        max(map(needed_version, pins.values())), modules / "go-toolchain.txt", work, environment, current
    )
    if go is None:
        return f"building from source: {missing}"
    current.say("building it from source: 2 to 8 minutes, once for all checkouts on this machine")
    binaries = root / "bin"
    binaries.mkdir()
    commands = (
        (_CLI, modules / "cli", module_version(pins["cli"], "pkg/v3")),
        (_PYTHON_HOST, modules / "python-host", module_version(pins["python-host"], "sdk/v3")),
    )
    for package, module, version in commands:
        failed = _compile(go, package, module, version, binaries, current)
        if failed is not None:
            return failed
    failed = _copy_scripts(go, modules / "cli", binaries)
    if failed is None:
        shutil.rmtree(work, ignore_errors=True)
    return failed


def module_version(go_mod: str, module: str) -> str:
    """The version, "3.259.0", at which a go.mod requires github.com/pulumi/pulumi/`module`; ValueError without one."""
    match = re.search(rf"github\.com/pulumi/pulumi/{re.escape(module)} v(\d+\.\d+\.\d+)", go_mod)
    if not match:
        raise ValueError(f"go.mod does not require github.com/pulumi/pulumi/{module} at a release")
    return match[1]


def _compile(go: Go, package: str, module: Path, version: str, binaries: Path, current: Step) -> str | None:
    name = package.rsplit("/", 1)[-1]
    downloaded = packages = 0

    def on_listed(line: str) -> None:
        nonlocal downloaded, packages
        downloaded += line.startswith("go: downloading")
        packages += bool(line) and not line.startswith("go: ")
        current.live(f"{name}: {downloaded} modules downloaded")

    compiled = 0

    def on_compiled(line: str) -> None:
        nonlocal compiled
        compiled += bool(line)
        current.live(f"{name}: {compiled} of at most {packages} packages compiled")

    listed = _run(go, ["list", "-mod=readonly", "-deps", package], module, on_listed)
    if listed.status != 0:
        return _failed(f"fetching the modules of {name}", listed)
    flags = f"-s -w -X {_SDK}/go/common/version.Version={version}"
    arguments = ["build", "-v", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(binaries / name), package]
    built = _run(go, arguments, module, on_compiled)
    return None if built.status == 0 else _failed(f"compiling {name}", built)


def _copy_scripts(go: Go, module: Path, binaries: Path) -> str | None:
    listed = _run(go, ["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", _SDK], module, lambda _line: None)
    if listed.status != 0:
        return _failed(f"finding {_SDK}", listed)
    for script in _SCRIPTS:
        target = binaries / Path(script).name
        shutil.copyfile(Path(listed.tail[-1]) / script, target)
        target.chmod(0o755)
    return None


def _run(go: Go, arguments: list[str], module: Path, on_line: Callable[[str], None]) -> Finished:
    return follow([str(go.program), *arguments], on_line, env=go.environment, cwd=module)


def _failed(what: str, finished: Finished) -> str:
    return f"building from source: {what} ended with status {finished.status}:\n{finished.last(5)}"
