"""Bytes that no well-behaved client sends: broken HTTP, broken JSON, slow and huge bodies, injections."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Generator, Iterator

import pytest

from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import KEY, RunningServer, until

HEAD = f"POST /generate HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def connection(server: RunningServer) -> Generator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(server.socket))
        yield client


def read_all(client: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(65536):
            received += chunk
    return received


def error_in(raw: bytes) -> tuple[int, str]:
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"x-request-id: " in head
    return int(head.split(b" ")[1]), json.loads(body)["error"]["code"]


def post_raw(server: RunningServer, body: bytes, content_type: str = "application/json") -> tuple[int, str]:
    with server.client() as client:
        answer = client.post("/generate", content=body, headers={"Content-Type": content_type})
    assert answer.headers["x-request-id"]
    return answer.status_code, answer.json()["error"]["code"]


class TestJson:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"   ",
            b"{",
            b"\xff\xfe",
            b'{"text": "a",}',
            b'{"text": NaN}',
            b'{"duration_ratio": Infinity}',
            b"[]",
            b'"text"',
            b"null",
            b"[" * 200_000,
            b'{"a":' * 200_000,
            b'{"text": "\\ud800"}',
            b'{"\\udfff": 1}',
            b'{"text": ["\\ud800"]}',
            b'{"seed": ' + b"9" * 10_000 + b"}",
            b"{'text': 'a'}",
            b"\xef\xbb\xbf{}",
        ],
        ids=lambda body: ascii(body[:20]),
    )
    def test_what_is_no_json_object(self, shared_server: RunningServer, body: bytes) -> None:
        assert post_raw(shared_server, body) == (400, "invalid_json")

    def test_a_key_twice(self, shared_server: RunningServer) -> None:
        assert post_raw(shared_server, b'{"text": "a", "text": "b"}') == (400, "duplicate_parameter")
        nested = b'{"text": "a", "emotion_control": {"type": "none", "type": "vector"}}'
        assert post_raw(shared_server, nested) == (400, "duplicate_parameter")

    @pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
    def test_another_content_type(self, shared_server: RunningServer, content_type: str) -> None:
        assert post_raw(shared_server, b'{"text": "a"}', content_type) == (415, "unsupported_media_type")

    def test_a_character_set_in_the_content_type_is_fine(self, shared_server: RunningServer) -> None:
        with shared_server.client() as client:
            headers = {"Content-Type": "application/json; charset=utf-8"}
            assert client.post("/generate", content=b'{"text": "a"}', headers=headers).status_code == 200

    @pytest.mark.parametrize("text", ["a\u0000b", "مرحبا", "😀 a", "a" * 4096, "\u202eabc", "a\u0301" * 100, "1" * 500])
    def test_strange_text_is_spoken(self, shared_server: RunningServer, text: str) -> None:
        answer = shared_server.generate(text)
        assert answer.status_code == 200, answer.text


class TestBodies:
    def test_one_declared_too_large_is_refused_before_it_is_sent(self, shared_server: RunningServer) -> None:
        with connection(shared_server) as client:
            client.sendall(f"{HEAD}Content-Length: {17 << 20}\r\n\r\n".encode())
            assert error_in(read_all(client)) == (413, "body_too_large")

    @pytest.mark.parametrize("chunked", [False, True])
    def test_one_that_is_too_large_is_answered_and_not_reset(self, start_server: StartServer, chunked: bool) -> None:
        server = start_server(max_body_bytes=100_000)

        def chunks() -> Iterator[bytes]:
            for _ in range(40):
                yield b"x" * 65536

        content = chunks() if chunked else b"x" * (40 * 65536)
        with server.client() as client:
            answer = client.post("/generate", content=content, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
            assert "100,000" in answer.json()["error"]["message"]
            assert client.post("/generate", json={"text": "a"}).status_code == 200

    def test_a_body_that_does_not_come_is_a_408(self, start_server: StartServer) -> None:
        server = start_server(body_seconds=0.3)
        with connection(server) as client:
            client.sendall(f'{HEAD}Content-Length: 100\r\n\r\n{{"text":'.encode())
            assert error_in(read_all(client)) == (408, "body_too_slow")

    def test_without_a_key_no_byte_of_the_body_is_waited_for(self, shared_server: RunningServer) -> None:
        with connection(shared_server) as client:
            client.sendall(b"POST /generate HTTP/1.1\r\nHost: s\r\nContent-Length: 1000000\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 401 ")

    def test_a_client_that_leaves_in_mid_body_is_forgotten(self, shared_server: RunningServer) -> None:
        with connection(shared_server) as client:
            client.sendall(f"{HEAD}Content-Length: 1000\r\n\r\n{{".encode())
        until(lambda: shared_server.metric("speech_http_requests_in_flight") == 0)


class TestHttp:
    @pytest.mark.parametrize(
        "raw",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
            b"GET /healthz HTTP/1.1\r\nHost: s\r\nbad header\r\n\r\n",
            b"POST /generate HTTP/1.1\r\nHost: s\r\nContent-Length: -5\r\n\r\n",
            b"POST /generate HTTP/1.1\r\nHost: s\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: s\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n",
            b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: s\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\n" + b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(5000)) + b"\r\n",
        ],
        ids=["tls", "header", "length", "smuggling", "long header", "long path", "many headers"],
    )
    def test_broken_and_oversized_heads(self, shared_server: RunningServer, raw: bytes) -> None:
        with connection(shared_server) as client:
            with contextlib.suppress(OSError):
                client.sendall(raw)
            status, code = error_in(read_all(client))
        assert (status, code) == (400, "invalid_http")

    def test_a_websocket_is_no_way_in(self, shared_server: RunningServer) -> None:
        head = b"GET /generate HTTP/1.1\r\nHost: s\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        with connection(shared_server) as client:
            client.sendall(head + b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n")
            assert read_all(client).startswith(b"HTTP/1.1 401 ")


class TestRequestIds:
    def test_a_harmless_one_is_kept(self, shared_server: RunningServer) -> None:
        with shared_server.client() as client:
            given = "abc-123_X.y"
            assert client.get("/v1/models", headers={"X-Request-Id": given}).headers["x-request-id"] == given

    @pytest.mark.parametrize("given", ["", "a b", 'x","level":"error', "x" * 129, "\u00e9"])
    def test_another_is_replaced(self, shared_server: RunningServer, given: str) -> None:
        with shared_server.client() as client:
            answer = client.get("/v1/models", headers={"X-Request-Id": given.encode("latin-1")})
        assert answer.headers["x-request-id"].startswith("req-")


class TestLog:
    def test_every_line_is_json_and_holds_no_text_no_audio_and_no_key(self, start_server: StartServer) -> None:
        server = start_server()
        secret = "the words of the customer"
        with server.client() as client:
            client.post("/generate", json={"text": secret})
            client.post("/generate", json={"text": secret, "format": "x" + secret})
            client.post("/generate", json={"text": "a", "reference_audio": "SECRETAUDIO" * 100})
            client.get("/no%0athing%1b[2J%e2%80%a8%0d%0aevil")
        with server.client("wrong-" + KEY) as client:
            client.get("/v1/models")
        lines = until(lambda: [line for line in server.log("request") if line["status"] == 401] and server.log())
        raw = server.log_file.read_text()
        assert all(character.isascii() and (character.isprintable() or character == "\n") for character in raw)
        assert all({"time", "level", "event", "replica"} <= set(line) for line in lines)
        assert not any(word in raw for word in (secret, "SECRETAUDIO", KEY))
        spoken = next(line for line in lines if line.get("route") == "/generate" and line["status"] == 200)
        assert spoken["client"] == "first"
        assert spoken["audio_seconds"] == pytest.approx(len(secret) * 0.05)
