"""Sounds, texts and bodies that no well-behaved client sends, on every endpoint that takes them."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import KEY, RunningServer, until
from tests.inference.server.test_hostile import connection, error_in, read_all
from tests.inference.server.test_jobs import ended, start
from tests.inference.service.tenants import CONSENT, SOURCE, VOICES
from tests.inference.voices.speech import sound_file, spoken

MEMORY = 300 << 20  # more than that no refused request may take


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = start(tmp_path_factory.mktemp("hostile"))
    yield running
    running.kill()


def ask(server: RunningServer, path: str, **body: Any) -> httpx.Response:
    with server.client() as client:
        return client.post(path, **body)


def speech(server: RunningServer, **fields: Any) -> httpx.Response:
    voice = {} if "reference_audio" in fields else {"voice": "low"}
    return ask(server, "/v1/audio/speech", json={"input": "hello", "model": "tts-1", "voice": "alloy"} | voice | fields)


# How a sound gets into the service: each gives the answer for a file's bytes.
ENTRANCES: dict[str, Callable[[RunningServer, bytes], httpx.Response]] = {
    "generate": lambda server, data: ask(server, "/generate", json={"text": "a", "reference_audio": _base64(data)}),
    "emotion": lambda server, data: ask(
        server, "/generate", json={"text": "a", "emotion_control": {"type": "audio", "audio": _base64(data)}}
    ),
    "openai": lambda server, data: speech(server, reference_audio=_base64(data)),
    "job": lambda server, data: ask(server, "/v1/jobs", json={"text": "a", "reference_audio": _base64(data)}),
    "batch": lambda server, data: ask(
        server, "/v1/jobs", json={"clips": [{"text": "a"}, {"text": "b", "reference_audio": _base64(data)}]}
    ),
    "voice": lambda server, data: ask(
        server,
        VOICES,
        data={"name": "bad", "consent": CONSENT, "source": SOURCE},
        files={"audio_sample": ("a.wav", data)},
    ),
}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _wav(
    data_bytes: int, body: bytes, *, form: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16
) -> bytes:
    """A WAV whose header says what it is told to say."""
    frame = channels * bits // 8
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, form, channels, rate, (rate * frame) % 2**32, frame % 2**16, bits)
    return (
        b"RIFF"
        + struct.pack("<I", (36 + data_bytes) % 2**32)
        + b"WAVE"
        + head
        + b"data"
        + struct.pack("<I", data_bytes % 2**32)
        + body
    )


def _speech_with_nan() -> bytes:
    samples, rate = spoken()
    broken = samples.astype(np.float32).copy()
    broken[len(broken) // 2] = np.nan
    return sound_file(broken, rate, subtype="FLOAT")


BAD_SOUNDS: dict[str, Callable[[], bytes]] = {
    "no bytes": lambda: b"",
    "no samples": lambda: _wav(0, b""),
    "20 minutes in 700 kB": lambda: sound_file(np.zeros(20 * 60 * 48_000, dtype=np.int16), 48_000, "FLAC"),
    "a header of 4 GB": lambda: _wav(0xFFFFFFF0, bytes(2000)),
    "a header of less than there is": lambda: _wav(16, bytes(100_000)),
    "65,535 channels": lambda: _wav(4000, bytes(4000), channels=65_535),
    "no channels": lambda: _wav(4000, bytes(4000), channels=0),
    "0 Hz": lambda: _wav(4000, bytes(4000), rate=0),
    "4 GHz": lambda: _wav(4000, bytes(4000), rate=0xFFFFFFFF),
    "a NaN": _speech_with_nan,
    "silence": lambda: _wav(96_000, bytes(96_000)),
    "a ZIP": lambda: b"PK\x03\x04" + bytes(1000),
    "an MP4 of one box": lambda: struct.pack(">I", 0xFFFFFFFF) + b"ftypM4A " + bytes(64),
    "an Ogg page of nothing": lambda: b"OggS" + bytes(60),
    "a FLAC of 2^36 samples": lambda: b"fLaC\x80\x00\x00\x22" + b"\xff" * 34,
    "a playlist": lambda: b"#EXTM3U\nfile:///etc/passwd\n",
}
SOUND_CODES = {
    "not_audio", "audio_too_short", "audio_too_long", "audio_silent", "audio_too_quiet", "audio_not_finite",
    "audio_no_speech", "too_many_channels", "sample_rate_out_of_range", "missing_parameter", "not_base64",
    "invalid_value",
}  # fmt: skip


class TestSounds:
    @pytest.mark.parametrize("sound", BAD_SOUNDS)
    @pytest.mark.parametrize("entrance", ENTRANCES)
    def test_a_bad_one_is_refused_by_name(self, server: RunningServer, entrance: str, sound: str) -> None:
        answer = ENTRANCES[entrance](server, BAD_SOUNDS[sound]())
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert error["code"] in SOUND_CODES, error
        assert error["param"].endswith(("reference_audio", "emotion_control.audio", "audio_sample")), error
        assert "/" not in error["message"].replace("+ /", ""), "a path of ours"

    @pytest.mark.parametrize("entrance", ENTRANCES)
    def test_eight_channels_at_192_khz_are_taken(self, server: RunningServer, entrance: str) -> None:
        samples, rate = spoken()
        loud = np.repeat(samples[: 2 * rate], 192_000 // rate + 1)[: 192_000 * 2]
        wide = np.repeat(loud[:, None], 8, axis=1)
        answer = ENTRANCES[entrance](server, sound_file(wide, 192_000))
        assert answer.status_code in (200, 202) or answer.json()["error"]["code"] == "audio_no_speech", answer.text

    def test_bombs_at_once_cost_little_memory(self, server: RunningServer) -> None:
        bomb = BAD_SOUNDS["20 minutes in 700 kB"]()
        process = psutil.Process(server.process.pid)
        before = process.memory_info().rss
        peak = before
        bombers = [
            threading.Thread(target=enter, args=(server, bomb)) for enter in ENTRANCES.values() for _ in range(3)
        ]
        for bomber in bombers:
            bomber.start()
        while any(bomber.is_alive() for bomber in bombers):
            peak = max(peak, process.memory_info().rss)
            bombers[0].join(0.01)
            if not bombers[0].is_alive():
                bombers.append(bombers.pop(0))
        assert peak - before < MEMORY
        assert server.generate("still here").status_code == 200


TEXTS = {
    "Arabic": "مرحبا بالعالم",
    "Hebrew with Latin": "שלום hello עולם",
    "Devanagari": "नमस्ते दुनिया",
    "Tamil": "வணக்கம்",
    "Thai": "สวัสดีชาวโลก",
    "Cherokee": "ᎣᏏᏲ",
    "Linear B": "𐀀𐀁𐀂",
    "mathematical letters": "𝕳𝖊𝖑𝖑𝖔",
    "emoji": "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "emoji and words": "hello 😀 world",
    "overridden direction": "\u202eevil\u202c\u2066x\u2069",
    "control characters": "a\x00b\x01c\x1b[31md\x7fe\x85f",
    "line separators": "a\u2028b\u2029c\r\nd",
    "no characters": "\ufdd0\uffff\U0010ffff a",
    "private use": "\ue000\uf8ff",
    "a thousand accents": "a" + "\u0301" * 1000,
    "byte order mark": "\ufeffa",
    "SSML": "<speak><break time='9999s'/>x</speak>",
    "format strings": "%s%n {0} ${jndi:ldap://x} `id` $(id) '; DROP TABLE messages; --",
    "nothing": "",
    "blanks": " \t\n\u3000\u200b",
    "dots": "......",
    "a megabyte of one letter": "a" * (1 << 20),
    "a megabyte of one sign": "。" * (1 << 20),
    "digits": "9" * 4000,
}
TEXT_CODES = {"no_speech", "text_too_long", "invalid_value", "invalid_pinyin", "unsupported_text", "invalid_text"}


def _spoken_or_refused(answer: httpx.Response) -> None:
    if answer.status_code in (200, 202):
        return
    assert answer.status_code == 400, answer.text[:500]
    assert answer.json()["error"]["code"] in TEXT_CODES, answer.text[:500]
    assert len(answer.content) < 2000
    assert answer.content.isascii() or "�" not in answer.text


class TestTexts:
    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_any_is_spoken_or_refused(self, server: RunningServer, text: str) -> None:
        _spoken_or_refused(ask(server, "/generate", json={"text": text}))
        _spoken_or_refused(ask(server, "/generate", json={"text_with_pinyin": text}))
        _spoken_or_refused(speech(server, input=text))
        _spoken_or_refused(speech(server, input="fine", instructions=text))

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_any_job_is_done_or_refused(self, server: RunningServer, text: str) -> None:
        for body in ({"text": text}, {"clips": [{"text": "fine"}, {"text": text}]}):
            answer = ask(server, "/v1/jobs", json=body)
            _spoken_or_refused(answer)
            if answer.status_code == 202:
                assert ended(server, answer.json()["id"])["status"] == "succeeded"

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_any_name_of_anything(self, server: RunningServer, text: str) -> None:
        """Where a text names something, it is found, or not, or refused; it is never a fault."""
        for answer in (
            ask(server, "/generate", json={"text": "a", "voice": text}),
            ask(server, "/generate", json={"text": "a", "language": text}),
            ask(server, "/generate", json={"text": "a", "format": text}),
            speech(server, model=text),
            speech(server, voice={"id": text}),
            ask(server, "/v1/jobs", json={"text": "a", "voice": text}),
            ask(server, "/v1/jobs", json={"text": "a", "webhook": text}),
            ask(server, VOICES, data={"name": text, "consent": text, "source": text}, files={"audio_sample": b"x"}),
        ):
            assert answer.status_code in (400, 404), answer.text[:500]
            assert len(answer.content) < 2000

    def test_the_log_is_plain_ascii_after_all_that(self, server: RunningServer) -> None:
        assert all(character.isascii() for character in server.log_file.read_text())
        assert not server.log("request_failed")
        assert not server.log("job_clip_failed")


ROUTES = ("/v1/audio/speech", "/v1/jobs", "/v1/jobs/dead-letters/redrive")


class TestBodies:
    @pytest.mark.parametrize("path", ROUTES)
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"\xff",
            b'{"a": NaN}',
            b'{"a":' * 100_000,
            b'{"text": "\\ud800"}',
            b'{"seed": ' + b"9" * 10_000 + b"}",
            b'{"clips": [' + b"{}," * 100_000 + b"0]",
        ],
        ids=lambda body: ascii(body[:16]),
    )
    def test_no_json_object_of_ours(self, server: RunningServer, path: str, body: bytes) -> None:
        answer = ask(server, path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 403), answer.text[:300]
        assert len(answer.content) < 4000

    @pytest.mark.parametrize("path", ["/generate", *ROUTES, VOICES])
    def test_one_that_drips_a_byte_at_a_time_is_given_up(self, start_server: StartServer, path: str) -> None:
        server = start_server(body_seconds=0.5)
        kind = "multipart/form-data; boundary=x" if path == VOICES else "application/json"
        head = f"POST {path} HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer {KEY}\r\nContent-Type: {kind}\r\n"
        with connection(server) as client:
            client.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode())
            given_up = threading.Event()

            def drip() -> None:
                with contextlib.suppress(OSError):
                    while not given_up.wait(0.02):
                        client.sendall(b" ")

            dripping = threading.Thread(target=drip)
            dripping.start()
            raw = read_all(client)
            given_up.set()
            dripping.join()
        assert error_in(raw) == (408, "body_too_slow")

    @pytest.mark.parametrize("path", ["/v1/jobs", VOICES])
    def test_one_that_is_too_large_is_refused_before_it_is_sent(self, server: RunningServer, path: str) -> None:
        head = f"POST {path} HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
        with connection(server) as client:
            client.sendall(f"{head}Content-Length: {17 << 20}\r\n\r\n".encode())
            assert error_in(read_all(client)) == (413, "body_too_large")


class TestSlowReaders:
    def test_readers_of_a_byte_at_a_time_hold_up_nobody(self, server: RunningServer) -> None:
        body = json.dumps({"text": "long " * 800, "format": "wav"}).encode()
        head = (
            f"POST /generate HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
        )
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(connection(server)) for _ in range(30)]
            for reader in slow:
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                reader.sendall(request)
            for reader in slow:
                assert reader.recv(1) == b"H"  # each has its answer, 9 MB long, and does not take it
            began = time.monotonic()
            for number in range(10):
                assert server.generate(f"quick {number}").status_code == 200
                assert all(reader.recv(1) for reader in slow)
            assert time.monotonic() - began < 10
        until(lambda: server.metric("speech_http_requests_in_flight") == 0)
