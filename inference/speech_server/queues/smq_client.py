"""Signed requests to Alibaba Cloud's Simple Message Queue (SMQ, formerly MNS): what its queues and topics share.

The protocol and the signature: https://www.alibabacloud.com/help/en/mns/developer-reference/request-protocol-description
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx

from speech_server.queues.base import QueueError
from speech_server.queues.cloud_name import CloudName
from speech_server.storage.alibaba_credentials import AccessKey, CredentialsError

_NAMESPACE = "http://mns.aliyuncs.com/doc/v1/"
_VERSION = "2015-06-06"
_CONTENT_TYPE = "text/xml;charset=utf-8"
_SECONDS = 10.0
# One more try of a call that did not get through; whoever called tries again later.
_TRIES = 2


class RefusedError(QueueError):
    """SMQ answered with an error; `code` is its name there ("MessageNotExist")."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SmqClient:
    """One queue's or topic's address, its connections, and whose requests these are."""

    def __init__(self, name: CloudName, access_key: Callable[[], Awaitable[AccessKey]]) -> None:
        self._access_key = access_key
        self._http = httpx.AsyncClient(base_url=endpoint_of(name), timeout=_SECONDS, trust_env=False)

    async def call(
        self, method: str, resource: str, body: str | None = None, wait_seconds: float = 0
    ) -> ElementTree.Element:
        """What SMQ answers; an empty element where it answers with no body. Raises RefusedError or QueueError."""
        content = None if body is None else body.encode()
        for tries_left in reversed(range(_TRIES)):
            try:
                response = await self._send(method, resource, content, wait_seconds)
            except httpx.HTTPError as error:
                if tries_left:
                    continue
                raise QueueError(f"SMQ cannot be reached: {type(error).__name__}") from None
            if response.status_code < 500 or not tries_left:
                return _read(response)
        raise AssertionError("the last try returns or raises")

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, method: str, resource: str, content: bytes | None, wait_seconds: float) -> httpx.Response:
        try:
            key = await self._access_key()
        except CredentialsError as error:
            raise QueueError(f"there is no access key for SMQ: {error}") from None
        headers = {"date": formatdate(time.time(), usegmt=True), "x-mns-version": _VERSION}
        if content is not None:
            headers["content-type"] = _CONTENT_TYPE
            headers["content-md5"] = content_md5(content)
        signature = sign(method, resource, headers, key.secret)
        headers["authorization"] = f"MNS {key.id}:{signature}"
        if key.token is not None:
            headers["security-token"] = key.token
        timeout = httpx.Timeout(_SECONDS, read=_SECONDS + wait_seconds)
        return await self._http.request(method, resource, content=content, headers=headers, timeout=timeout)


def endpoint_of(name: CloudName) -> str:
    """https://www.alibabacloud.com/help/en/mns/product-overview/regions-and-endpoints"""
    if name.endpoint is not None:
        return name.endpoint
    return f"https://{name.account}.mns.{name.region}{'-internal' if name.internal else ''}.aliyuncs.com"


def sign(method: str, resource: str, headers: Mapping[str, str], secret: str) -> str:
    """The signature of a request; `headers` have lower-case names, `resource` is the path with its query."""
    vendor = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers) if name.startswith("x-mns-"))
    lines = (method, headers.get("content-md5", ""), headers.get("content-type", ""), headers["date"])
    text = "\n".join(lines) + "\n" + vendor + resource
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def content_md5(content: bytes) -> str:
    """RFC 1864: base64 of the digest."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def message_xml(fields: Mapping[str, str | int], root: str = "Message", namespace: bool = True) -> str:
    """`fields` as SMQ's XML, every value escaped."""
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in fields.items())
    return f'<{root} xmlns="{_NAMESPACE}">{inner}</{root}>' if namespace else f"<{root}>{inner}</{root}>"


def messages_xml(messages: list[Mapping[str, str | int]]) -> str:
    inner = "".join(message_xml(fields, namespace=False) for fields in messages)
    return f'<Messages xmlns="{_NAMESPACE}">{inner}</Messages>'


def children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return element.findall(f"{{{_NAMESPACE}}}{name}")


def text_of(element: ElementTree.Element, name: str) -> str:
    """The text of the child `name`. Raises QueueError if there is none."""
    found = element.find(f"{{{_NAMESPACE}}}{name}")
    if found is None or found.text is None:
        raise QueueError(f"SMQ's answer has no {name}")
    return found.text


def _read(response: httpx.Response) -> ElementTree.Element:
    try:
        # The vendor's own answer, over TLS; expat refuses entities that expand without end.
        found = ElementTree.fromstring(response.content or b"<Empty/>")  # noqa: S314 - see the line above
    except ElementTree.ParseError:
        raise QueueError(f"SMQ answered {response.status_code} with something that is no XML") from None
    if response.is_success:
        return found
    code = found.findtext(f"{{{_NAMESPACE}}}Code") or str(response.status_code)
    raise RefusedError(code, f"SMQ refused {response.request.method}: {code[:100]}")
