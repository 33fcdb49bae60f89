"""Where things are in a checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Checkout:
    """The paths that set-up reads and makes, all absolute."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def local(self) -> Path:
        """What stacks on this machine keep; ignored by git."""
        return self.root / ".local"

    @property
    def state(self) -> Path:
        """The file backend of the stacks on this machine."""
        return self.local / "state"

    @property
    def pulumi_home(self) -> Path:
        """PULUMI_HOME of the stacks on this machine, so that the user's own login is neither read nor changed."""
        return self.local / "pulumi"

    @property
    def passphrase(self) -> Path:
        return self.local / "passphrase"

    @property
    def pulumi_bin_record(self) -> Path:
        """A file whose only line is the directory of the Pulumi CLI that set-up found."""
        return self.local / "pulumi-bin"

    def requirements(self, name: str) -> Path:
        return self.root / f"requirements-{name}.txt"

    def stack_file(self, stack: str) -> Path:
        """The stack's settings. Of `organization/project/stack` the file is named by the last part."""
        return self.root / f"Pulumi.{stack.rsplit('/', 1)[-1]}.yaml"


def here() -> Checkout:
    """The checkout that this file is in."""
    return Checkout(Path(__file__).resolve().parent.parent)
