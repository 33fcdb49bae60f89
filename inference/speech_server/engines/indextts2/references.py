"""The file that the model is given for a voice: named by what is in it, whatever the caller's file was called.

Upstream keeps what it learned of a voice under the file's path. A path that is used again for another voice would
speak with the first one's.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from speech_server.engines.base import Reference

# The model hears so much of a sample and silently drops the rest.
HEARD_SECONDS = 15.0

_KEPT_COPIES = 64


class ReferenceChangedError(RuntimeError):
    """The file does not hold what its sha256 says: someone wrote to it after it was checked."""


def engine_folder(work_dir: str | None) -> Path:
    """A private folder for the engine's own samples, in the server's work folder if it has one.

    Not one that is removed at the end: an engine process is killed, and the next one uses the same folder again.
    """
    if work_dir is None:
        return Path(tempfile.mkdtemp(prefix="indextts2-"))
    folder = Path(work_dir) / "engine-samples"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


class ReferenceFiles:
    """Copies are made only of files that are not named by their content, and the oldest go first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "copies"

    def path_of(self, reference: Reference) -> str:
        """A path that no other content ever had. Raises OSError, ReferenceChangedError."""
        content = Path(reference.path).read_bytes()
        if hashlib.sha256(content).hexdigest() != reference.sha256:
            raise ReferenceChangedError(
                f"the sample {reference.sha256[:12]} has another content than it was given with"
            )
        if Path(reference.path).stem == reference.sha256:
            return reference.path
        return self._copy(reference.sha256, content)

    def _copy(self, sha256: str, content: bytes) -> str:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{sha256}.wav"
        if not path.exists():
            self._prune()
            part = path.with_suffix(".part")
            part.write_bytes(content)
            part.replace(path)
        return str(path)

    def _prune(self) -> None:
        copies = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for path in copies[: max(0, len(copies) - _KEPT_COPIES + 1)]:
            path.unlink()
