"""A stand-in for Alibaba Cloud OSS: one bucket, in memory, that refuses what OSS refuses.

It verifies every signature by its own reading of the vendor's documents, which shares no line with the code it tests:
the S3-compatible protocol's AWS4-HMAC-SHA256, and OSS's own OSS4-HMAC-SHA256 in headers and in URLs. Beyond that it
answers 501 to conditional headers of the compatible protocol and to aws-chunked bodies, holds clocks to 15 minutes,
and, with versioning, ignores `x-oss-forbid-overwrite`, all as documented:
https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
https://www.alibabacloud.com/help/en/oss/developer-reference/putobject
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.listening import listening

_SKEW = timedelta(minutes=15)
_UNRESERVED = "-_.~"
_LEAST_PART_BYTES = 100 << 10  # of every part but the last


@dataclass
class Kept:
    data: bytes
    media_type: str
    modified: datetime


@dataclass
class OssBucket:
    """What a test sets and sees. `failures`: what the next requests are answered instead, a status each;
    `refusals`: what was asked for in a way that OSS does not take."""

    name: str = "speech-bucket"
    region: str = "cn-hangzhou"
    keys: dict[str, tuple[str, str | None]] = field(default_factory=dict)  # access key id -> (secret, token)
    versioned: bool = False
    page_size: int = 1000
    objects: dict[str, Kept] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)  # in parts, not yet complete
    failures: list[int] = field(default_factory=list)
    down: bool = False
    failing_share: float = 0.0  # of requests: half of these are refused, half are done and not answered
    die: random.Random = field(default_factory=lambda: random.Random(20_261_122))
    requests: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)


class RefusedError(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@contextmanager
def oss_server(bucket: OssBucket) -> Iterator[OssBucket]:
    """Serves `bucket` at `bucket.url`, as at an address of its own."""
    with listening(oss_handler(bucket)) as bucket.url:
        yield bucket


def oss_handler(bucket: OssBucket) -> type[BaseHTTPRequestHandler]:
    """What serves `bucket` at whatever address."""

    class Handler(_Handler):
        served = bucket

    return Handler


class _Handler(BaseHTTPRequestHandler):
    served: OssBucket
    _answer_is_lost = False  # though what was asked for is done
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass

    def do_GET(self) -> None:
        self._answer()

    do_PUT = do_HEAD = do_DELETE = do_POST = do_GET  # noqa: N815 - the base class names them

    def _answer(self) -> None:
        bucket = self.served
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        with bucket.lock:
            bucket.requests.append(f"{self.command} {self.path}")
            if bucket.down:
                self.close_connection = True
                return
            if bucket.failures:
                self._error(bucket.failures.pop(0), "ServiceUnavailable")
                return
            self._answer_is_lost = False
            if bucket.die.random() < bucket.failing_share:
                self._answer_is_lost = bucket.die.random() < 0.5
                if not self._answer_is_lost:
                    self._error(bucket.die.choice([500, 502, 503]), "InternalError")
                    return
            try:
                parts = urlsplit(self.path)
                query = parse_qsl(parts.query, keep_blank_values=True)
                native = self._verify(parts.path, parts.query, dict(query), body)
                self._serve(unquote(parts.path)[1:], dict(query), body, native)
            except RefusedError as error:
                # Who asks without a signature, as for the time, expects no more than an answer.
                if error.status not in (404, 409) and not (self.command == "HEAD" and self.path == "/"):
                    bucket.refusals.append(f"{self.command} {self.path.partition('?')[0]}: {error.code}")
                self._error(error.status, error.code)

    # Who asks?

    def _verify(self, path: str, raw_query: str, query: dict[str, str], body: bytes) -> bool:
        """True for OSS's own protocol, False for the S3-compatible one."""
        authorization = self.headers.get("authorization", "")
        if authorization.startswith("AWS4-HMAC-SHA256 "):
            self._verify_s3(authorization, path, query, body)
            return False
        if authorization.startswith("OSS4-HMAC-SHA256 "):
            self._verify_oss_header(authorization, path, raw_query)
            return True
        if "x-oss-signature" in query:
            self._verify_oss_query(path, query)
            return True
        raise RefusedError(403, "AccessDenied")

    def _verify_s3(self, authorization: str, path: str, query: dict[str, str], body: bytes) -> None:
        fields = dict(part.strip().split("=", 1) for part in authorization.partition(" ")[2].split(","))
        key_id, date, region, service, end = fields["Credential"].split("/")
        if (region, service, end) != (self.served.region, "s3", "aws4_request"):
            raise RefusedError(400, "AuthorizationHeaderMalformed")
        stamp = self.headers.get("x-amz-date", "")
        self._check_clock(stamp, date)
        secret, token = self._secret(key_id)
        if self.headers.get("x-amz-security-token") != token:
            raise RefusedError(403, "InvalidSecurityToken")
        signed = fields["SignedHeaders"].split(";")
        must = {name.lower() for name in self.headers if name.lower().startswith("x-amz-")} | {"host"}
        if must - set(signed):
            raise RefusedError(403, "AccessDenied")
        declared = self.headers.get("x-amz-content-sha256", "")
        if declared.startswith("STREAMING"):
            raise RefusedError(501, "NotImplemented")
        if declared not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
            raise RefusedError(400, "XAmzContentSHA256Mismatch")
        canonical = "\n".join(
            [
                self.command,
                path,
                _encoded_query(query),
                *(f"{name}:{' '.join(self.headers[name].split())}" for name in signed),
                "",
                ";".join(signed),
                declared,
            ]
        )
        scope = f"{date}/{region}/s3/aws4_request"
        key = _chain(b"AWS4" + secret.encode(), date, region, "s3", "aws4_request")
        self._compare("AWS4-HMAC-SHA256", stamp, scope, canonical, key, fields["Signature"])

    def _verify_oss_header(self, authorization: str, path: str, raw_query: str) -> None:
        fields = dict(part.strip().split("=", 1) for part in authorization.partition(" ")[2].split(","))
        if "AdditionalHeaders" in fields and not fields["AdditionalHeaders"]:
            raise RefusedError(400, "InvalidArgument")
        stamp = self.headers.get("x-oss-date", "")
        if self.headers.get("x-oss-content-sha256") != "UNSIGNED-PAYLOAD":
            raise RefusedError(400, "InvalidArgument")
        secret, token = self._oss_key(fields["Credential"], stamp)
        if self.headers.get("x-oss-security-token") != token:
            raise RefusedError(403, "SecurityTokenNotSupported")
        signed = sorted(
            (name.lower(), value.strip())
            for name, value in self.headers.items()
            if name.lower().startswith("x-oss-") or name.lower() in ("content-type", "content-md5")
        )
        headers = "".join(f"{name}:{value}\n" for name, value in signed)
        self._check_oss(path, raw_query, headers, fields["Credential"], stamp, secret, fields["Signature"])

    def _verify_oss_query(self, path: str, query: dict[str, str]) -> None:
        if query.get("x-oss-signature-version") != "OSS4-HMAC-SHA256":
            raise RefusedError(400, "InvalidArgument")
        stamp = query.get("x-oss-date", "")
        seconds = int(query.get("x-oss-expires", "0"))
        if not 1 <= seconds <= 604_800:
            raise RefusedError(400, "InvalidArgument")
        secret, token = self._oss_key(query["x-oss-credential"], stamp, timedelta(seconds=seconds))
        if query.get("x-oss-security-token") != token:
            raise RefusedError(403, "InvalidSecurityToken")
        rest = {name: value for name, value in query.items() if name != "x-oss-signature"}
        self._check_oss(
            path, _encoded_query(rest), "", query["x-oss-credential"], stamp, secret, query["x-oss-signature"]
        )

    def _oss_key(self, credential: str, stamp: str, lifetime: timedelta | None = None) -> tuple[str, str | None]:
        key_id, date, region, product, end = credential.split("/")
        if (region, product, end) != (self.served.region, "oss", "aliyun_v4_request"):
            raise RefusedError(400, "InvalidArgument")
        self._check_clock(stamp, date, lifetime)
        return self._secret(key_id)

    def _check_oss(
        self, path: str, query: str, headers: str, credential: str, stamp: str, secret: str, signature: str
    ) -> None:
        resource = quote(f"/{self.served.name}{unquote(path)}", safe="/" + _UNRESERVED)
        canonical = f"{self.command}\n{resource}\n{query}\n{headers}\n\nUNSIGNED-PAYLOAD"
        _, date, region, _, _ = credential.split("/")
        scope = f"{date}/{region}/oss/aliyun_v4_request"
        key = _chain(b"aliyun_v4" + secret.encode(), date, region, "oss", "aliyun_v4_request")
        self._compare("OSS4-HMAC-SHA256", stamp, scope, canonical, key, signature)

    def _secret(self, key_id: str) -> tuple[str, str | None]:
        if key_id not in self.served.keys:
            raise RefusedError(403, "InvalidAccessKeyId")
        return self.served.keys[key_id]

    def _check_clock(self, stamp: str, date: str, lifetime: timedelta | None = None) -> None:
        try:
            signed = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        except ValueError:
            raise RefusedError(403, "AccessDenied") from None
        age = datetime.now(timezone.utc) - signed
        if not stamp.startswith(date) or age < -_SKEW or (lifetime is None and age > _SKEW):
            raise RefusedError(403, "RequestTimeTooSkewed")
        if lifetime is not None and age > lifetime:
            raise RefusedError(403, "AccessDenied")

    def _compare(self, algorithm: str, stamp: str, scope: str, canonical: str, key: bytes, given: str) -> None:
        text = "\n".join([algorithm, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        expected = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        if expected != given:
            raise RefusedError(403, "SignatureDoesNotMatch")

    # What is asked?

    def _serve(self, key: str, query: dict[str, str], body: bytes, native: bool) -> None:
        if "uploads" in query or "uploadId" in query:
            self._serve_upload(key, query, body)
        elif self.command == "POST":
            raise RefusedError(501, "NotImplemented")
        elif not key:
            self._list(query)
        elif self.command == "PUT":
            self._put(key, body, native)
        elif self.command == "DELETE":
            self.served.objects.pop(key, None)
            self._send(204, b"")
        else:
            self._get(key, query)

    def _serve_upload(self, key: str, query: dict[str, str], body: bytes) -> None:
        """https://www.alibabacloud.com/help/en/oss/developer-reference/multipart-upload-operations/"""
        bucket, upload = self.served, query.get("uploadId", "")
        if "uploads" in query and self.command == "POST":
            upload = f"upload-{len(bucket.requests)}"
            bucket.uploads[upload] = {}
            self._send(200, _upload_xml("InitiateMultipartUploadResult", UploadId=upload, Key=key))
            return
        if upload not in bucket.uploads:
            raise RefusedError(404, "NoSuchUpload")
        parts = bucket.uploads[upload]
        if self.command == "PUT":
            parts[int(query["partNumber"])] = body
            self._send(200, b"", {"ETag": f'"{_etag(body)}"'})
        elif self.command == "DELETE":
            del bucket.uploads[upload]
            self._send(204, b"")
        else:
            self._complete(key, upload, body)

    def _complete(self, key: str, upload: str, body: bytes) -> None:
        parts = self.served.uploads[upload]
        named = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", body)]
        tags = [tag.decode() for tag in re.findall(rb"<ETag>(?:&quot;|\")?([0-9A-Fa-f]+)", body)]
        if not named or named != sorted(parts) or tags != [_etag(parts[number]) for number in named]:
            raise RefusedError(400, "InvalidPart")
        if any(len(parts[number]) < _LEAST_PART_BYTES for number in named[:-1]):
            raise RefusedError(400, "EntityTooSmall")
        data = b"".join(parts[number] for number in named)
        del self.served.uploads[upload]
        self.served.objects[key] = Kept(data, "application/octet-stream", datetime.now(timezone.utc))
        self._send(200, _upload_xml("CompleteMultipartUploadResult", ETag=f'"{_etag(data)}"', Key=key))

    def _put(self, key: str, body: bytes, native: bool) -> None:
        bucket = self.served
        conditional = self.headers.get("if-none-match") or self.headers.get("if-match")
        if conditional or "aws-chunked" in self.headers.get("content-encoding", ""):
            raise RefusedError(501, "NotImplemented")
        md5 = self.headers.get("content-md5")
        if md5 is not None and base64.b64decode(md5) != hashlib.md5(body, usedforsecurity=False).digest():
            raise RefusedError(400, "InvalidDigest")
        forbid = native and self.headers.get("x-oss-forbid-overwrite") == "true"
        if forbid and key in bucket.objects and not bucket.versioned:
            raise RefusedError(409, "FileAlreadyExists")
        media_type = self.headers.get("content-type", "application/octet-stream")
        bucket.objects[key] = Kept(body, media_type, datetime.now(timezone.utc))
        extra = {"ETag": f'"{_etag(body)}"'}
        if bucket.versioned:
            extra["x-oss-version-id"] = "CAEQNhiBgMDJgZCA0BYiIDc4MGZjZGI2OTBjOTRmNTE5NmU5NmFhZjhjYmY0"
        self._send(200, b"", extra)

    def _get(self, key: str, query: dict[str, str]) -> None:
        kept = self.served.objects.get(key)
        if kept is None:
            raise RefusedError(404, "NoSuchKey")
        extra = {
            "Content-Type": kept.media_type,
            "ETag": f'"{_etag(kept.data)}"',
            "Last-Modified": format_datetime(kept.modified, usegmt=True),
        }
        if "response-content-disposition" in query:
            extra["Content-Disposition"] = query["response-content-disposition"]
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if asked is None:
            self._send(200, kept.data, extra)
            return
        start, end = int(asked[1]), min(int(asked[2]), len(kept.data) - 1)
        if start > end:
            raise RefusedError(416, "InvalidRange")
        extra["Content-Range"] = f"bytes {start}-{end}/{len(kept.data)}"
        self._send(206, kept.data[start : end + 1], extra)

    def _list(self, query: dict[str, str]) -> None:
        if query.get("list-type") != "2":
            raise RefusedError(501, "NotImplemented")
        after = max(query.get("start-after", ""), query.get("continuation-token", ""))
        names = [key for key in sorted(self.served.objects) if key.startswith(query.get("prefix", "")) and key > after]
        page = names[: self.served.page_size]
        entries = "".join(self._entry(key) for key in page)
        more = len(names) > len(page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
            f"<Name>{self.served.name}</Name><KeyCount>{len(page)}</KeyCount>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}</ListBucketResult>"
        )
        self._send(200, xml.encode(), {"Content-Type": "application/xml"})

    def _entry(self, key: str) -> str:
        kept = self.served.objects[key]
        modified = kept.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{modified}</LastModified>"
            f'<ETag>"{_etag(kept.data)}"</ETag><Size>{len(kept.data)}</Size></Contents>'
        )

    def _error(self, status: int, code: str) -> None:
        xml = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
        self._send(status, xml.encode(), {"Content-Type": "application/xml"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        if self._answer_is_lost:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _upload_xml(name: str, **fields: str) -> bytes:
    inside = "".join(f"<{field}>{escape(value)}</{field}>" for field, value in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?><{name}>{inside}</{name}>'.encode()


def _encoded_query(query: dict[str, str]) -> str:
    pairs = sorted((quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def _chain(key: bytes, *parts: str) -> bytes:
    for part in parts:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().upper()
