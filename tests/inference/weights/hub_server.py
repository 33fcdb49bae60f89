"""A stand-in for two model hubs, in memory: Hugging Face's addresses and ModelScope's, as their own clients use them.

It says that it is one (`Server: hub-stand-in`), and refuses what the hubs refuse: unknown repositories, revisions and
files, addresses that are not encoded as they should be, ranges beyond the end.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.listening import listening

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LFS_FROM_BYTES = 1000
_RANGE = re.compile(r"bytes=(\d+)-")


@dataclass
class HubState:
    """What a test sets and sees. `repos`: name -> path -> bytes. `cut`: path -> after how many bytes of the file the
    connection breaks, once. `sent`: path -> what is sent instead of the file.
    """

    repos: dict[str, dict[str, bytes]]
    licence: str = "apache-2.0"
    url: str = ""
    failures: list[int] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)
    redirect: str | None = None
    ranges: bool = True
    requests: list[str] = field(default_factory=list)
    file_requests: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def hub_server(state: HubState) -> Iterator[HubState]:
    class Handler(_Handler):
        served = state

    with listening(Handler) as state.url:
        yield state


class _Handler(BaseHTTPRequestHandler):
    served: HubState
    protocol_version = "HTTP/1.1"
    server_version = "hub-stand-in"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass

    def do_GET(self) -> None:
        state = self.served
        with state.lock:
            state.requests.append(self.path)
            failure = state.failures.pop(0) if state.failures else None
        if failure is not None:
            self._send(failure, b"later")
            return
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        path = unquote(parts.path)
        if path.startswith("/api/v1/models/"):
            self._modelscope(path.removeprefix("/api/v1/models/"), query)
        elif path.startswith("/api/models/"):
            self._list(path.removeprefix("/api/models/"), query)
        elif path.startswith("/cdn/"):
            self._file(*path.removeprefix("/cdn/").split("//"))
        else:
            self._resolve(path[1:])

    def _list(self, rest: str, query: dict[str, str]) -> None:
        repo, _, revision = rest.partition("/revision/")
        files = self.served.repos.get(repo)
        if files is None or revision not in ("main", COMMIT) or query != {"blobs": "true"}:
            self._json(404, {"error": "Repository not found"})
            return
        self._json(
            200,
            {
                "id": repo,
                "sha": COMMIT,
                "cardData": {"license": self.served.licence},
                "siblings": [_sibling(path, data) for path, data in files.items()],
            },
        )

    def _resolve(self, path: str) -> None:
        repo, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        data = self.served.repos.get(repo, {}).get(name)
        if data is None or revision != COMMIT:
            self._json(404, {"error": "Entry not found"})
        elif len(data) >= _LFS_FROM_BYTES or self.served.redirect is not None:
            target = self.served.redirect or f"/cdn/{repo}//{name}"
            self._send(302, b"", {"Location": target})
        else:
            self._file(repo, name)

    def _modelscope(self, rest: str, query: dict[str, str]) -> None:
        repo, _, call = rest.partition("/repo")
        files = self.served.repos.get(repo)
        if files is None or query.get("Revision", "master") != "master":
            self._json(404, {"Code": 10010205001, "Message": "not found", "Data": None})
        elif call == "/files" and query == {"Revision": "master", "Recursive": "true"}:
            tree = [{"Type": "tree", "Path": "folder", "Name": "folder", "Size": 0, "Sha256": ""}]
            blobs = [_blob(path, data) for path, data in files.items()]
            self._json(200, {"Code": 200, "Success": True, "Data": {"Files": tree + blobs}})
        elif not call and rest == repo:
            self._json(200, {"Code": 200, "Data": {"License": self.served.licence}})
        elif not call and query.get("FilePath") in files:
            self._file(repo, query["FilePath"])
        else:
            self._json(404, {"Code": 404, "Data": None})

    def _file(self, repo: str, name: str) -> None:
        state = self.served
        data = state.sent.get(name, state.repos[repo][name])
        found = _RANGE.fullmatch(self.headers.get("range", "")) if state.ranges else None
        start = int(found[1]) if found else 0
        with state.lock:
            state.file_requests.append(f"{repo}/{name}@{start}")
            cut = state.cut.pop(name, None)
        if start >= len(data) > 0:
            self._send(416, b"")
            return
        self.send_response(206 if found else 200)
        if found:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:cut])
        if cut is not None:
            self.close_connection = True

    def _json(self, status: int, value: object) -> None:
        self._send(status, json.dumps(value).encode())

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _sibling(path: str, data: bytes) -> dict[str, object]:
    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 - Git's own
    entry: dict[str, object] = {"rfilename": path, "size": len(data), "blobId": git}
    if len(data) >= _LFS_FROM_BYTES:
        entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return entry


def _blob(path: str, data: bytes) -> dict[str, object]:
    return {
        "Type": "blob",
        "Path": path,
        "Name": path.rpartition("/")[2],
        "Size": len(data),
        "Sha256": hashlib.sha256(data).hexdigest(),
        "IsLFS": len(data) >= _LFS_FROM_BYTES,
        "Revision": COMMIT,
    }
