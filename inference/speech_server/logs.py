"""The log: one JSON object a line on standard error. No text, no audio, no key is ever given to it."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import datetime, timezone
from pathlib import Path
from typing import TypedDict


def install(replica: str) -> None:
    """Send everything that is logged in this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(replica))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # Its own news ("Started server process") says what ours says; its warnings are kept.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


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
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"time": time, "level": record.levelname.lower(), "event": record.getMessage()}
        if self._replica:
            line["replica"] = self._replica
        line.update(getattr(record, "fields", {}))
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line.update(where(error))
        # ensure_ascii: no control character, line separator or terminal sequence survives.
        return json.dumps(line, ensure_ascii=True, default=repr)
