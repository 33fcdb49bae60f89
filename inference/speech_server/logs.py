"""The log: one JSON object a line on standard error. No text, no audio, no key is ever given to it."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO, TypedDict

# What is logged while a request, or a job's clip, is in work carries its id.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# A system call a line is a tenth of what a short request costs; a line may be so late when the server is busy.
_FLUSH_SECONDS = 0.05
_FLUSH_LINES = 500

# When, about which request, what and with what.
_Line = tuple[float, str | None, str, Mapping[str, object]]

_installed: LineHandler | None = None

_encode = json.JSONEncoder(ensure_ascii=True, default=repr).encode


def line(event: str, fields: Mapping[str, object]) -> None:
    """What `logging.info` would log, for the one line that every request has: at a third of the cost."""
    if _installed is None:
        logging.getLogger("speech_server").info(event, extra={"fields": fields})
    else:
        _installed.line(event, fields)


def install(replica: str) -> LineHandler:
    """Send everything that is logged in this process to standard error as JSON lines."""
    global _installed
    formatter = JsonLines(replica)
    handler = _installed = LineHandler(sys.stderr, formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # Its own news ("Started server process") says what ours says; its warnings are kept.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # What no line shows need not be found out for every line:
    # https://docs.python.org/3/howto/logging.html#optimization
    logging._srcfile = None
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    return handler


class LineHandler(logging.Handler):
    """Writes lines to `stream`; once it knows the event loop, several at once and 50 ms late. Warnings and errors are
    never late.

    `copy_to`, if set, is given the same lines.
    """

    def __init__(self, stream: TextIO, formatter: JsonLines) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._json_lines = formatter
        self.copy_to: Callable[[str], None] | None = None
        self._stream = stream
        self._lines: list[str | _Line] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._flush_is_due = False

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """To be called in the loop's own thread."""
        self._loop = loop
        self._loop_thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        self._add(text, record.levelno >= logging.WARNING)

    def line(self, event: str, fields: Mapping[str, object]) -> None:
        """To be called in the loop's own thread. The text is made when lines are written: many at once take less."""
        self._add((time.time(), request_id.get(), event, fields), False)

    def _add(self, line: str | _Line, urgent: bool) -> None:
        self._lines.append(line)
        loop = self._loop
        if (
            urgent
            or len(self._lines) >= _FLUSH_LINES
            or loop is None
            or loop.is_closed()
            or threading.get_ident() != self._loop_thread
        ):
            self.flush()
        elif not self._flush_is_due:
            self._flush_is_due = True
            loop.call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        with self.lock:  # ty: ignore[invalid-context-manager] - logging's own type says it may be None; it is not here
            lines, self._lines = self._lines, []
            self._flush_is_due = False
            if not lines:
                return
            text = "".join(f"{self._text_of(line)}\n" for line in lines)
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                return  # whoever read the log is gone: the service is not
            finally:
                if self.copy_to is not None:
                    self.copy_to(text)

    def _text_of(self, line: str | _Line) -> str:
        if isinstance(line, str):
            return line
        seconds, in_work, event, fields = line
        return self._json_lines.line(seconds, in_work, "info", event, fields)


class Where(TypedDict):
    error: str
    at: list[str]


def where(error: BaseException) -> Where:
    """An exception for the log: its type and its frames. Its message may quote a request, so it stays out."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return {
        "error": type(error).__name__,
        "at": [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames],
    }


class JsonLines(logging.Formatter):
    """A record's message is the event's name; what belongs to it comes as `extra={"fields": {...}}`."""

    def __init__(self, replica: str) -> None:
        super().__init__()
        self._replica = replica

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields = {**fields, **where(error)}
        return self.line(record.created, request_id.get(), record.levelname.lower(), record.getMessage(), fields)

    def line(self, seconds: float, in_work: str | None, level: str, event: str, fields: Mapping[str, object]) -> str:
        """`in_work`: the id of the request that it is about."""
        stamp = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
        found: dict[str, object] = {"time": stamp, "level": level, "event": event}
        if self._replica:
            found["replica"] = self._replica
        if in_work is not None:
            found["request_id"] = in_work
        found.update(fields)
        # ASCII alone: no control character, line separator or terminal sequence survives.
        return _encode(found)
