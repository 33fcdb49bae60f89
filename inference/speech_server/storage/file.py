"""`file:///DIR`: a folder of this machine, shared by the servers on it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.store import LocalStore

from speech_server.storage.file_links import FileLink, check_link
from speech_server.storage.keys import is_key
from speech_server.storage.store import Store

_SECRET_FILE = ".link-secret"  # noqa: S105 - a name; no key of an object begins with a dot
_SECRET_BYTES = 32
# What the library calls an object that is being written, whose name it gets when it is whole; no key has such a name.
_UNFINISHED = re.compile(r".*#\d+")


class FileStore(Store):
    """A file an object. What was written survives the death of any process; nothing waits for the disk itself.

    Its presigned URLs are links to the service, which must serve them (`routes/files.py`); without `public_url` they
    are paths on it. Raises OSError when it is made and the folder cannot be used.
    """

    def __init__(self, folder: Path, public_url: str | None) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(LocalStore(folder))
        self._folder = folder
        self._public_url = (public_url or "").rstrip("/")
        self._secret = _secret_of(folder)

    def linked_file(self, link: FileLink, signature: str) -> Path | None:
        """The file that a link leads to, None if it was deleted. Raises LinkError for a link of somebody else."""
        check_link(link, signature, self._secret, time.time())
        path = self._folder / link.key
        return path if is_key(link.key) and path.is_file() else None

    def _write(self, key: str, data: bytes, media_type: str) -> None:  # noqa: ARG002 - the suffix tells it
        self._check_folder()
        obstore.put(self._objects, key, data, use_multipart=False)

    def _create(self, key: str, data: bytes, media_type: str) -> None:  # noqa: ARG002 - the suffix tells it
        self._check_folder()
        obstore.put(self._objects, key, data, use_multipart=False, mode="create")

    def _pages(self, prefix: str, after: str | None) -> Iterator[Any]:
        self._check_folder()
        # A folder's entries come in the order in which the disk has them.
        found = [entry for page in obstore.list(self._objects, prefix or None) for entry in page]
        found.sort(key=lambda entry: entry["path"])
        return iter([[entry for entry in found if after is None or entry["path"] > after]])

    def _sign(self, key: str, seconds: int, file_name: str | None) -> str:
        link = FileLink(key, int(time.time()) + seconds, file_name or "")
        return self._public_url + link.path(self._secret)

    def _delete_unfinished(self, before: datetime) -> int:
        self._check_folder()
        count = 0
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):  # finished meanwhile, or deleted by another server
                    if _UNFINISHED.fullmatch(name) and path.lstat().st_mtime < before.timestamp():
                        path.unlink()
                        count += 1
        return count

    def _is_there(self) -> bool:
        return (self._folder / _SECRET_FILE).exists()

    def _check_folder(self) -> None:
        """A folder whose disk was taken away must not be made anew in its place."""
        if not self._is_there():
            raise OSError(f"{self._folder} is gone: is its disk mounted?")


def _secret_of(folder: Path) -> bytes:
    """The folder's secret, made by whichever server comes first."""
    path = folder / _SECRET_FILE
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f"{_SECRET_FILE}.")  # mode 0600
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # whole or not at all, and only the first one
        Path(temporary).unlink()
    secret = path.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise OSError(f"{path}: not a secret of {_SECRET_BYTES} bytes; delete it: the links made with it end")
    return secret
