"""The job queue's SQLite file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.local.machine.errors import MachineError
from components.local.machine.layout import private_directory
from components.local.resources.provider import LocalProvider, Props, layout_of, say, told_plainly


class QueueFileProvider(LocalProvider):
    delete_before_replace = False
    replaced_by = ("dataDir", "contained")

    def expected(self, inputs: Props) -> Props:  # noqa: ARG002 - what is expected is the same for every queue
        return {"state": "ready"}

    @told_plainly
    def create(self, props: Props) -> CreateResult:
        path = layout_of(props).queue
        open_queue(path)
        return CreateResult(str(path), {**props, "state": "ready"})

    @told_plainly
    def read(self, id_: str, props: Props) -> ReadResult:
        return ReadResult(id_, {**props, "state": queue_state(layout_of(props).queue)})

    @told_plainly
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        open_queue(layout_of(_news).queue)
        return UpdateResult({**_news, "state": "ready"})

    @told_plainly
    def delete(self, _id: str, _props: Props) -> None:
        path = layout_of(_props).queue
        try:
            waiting = tables(path)
        except sqlite3.Error:
            waiting = ["something that cannot be read"]
        if waiting and not _props["forceDestroy"]:
            say(f"{path} is kept: it holds jobs. Delete it by hand, or set indextts2:storage.forceDestroy.")
            return
        for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the stack's own folder holds more
            path.parent.rmdir()


class QueueFile(Resource, module="local", name="QueueFile"):
    """A private SQLite database in write-ahead mode; the servers make its tables."""

    def __init__(
        self, name: str, data_dir: str, contained: bool, force_destroy: bool, opts: pulumi.ResourceOptions
    ) -> None:
        props = {"dataDir": data_dir, "contained": contained, "forceDestroy": force_destroy, "state": None}
        super().__init__(QueueFileProvider(), name, props, opts)


def open_queue(path: Path) -> None:
    """Make the database unless it is there. Raises `MachineError` when the file is something else."""
    private_directory(path.parent)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    path.chmod(0o600)
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            # Readers and the one writer do not wait for each other, and a killed writer leaves a whole file.
            database.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:  # the disk, not the file: full, read-only, failing
        raise MachineError(
            f"{path} cannot be written ({error}); is the disk full? Mend that, then run it again"
        ) from None
    except sqlite3.DatabaseError as error:
        raise MachineError(f"{path} is not a job queue ({error}); move it to another place") from None


def queue_state(path: Path) -> str:
    """`ready`, or what is wrong with the file."""
    if not path.is_file():
        return "missing"
    try:
        tables(path)
    except sqlite3.Error as error:
        return str(error)
    return "ready" if path.stat().st_mode & 0o777 == 0o600 else "readable by others"


def tables(path: Path) -> list[str]:
    """The names of the database's tables that hold rows; those that SQLite keeps for itself are none of them."""
    if not path.is_file():
        return []
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as database:
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = [name for (name,) in found if not name.startswith("sqlite_")]
        quoted = {name: '"' + name.replace('"', '""') + '"' for name in names}
        query = "SELECT EXISTS (SELECT 1 FROM {})"
        return [name for name in names if database.execute(query.format(quoted[name])).fetchone()[0]]
