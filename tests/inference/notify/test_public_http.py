"""Calls to real sockets on this machine: what is connected to, what is followed, how long it may take."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from speech_server.notify.public_http import PublicHttp, RefusedAddressError, UnreachableError
from tests.inference.notify.receiver import Receiver


@pytest.fixture
def receiver() -> Generator[Receiver]:
    with Receiver() as made:
        yield made


def post(http: PublicHttp, url: str) -> int:
    return asyncio.run(http.post(url, {"X-Test": "1"}, b"hello"))


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Have every name lead to these addresses; the names that were asked for."""
    asked: list[str] = []

    async def getaddrinfo(self: object, host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asked


class TestAddresses:
    def test_an_internal_address_is_refused_before_anything_is_sent(self, receiver: Receiver) -> None:
        with pytest.raises(RefusedAddressError):
            post(PublicHttp(loopback=False), receiver.url)
        with pytest.raises(RefusedAddressError):
            post(PublicHttp(loopback=False), receiver.url.replace("127.0.0.1", "localhost"))
        assert receiver.calls == []

    @pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "10.1.2.3"])
    def test_a_name_that_leads_to_one_is_refused(self, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
        resolve_to(monkeypatch, "8.8.8.8", address)
        with pytest.raises(RefusedAddressError):
            post(PublicHttp(loopback=True), "http://rebinding.example/")

    def test_a_name_is_resolved_once(self, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
        asked = resolve_to(monkeypatch, "127.0.0.1")
        url = receiver.url.replace("127.0.0.1", "hooks.example")
        assert post(PublicHttp(loopback=True), url) == 204
        assert asked == ["hooks.example"]
        assert receiver.calls[0][0]["Host"] == f"hooks.example:{receiver.port}"

    def test_a_proxy_of_the_environment_is_not_used(self, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert post(PublicHttp(loopback=True), receiver.url) == 204


class TestAnswers:
    def test_a_redirect_is_not_followed(self) -> None:
        with Receiver(302) as receiver:
            assert post(PublicHttp(loopback=True), receiver.url) == 302
            assert len(receiver.calls) == 1

    def test_a_slow_one_is_given_up(self) -> None:
        with Receiver(200) as receiver:
            receiver.hold.clear()
            with pytest.raises(UnreachableError, match=r"no answer within 0.3 s"):
                post(PublicHttp(loopback=True, seconds=0.3), receiver.url)

    def test_an_endless_one_is_cut(self) -> None:
        with Receiver(200, body=b"x" * 200_000) as receiver:
            assert post(PublicHttp(loopback=True), receiver.url) == 200

    def test_nobody_there(self) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            with pytest.raises(UnreachableError) as refused:
                post(PublicHttp(loopback=True), f"http://127.0.0.1:{closed.getsockname()[1]}/secret-path")
        assert "secret-path" not in str(refused.value)


class TestTls:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        """For hooks.example, signed by itself."""
        file = tmp_path / "both.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        names = ["-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"]
        subprocess.run(
            [*command, *names, "-keyout", str(file), "-out", str(tmp_path / "c.pem"), "-days", "2"],
            check=True, capture_output=True,
        )  # fmt: skip
        file.write_text(file.read_text() + (tmp_path / "c.pem").read_text())
        return file

    def test_the_names_certificate_is_asked_for_at_the_checked_address(
        self, monkeypatch: pytest.MonkeyPatch, certificate: Path
    ) -> None:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate)
        seen: list[str | None] = []
        server.sni_callback = lambda _, name, __: seen.append(name)
        resolve_to(monkeypatch, "127.0.0.1")
        with Receiver(tls=server) as receiver:
            url = receiver.url.replace("127.0.0.1", "hooks.example")
            trusting = ssl.create_default_context(cafile=str(certificate))
            assert post(PublicHttp(loopback=True, tls=trusting), url) == 204
            assert seen == ["hooks.example"]
            with pytest.raises(UnreachableError):
                post(PublicHttp(loopback=True), url)  # nobody vouches for this certificate
            with pytest.raises(UnreachableError):
                other = url.replace("hooks.example", "other.example")
                post(PublicHttp(loopback=True, tls=trusting), other)
