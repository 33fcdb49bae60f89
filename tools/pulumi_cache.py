"""Where a Pulumi CLI that set-up installed is kept, and how it gets there whole or not at all."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.failure import SetupError
from tools.file_lock import exclusive
from tools.progress import Step

_UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class PulumiCache:
    """One directory for all checkouts of a user; each version and platform has its own directory in it."""

    root: Path
    version: str

    @property
    def installed(self) -> Path:
        """What the official installer gave."""
        return self.root / f"pulumi-{self.version}-{_platform()}"

    @property
    def built(self) -> Path:
        """What was built from the pinned Go modules."""
        return self.root / f"pulumi-{self.version}-{_platform()}-built"

    @contextmanager
    def locked(self, current: Step) -> Generator[None, None, None]:
        """Only one set-up at a time installs. What a killed one left unfinished is removed.

        Raises SetupError when the directory cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = self.root / "lock"
            lock.touch()
        except OSError as error:
            raise SetupError(
                f"the cache {self.root} cannot be written ({error.strerror}): set INDEXTTS2_CACHE to one that can"
            ) from error
        with exclusive(lock, current):
            for leftover in self.root.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield

    @contextmanager
    def scratch(self) -> Generator[Path, None, None]:
        """An empty directory on the cache's file system, removed when the block ends unless `put` moved it."""
        directory = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.root))
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def put(self, whole: Path, final: Path) -> None:
        """Gives a complete directory its final name, in one step."""
        whole.chmod(0o755)
        if final.exists():  # damaged by hand: find_in_cache did not take it
            shutil.rmtree(final)
        whole.rename(final)


def cache_root(environment: Mapping[str, str]) -> Path:
    """The directory by INDEXTTS2_CACHE, XDG_CACHE_HOME or HOME, in this order. Raises SetupError when none is set."""
    if own := environment.get("INDEXTTS2_CACHE"):
        return Path(own).absolute()
    if shared := environment.get("XDG_CACHE_HOME"):
        return Path(shared).absolute() / "indextts2"
    if home := environment.get("HOME"):
        return Path(home).absolute() / ".cache" / "indextts2"
    raise SetupError(
        "HOME is not set, so there is no place to keep the Pulumi CLI: set HOME, or INDEXTTS2_CACHE=/some/dir"
    )


def _platform() -> str:
    machine = platform.machine().lower()
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}-{architecture}"
