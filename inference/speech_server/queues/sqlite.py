"""`sqlite:///DIR/FILE`: a queue in a file that the servers of one machine share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from speech_server.queues.base import MAX_TRIES, Depth, Message, QueueError

# How often an empty queue is looked into: a message of another process waits at most so long for an idle server. A
# look takes 20 us.
_POLL_SECONDS = 0.1
# Another process holds the file's lock for a commit's length, a few milliseconds on a healthy disk.
_BUSY_SECONDS = 10.0
# Calls that share one commit, and with it the one wait for the disk.
_SHARED_COMMIT = 256
_WEEK = 7 * 24 * 3600

# `visible_at` and `sent_at` are seconds since 1970; `receipt` is set from a delivery on until it is given back.
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, "
    "sent_at REAL NOT NULL, visible_at REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0, receipt TEXT)",
    "CREATE INDEX IF NOT EXISTS messages_by_time ON messages (visible_at, id)",
    "CREATE TABLE IF NOT EXISTS dead (id INTEGER PRIMARY KEY, body TEXT NOT NULL, sent_at REAL NOT NULL, "
    "tries INTEGER NOT NULL)",
)
_TAKE = """
UPDATE messages SET visible_at = ?, tries = tries + 1, receipt = hex(randomblob(12))
WHERE id IN (SELECT id FROM messages WHERE visible_at <= ? ORDER BY visible_at, id LIMIT ?)
RETURNING id, body, receipt, tries
"""


@dataclass(frozen=True)
class _Call:
    work: Callable[[sqlite3.Connection], Any]
    answer: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    writes: bool


class SqliteQueue:
    """One thread has the file open; calls that come together are written together and each waits for the disk."""

    max_delay_seconds = _WEEK

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._sent = asyncio.Event()
        self._file: sqlite3.Connection | None = None  # of the thread alone
        self._inode = 0
        self._thread = threading.Thread(target=self._work, name="sqlite-queue", daemon=True)
        self._closed = False
        self._thread.start()

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        now = self._clock()
        rows = [(body, now, now + delay_seconds) for body in bodies]
        insert = "INSERT INTO messages (body, sent_at, visible_at) VALUES (?, ?, ?)"
        # A number and not the cursor: a cursor that another thread lets go of resets the statement under this one.
        await self._write(lambda file: file.executemany(insert, rows).rowcount)
        self._sent.set()

    async def receive(self, most: int, wait_seconds: float, lease_seconds: int) -> list[Message]:
        deadline = time.monotonic() + wait_seconds
        while True:
            self._sent.clear()
            if await self._read(self._has_any):
                taken = await self._write(lambda file: self._take(file, most, lease_seconds))
                if taken:
                    return taken
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._sent.wait(), min(left, _POLL_SECONDS))

    async def extend(self, message: Message, lease_seconds: int) -> Message | None:
        until = self._clock() + lease_seconds
        held = await self._change(message, "UPDATE messages SET visible_at = ? WHERE id = ? AND receipt = ?", until)
        return replace(message) if held else None

    async def delete(self, message: Message) -> None:
        await self._change(message, "DELETE FROM messages WHERE id = ? AND receipt = ?")

    async def retry(self, message: Message, delay_seconds: int) -> None:
        again = "UPDATE messages SET visible_at = ?, receipt = NULL WHERE id = ? AND receipt = ?"
        await self._change(message, again, self._clock() + delay_seconds)
        self._sent.set()

    async def give_back(self, message: Message) -> None:
        # With the time of its sending it is first in line again.
        back = (
            "UPDATE messages SET visible_at = sent_at, receipt = NULL, tries = tries - 1 WHERE id = ? AND receipt = ?"
        )
        await self._change(message, back)
        self._sent.set()

    async def depth(self) -> Depth:
        now = self._clock()
        counts = (
            "SELECT count(*) FILTER (WHERE visible_at <= :now), "
            "count(*) FILTER (WHERE visible_at > :now AND receipt IS NULL), "
            "count(*) FILTER (WHERE visible_at > :now AND receipt IS NOT NULL), "
            "(SELECT count(*) FROM dead) FROM messages"
        )
        return Depth(*await self._read(lambda file: file.execute(counts, {"now": now}).fetchone()))

    async def dead_letters(self, most: int) -> list[Message]:
        rows = await self._read(
            lambda file: file.execute("SELECT id, body, tries FROM dead ORDER BY id LIMIT ?", (most,)).fetchall()
        )
        return [Message(str(number), body, "", tries) for number, body, tries in rows]

    async def redrive(self, letter: Message, body: str) -> None:
        now = self._clock()

        def move(file: sqlite3.Connection) -> None:
            # Whoever comes second finds no letter and sends nothing.
            if file.execute("DELETE FROM dead WHERE id = ?", (int(letter.id),)).rowcount:
                file.execute("INSERT INTO messages (body, sent_at, visible_at) VALUES (?, ?, ?)", (body, now, now))

        await self._write(move)
        self._sent.set()

    async def close(self) -> None:
        self._closed = True
        self._calls.put(None)
        await asyncio.to_thread(self._thread.join)

    def _has_any(self, file: sqlite3.Connection) -> bool:
        now = (self._clock(),)
        return file.execute("SELECT 1 FROM messages WHERE visible_at <= ? LIMIT 1", now).fetchone() is not None

    def _take(self, file: sqlite3.Connection, most: int, lease_seconds: int) -> list[Message]:
        now = self._clock()
        spent = "FROM messages WHERE visible_at <= ? AND tries >= ?"
        file.execute(
            f"INSERT OR IGNORE INTO dead (id, body, sent_at, tries) SELECT id, body, sent_at, tries {spent}",
            (now, MAX_TRIES),
        )
        file.execute(f"DELETE {spent}", (now, MAX_TRIES))
        rows = file.execute(_TAKE, (now + lease_seconds, now, most)).fetchall()
        return [Message(str(number), body, receipt, tries) for number, body, receipt, tries in sorted(rows)]

    async def _change(self, message: Message, statement: str, *values: float) -> bool:
        row = (*values, int(message.id), message.receipt)
        return await self._write(lambda file: file.execute(statement, row).rowcount) > 0

    async def _write(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._call(work, writes=True)

    async def _read(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._call(work, writes=False)

    async def _call(self, work: Callable[[sqlite3.Connection], Any], writes: bool) -> Any:
        if self._closed:
            raise QueueError("the queue is closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._calls.put(_Call(work, answer, loop, writes))
        return await answer

    def _work(self) -> None:
        while (calls := self._next_calls()) is not None:
            self._run_or_fail(calls)
        self._close_file()

    def _run_or_fail(self, calls: Sequence[_Call]) -> None:
        try:
            if self._file is None or _inode(self._path) != self._inode:
                # First of all, or somebody moved the file away: what is at the path now counts.
                self._close_file()
                self._file = _open(self._path)
                self._inode = _inode(self._path)
            _run(self._file, calls)
        except Exception as error:
            # Whatever it is: without this thread all callers, now and later, would wait for ever.
            self._close_file()
            failure = QueueError(f"the queue {self._path.name} cannot be used: {type(error).__name__}: {error}")
            for call in calls:
                _answer(call, failure)

    def _close_file(self) -> None:
        if self._file is not None:
            with contextlib.suppress(sqlite3.Error):
                self._file.close()
        self._file = None

    def _next_calls(self) -> list[_Call] | None:
        """What is to be done now; None when the queue is closed."""
        calls = [self._calls.get()]
        with contextlib.suppress(queue.Empty):
            while len(calls) < _SHARED_COMMIT and calls[-1] is not None:
                calls.append(self._calls.get_nowait())
        if calls[-1] is None:
            self._calls.put(None)
            calls.pop()
            return [call for call in calls if call is not None] or None
        return [call for call in calls if call is not None]


def _run(file: sqlite3.Connection, calls: Sequence[_Call]) -> None:
    if not any(call.writes for call in calls):
        for call in calls:
            _answer(call, call.work(file))
        return
    file.execute("BEGIN IMMEDIATE")
    try:
        found = [call.work(file) for call in calls]
        file.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            file.execute("ROLLBACK")
        raise
    for call, result in zip(calls, found, strict=True):
        _answer(call, result)


def _answer(call: _Call, found: Any) -> None:
    def tell() -> None:
        if call.answer.done():
            return  # its caller was cancelled
        if isinstance(found, QueueError):
            call.answer.set_exception(found)
        else:
            call.answer.set_result(found)

    with contextlib.suppress(RuntimeError):  # its event loop is closed: nobody waits
        call.loop.call_soon_threadsafe(tell)


def _open(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    file = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        _prepare(file)
    except BaseException:
        file.close()
        raise
    return file


def _prepare(file: sqlite3.Connection) -> None:
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            file.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # Two servers that start together: SQLite's own waiting does not cover the change of the mode.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    # A commit is on the disk when it returns, so that an accepted job outlives a power cut.
    file.execute("PRAGMA synchronous = FULL")
    file.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        file.execute(statement)
    file.execute("COMMIT")


def _inode(path: Path) -> int:
    return path.stat().st_ino
