"""A stand-in for Alibaba Cloud's Simple Message Queue that refuses what the vendor's documentation says is refused.

It keeps messages in memory and verifies each request by the documented rules, written down here a second time and apart
from the client: https://www.alibabacloud.com/help/en/mns/developer-reference/request-protocol-description
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import itertools
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.listening import serving

NAMESPACE = "http://mns.aliyuncs.com/doc/v1/"
KEY_ID, KEY_SECRET = "LTAI-of-the-test", "secret-of-the-test"
ROLE_ID, ROLE_SECRET, ROLE_TOKEN = "STS.of-the-test", "secret-of-the-role", "token-of-the-role"


@dataclass
class Stored:
    id: str
    body: str
    visible_at: float
    tries: int = 0
    receipt: str | None = None


@dataclass
class Kept:
    """A queue: `dead` takes what was received `max_receives` times."""

    dead: str | None = None
    max_receives: int = 3
    visibility_seconds: int = 30
    messages: list[Stored] = field(default_factory=list)


class RefusedError(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class StrictSmq:
    """`with StrictSmq() as smq:`; `smq.url` is its address. `requests` are those that were answered."""

    def __init__(self) -> None:
        self.queues = {"jobs": Kept(dead="dead"), "dead": Kept()}
        self.published: list[tuple[str, str, str]] = []  # topic, tag, body
        self.requests: list[str] = []
        self.fail_next = 0
        self.lock = threading.RLock()
        self._numbers = itertools.count(1)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                smq.handle(self)

            do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that http.server looks for

        smq = self
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> StrictSmq:
        self._serving = contextlib.ExitStack()
        self._serving.enter_context(serving(self._http))
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        try:
            if self.fail_next:
                self.fail_next -= 1
                raise RefusedError(500, "InternalError")
            check_signature(request.command, request.path, dict(request.headers.items()), body)
            status, answer = self.answer(request.command, request.path, body)
        except RefusedError as error:
            status, answer = error.status, f"<Error xmlns={NAMESPACE!r}><Code>{error.code}</Code></Error>"
        self.requests.append(f"{request.command} {request.path} {status}")
        content = answer.encode()
        request.send_response(status)
        request.send_header("Content-Type", "text/xml;charset=utf-8")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, str]:
        parts = urlsplit(target)
        options = dict(parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True))
        path = [unquote(part) for part in parts.path.split("/")[1:]]
        if path[0] == "topics" and method == "POST":
            return self.publish(path[1], body)
        if path[0] != "queues" or path[1] not in self.queues:
            raise RefusedError(404, "QueueNotExist")
        queue = self.queues[path[1]]
        if len(path) == 2 and method == "GET":
            return 200, self.attributes(queue)
        if path[2:] != ["messages"]:
            raise RefusedError(400, "InvalidArgument")
        if method == "POST":
            return self.send(queue, body)
        if method == "GET":
            return self.receive(queue, options)
        if method == "PUT":
            return self.change(queue, options)
        return self.delete(queue, options)

    def publish(self, topic: str, body: bytes) -> tuple[int, str]:
        if topic != "finished":
            raise RefusedError(404, "TopicNotExist")
        message = parsed(body, "Message")
        tag = message.findtext(f"{{{NAMESPACE}}}MessageTag") or ""
        if len(tag) > 16:
            raise RefusedError(400, "InvalidArgument")
        self.published.append((topic, tag, message.findtext(f"{{{NAMESPACE}}}MessageBody") or ""))
        return 201, xml("Message", {"MessageId": "M", "MessageBodyMD5": "0"})

    def attributes(self, queue: Kept) -> str:
        with self.lock:
            self.bury(queue)
            now = time.time()
            hidden = [message for message in queue.messages if message.visible_at > now]
            return xml(
                "Queue",
                {
                    "ActiveMessages": len(queue.messages) - len(hidden),
                    "InactiveMessages": sum(message.tries > 0 for message in hidden),
                    "DelayMessages": sum(message.tries == 0 for message in hidden),
                },
            )

    def send(self, queue: Kept, body: bytes) -> tuple[int, str]:
        found = parsed(body, "Messages").findall(f"{{{NAMESPACE}}}Message")
        if not 1 <= len(found) <= 16 or len(body) > 65536:
            raise RefusedError(400, "InvalidArgument")
        with self.lock:
            for message in found:
                delay = int(message.findtext(f"{{{NAMESPACE}}}DelaySeconds") or 0)
                if not 0 <= delay <= 604_800:
                    raise RefusedError(400, "InvalidArgument")
                text = message.findtext(f"{{{NAMESPACE}}}MessageBody") or ""
                queue.messages.append(Stored(f"ID-{next(self._numbers)}", text, time.time() + delay))
        return 201, f"<Messages xmlns={NAMESPACE!r}></Messages>"

    def receive(self, queue: Kept, options: dict[str, str]) -> tuple[int, str]:
        most, wait = int(options.get("numOfMessages", "0")), int(options.get("waitseconds", "0"))
        if not 1 <= most <= 16 or not 0 <= wait <= 30:
            raise RefusedError(400, "InvalidArgument")
        deadline = time.monotonic() + wait
        while not (taken := self.take(queue, most)):
            if time.monotonic() >= deadline:
                raise RefusedError(404, "MessageNotExist")
            time.sleep(0.01)
        inner = "".join(
            xml(
                "Message",
                {
                    "MessageId": message.id,
                    "ReceiptHandle": message.receipt,
                    "MessageBody": message.body,
                    "MessageBodyMD5": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest().upper(),
                    "DequeueCount": message.tries,
                    "EnqueueTime": 0,
                    "NextVisibleTime": int(message.visible_at * 1000),
                    "FirstDequeueTime": 0,
                    "Priority": 8,
                },
                namespace=False,
            )
            for message in taken
        )
        return 200, f"<Messages xmlns={NAMESPACE!r}>{inner}</Messages>"

    def take(self, queue: Kept, most: int) -> list[Stored]:
        with self.lock:
            self.bury(queue)
            now = time.time()
            taken = [message for message in queue.messages if message.visible_at <= now][:most]
            for message in taken:
                message.tries += 1
                message.visible_at = now + queue.visibility_seconds
                self.new_receipt(message)
            return taken

    def bury(self, queue: Kept) -> None:
        if queue.dead is None:
            return
        spent = [m for m in queue.messages if m.visible_at <= time.time() and m.tries >= queue.max_receives]
        for message in spent:
            queue.messages.remove(message)
            self.queues[queue.dead].messages.append(message)

    def new_receipt(self, message: Stored) -> None:
        # With the characters of base64, as the vendor's examples have them.
        message.receipt = f"1-{next(self._numbers)}+/ODU4OTkz==-8"

    def held(self, queue: Kept, options: dict[str, str]) -> Stored:
        receipt = options.get("ReceiptHandle") or options.get("receiptHandle")
        found = next((message for message in queue.messages if message.receipt == receipt), None)
        if found is None or found.visible_at <= time.time():
            raise RefusedError(404, "MessageNotExist")
        return found

    def change(self, queue: Kept, options: dict[str, str]) -> tuple[int, str]:
        seconds = int(options.get("visibilityTimeout", "-1"))
        if not 1 <= seconds <= 43_200:
            raise RefusedError(400, "InvalidArgument")
        with self.lock:
            message = self.held(queue, options)
            message.visible_at = time.time() + seconds
            self.new_receipt(message)
            fields = {"ReceiptHandle": message.receipt, "NextVisibleTime": int(message.visible_at * 1000)}
            return 200, xml("ChangeVisibility", fields)

    def delete(self, queue: Kept, options: dict[str, str]) -> tuple[int, str]:
        with self.lock:
            queue.messages.remove(self.held(queue, options))
        return 204, ""


def check_signature(method: str, target: str, headers: dict[str, str], body: bytes) -> None:
    """Raises RefusedError."""
    given = {name.lower(): value for name, value in headers.items()}
    if given.get("x-mns-version") != "2015-06-06":
        raise RefusedError(400, "InvalidVersion")
    date = given.get("date", "")
    if not date.endswith(" GMT"):
        raise RefusedError(400, "InvalidDateTime")
    if abs((datetime.now(timezone.utc) - parsedate_to_datetime(date)).total_seconds()) > 900:
        raise RefusedError(400, "TimeExpired")
    if body:
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        if given.get("content-md5", md5) != md5:
            raise RefusedError(400, "InvalidDegist")
        if not given.get("content-type", "").startswith("text/xml"):
            raise RefusedError(400, "InvalidContentType")
    scheme, _, credentials = given.get("authorization", "").partition(" ")
    key_id, _, signature = credentials.partition(":")
    secret = {KEY_ID: KEY_SECRET, ROLE_ID: ROLE_SECRET}.get(key_id)
    if scheme != "MNS" or secret is None:
        raise RefusedError(403, "AccessIDAuthError")
    if key_id == ROLE_ID and given.get("security-token") != ROLE_TOKEN:
        raise RefusedError(403, "SecurityTokenError")
    canonical = "".join(f"{name}:{given[name]}\n" for name in sorted(given) if name.startswith("x-mns-"))
    text = f"{method}\n{given.get('content-md5', '')}\n{given.get('content-type', '')}\n{date}\n{canonical}{target}"
    expected = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()
    if not hmac.compare_digest(signature, expected):
        raise RefusedError(403, "SignatureDoesNotMatch")


def parsed(body: bytes, root: str) -> ElementTree.Element:
    """Raises RefusedError for XML without the vendor's namespace."""
    try:
        found = ElementTree.fromstring(body)  # noqa: S314 - from this very test
    except ElementTree.ParseError:
        raise RefusedError(400, "MalformedXML") from None
    if found.tag != f"{{{NAMESPACE}}}{root}":
        raise RefusedError(400, "MalformedXML")
    return found


def xml(root: str, fields: dict[str, Any], namespace: bool = True) -> str:
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in fields.items())
    return f"<{root} xmlns={NAMESPACE!r}>{inner}</{root}>" if namespace else f"<{root}>{inner}</{root}>"
