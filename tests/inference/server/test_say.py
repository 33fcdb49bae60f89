"""`indextts2 say`: what it asks for, where, and what it makes of the answer."""

from __future__ import annotations

import argparse
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import soundfile

from speech_server import __version__
from speech_server.cli import say
from speech_server.cli.asking import TRIES, retry_wait
from speech_server.cli.client import request_clip
from speech_server.cli.failure import CommandError
from speech_server.cli.main import main
from speech_server.cli.service_address import ServiceAddress, find_service
from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import KEY, ROOT, until

SERVICE = ServiceAddress("http://speech", KEY)
CLIP_HEADERS = {"x-audio-seconds": "3.42", "x-synthesis-seconds": "0.05", "x-engine": "espeak/1.52"}


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    say.add_arguments(parser)
    return parser.parse_args([*arguments, "-o", "out.wav"])


class Sleeps:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class TestRequestBody:
    def test_options_become_fields(self, tmp_path: Path) -> None:
        (tmp_path / "voice.wav").write_bytes(b"RIFF")
        given = options(
            *("--reference", str(tmp_path / "voice.wav"), "--emotion", "angry", "--intensity", "0.5"),
            *("--duration-ratio", "1.1", "--seed", "3", "--language", "zh", "--format", "flac"),
        )
        assert say.request_body(given, "Hello.") == {
            "text": "Hello.",
            "reference_audio": "UklGRg==",
            "emotion_control": {"type": "text_desc", "description": "angry", "intensity": 0.5},
            "duration_ratio": 1.1,
            "language": "zh",
            "seed": 3,
            "format": "flac",
        }

    @pytest.mark.parametrize(
        ("text", "flags", "field"),
        [
            ("这本书明天要huán", [], "text_with_pinyin"),
            ("这本书明天要hua\u0301n", [], "text_with_pinyin"),
            ("这本书明天要huán", ["--no-pinyin"], "text"),
            ("这本书明天要还", [], "text"),
            ("A café at noon", [], "text"),
            ("nǐ hǎo", [], "text"),
            ("nǐ hǎo", ["--pinyin"], "text_with_pinyin"),
        ],
    )
    def test_tone_marks_in_a_chinese_text_are_pinyin(self, text: str, flags: list[str], field: str) -> None:
        assert say.request_body(options(*flags), text)[field] == text

    @pytest.mark.parametrize(
        ("output", "form"), [("a.wav", "wav"), ("b/c.MP3", "mp3"), ("x.ogg", "opus"), ("x.opus", "opus")]
    )
    def test_the_format_is_the_suffix(self, output: str, form: str) -> None:
        assert say.format_of(output) == form

    @pytest.mark.parametrize("output", ["a.txt", "wav", "-"])
    def test_another_suffix_is_refused(self, output: str) -> None:
        with pytest.raises(CommandError, match="give --format"):
            say.format_of(output)

    def test_an_intensity_of_nothing(self) -> None:
        with pytest.raises(CommandError, match="give --emotion too"):
            say.request_body(options("--intensity", "1"), "x")


class TestRetries:
    def test_the_service_says_when(self) -> None:
        assert retry_wait(0, "7") == 7
        assert retry_wait(0, "100000") == 120
        assert [retry_wait(attempt, None) for attempt in range(4)] == [0.5, 1, 2, 4]
        assert retry_wait(0, "Wed, 21 Oct 2026 07:28:00 GMT") == 0.5

    def test_busy_and_unreachable_are_tried_again(self) -> None:
        sleeps = Sleeps()
        answers = iter([httpx.Response(503, headers={"Retry-After": "2"}), httpx.ConnectError("refused"), None])

        def handle(request: httpx.Request) -> httpx.Response:
            assert request.headers["authorization"] == f"Bearer {KEY}"
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer or httpx.Response(200, headers=CLIP_HEADERS, content=b"RIFF")

        clip = request_clip(SERVICE, {"text": "x"}, httpx.MockTransport(handle), sleeps)
        assert (clip.audio, clip.seconds, clip.engine) == (b"RIFF", 3.42, "espeak/1.52")
        assert sleeps.seconds == [2, 1]

    def test_it_gives_up(self) -> None:
        sleeps = Sleeps()
        busy = httpx.MockTransport(lambda _: httpx.Response(429, headers={"Retry-After": "3"}))
        with pytest.raises(CommandError, match=rf"429 no explanation .* \(tried {TRIES} times\)"):
            request_clip(SERVICE, {"text": "x"}, busy, sleeps)
        assert sleeps.seconds == [3] * (TRIES - 1)

    def test_a_refusal_is_final_and_explained(self) -> None:
        body = {"error": {"message": "text is empty", "type": "t", "param": "text", "code": "no_speech"}}
        refusing = httpx.MockTransport(lambda _: httpx.Response(400, json=body, headers={"x-request-id": "req-1"}))
        with pytest.raises(CommandError, match=r"400 no_speech: text is empty \(request id req-1\)"):
            request_clip(SERVICE, {"text": ""}, refusing, Sleeps())

    @pytest.mark.parametrize("headers", [{}, {**CLIP_HEADERS, "x-audio-seconds": "long"}])
    def test_another_service_at_the_address(self, headers: dict[str, str]) -> None:
        other = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=b"<html>"))
        with pytest.raises(CommandError, match="no speech service of this kind"):
            request_clip(SERVICE, {"text": "x"}, other, Sleeps())


class TestServiceAddress:
    @pytest.fixture
    def checkout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A checkout and a `pulumi` that prints its arguments to a file and outputs.json to its output."""
        (tmp_path / "Pulumi.yaml").touch()
        (tmp_path / "below").mkdir()
        pulumi = tmp_path / "bin" / "pulumi"
        pulumi.parent.mkdir()
        outputs = "[ -f outputs.json ] || { echo no stack >&2; exit 255; }\ncat outputs.json\n"
        pulumi.write_text(f'#!/bin/sh\necho "$@" > arguments\n{outputs}')
        pulumi.chmod(0o755)
        monkeypatch.setenv("PATH", f"{pulumi.parent}:/usr/bin:/bin")
        return tmp_path

    def test_options_go_before_the_environment(self, tmp_path: Path) -> None:
        environment = {"INDEXTTS2_URL": "http://env:1/", "INDEXTTS2_API_KEY": "from-env"}
        assert find_service(None, None, None, environment, tmp_path) == ServiceAddress("http://env:1", "from-env")
        assert find_service("https://o", "k", None, environment, tmp_path) == ServiceAddress("https://o", "k")

    def test_the_stack_is_asked_last(self, checkout: Path) -> None:
        (checkout / "outputs.json").write_text(json.dumps({"url": "http://127.0.0.1:8080", "apiKey": "secret"}))
        found = find_service(None, None, "dev", {}, checkout / "below")
        assert found == ServiceAddress("http://127.0.0.1:8080", "secret")
        assert "secret" not in repr(found)
        asked = (checkout / "arguments").read_text()
        assert asked == "stack output --json --show-secrets --non-interactive --stack dev\n"

    def test_the_stacks_key_is_for_the_stacks_address_only(self, checkout: Path) -> None:
        (checkout / "outputs.json").write_text(json.dumps({"url": "http://127.0.0.1:8080", "apiKey": "secret"}))
        with pytest.raises(CommandError, match="no API key for http://elsewhere"):
            find_service("http://elsewhere", None, None, {}, checkout)
        assert not (checkout / "arguments").exists()

    def test_no_stack(self, checkout: Path) -> None:
        with pytest.raises(CommandError, match=r"(?s)--stack NAME chooses.*no stack"):
            find_service(None, None, None, {}, checkout)

    def test_a_stack_that_was_never_deployed(self, checkout: Path) -> None:
        (checkout / "outputs.json").write_text("{}")
        with pytest.raises(CommandError, match="no output url: is it deployed"):
            find_service(None, None, None, {}, checkout)

    def test_no_pulumi(self, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(CommandError, match=r"not on PATH.*`\. tools/activate`"):
            find_service(None, None, None, {}, checkout)

    @pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://host", "http://", "http://[", "file:///etc/passwd"])
    def test_an_address_that_is_none(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(CommandError, match="is no URL of a service"):
            find_service(url, "k", None, {}, tmp_path)


def run(arguments: list[str], text: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command as a user runs it."""
    command = [sys.executable, "-m", "speech_server", *arguments]
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "inference"), **environment}
    return subprocess.run(command, input=text.encode(), env=variables, capture_output=True, timeout=60, check=False)


class TestCommand:
    def test_a_text_becomes_a_file(self, start_server: StartServer, tmp_path: Path) -> None:
        port = free_port()
        server = start_server(listen=f"127.0.0.1:{port}", ready=False)
        url = f"http://127.0.0.1:{port}"
        until(lambda: server.log("engine_ready"))
        key_file = tmp_path / "key"
        key_file.write_text(KEY + "\n")
        where = ["--url", url, "--api-key-file", str(key_file)]
        out = tmp_path / "new folder" / "out.wav"

        said = run(["say", "Forty characters make two seconds of it.", "-o", str(out), "--emotion", "sad", *where])
        assert said.returncode == 0, said.stderr
        assert said.stdout.decode().startswith(f"{out}: 2.00 s of audio, synthesised in 0.")
        assert said.stdout.decode().endswith("(strict/1)\n")
        assert said.stderr.decode().startswith("warning: emotion_unsupported")
        assert soundfile.info(out).frames == 2 * 22_050
        assert stat.S_IMODE(out.stat().st_mode) & 0o444 == 0o444
        assert [file.name for file in out.parent.iterdir()] == ["out.wav"]

        piped = run(
            ["say", "-", "-o", "-", "--format", "flac"],
            "\ufeff这本书要huán了\n",
            INDEXTTS2_URL=url,
            INDEXTTS2_API_KEY=KEY,
        )
        assert piped.stdout.startswith(b"fLaC"), piped.stderr
        assert server.called("这本书要huan2了")

        refused = run(["say", "...", "-o", str(out), *where])
        assert refused.returncode == 1
        assert b"no_speech" in refused.stderr
        assert soundfile.info(out).frames == 2 * 22_050  # the clip that was there

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (["x", "-f", "y", "-o", "o.wav"], "give one of them"),
            (["-f", "/proc/none", "-o", "o.wav"], "/proc/none: cannot be read: No such file"),
            (["-f", "/dev/zero", "-o", "o.wav"], "a text file of more than 1,048,576 bytes is too large"),
            (["-f", "/dev/null", "-o", "o.wav"], "/dev/null: there is no text in it"),
            (["-f", sys.executable, "-o", "o.wav"], "not UTF-8"),
            (["x", "-o", "o.doc"], "give --format"),
            (["x", "-o", "/", "--format", "wav"], "/: is a folder"),
            (["x", "-o", "/dev/null/o.wav"], "its folder cannot be made: "),
            (["x", "-o", "o.wav", "--reference", "/"], "/: cannot be read: Is a directory"),
            (["x", "-o", "o.wav", "--url", "http://s", "--api-key", "\u00e9"], "no HTTP header can carry"),
            (["x", "-o", "o.wav", "--url", "http://s", "--api-key-file", "/proc/none"], "/proc/none: cannot be read"),
        ],
    )
    def test_a_mistake_is_one_sentence(
        self, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["say", *arguments]) == 1
        said = capsys.readouterr().err
        assert said.startswith("indextts2: ")
        assert problem in said
        assert said.count("\n") == 1

    @pytest.mark.parametrize("arguments", [[], ["sing"], ["say", "x"], ["say", "x", "-o", "o.wav", "--seed", "nan"]])
    def test_wrong_usage_is_status_2(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert "usage: indextts2" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (["--version"], f"indextts2 {__version__}\n"),
            (["--help"], "run the speech server"),
            (["serve", "--help"], "SPEECH_API_KEYS_FILE"),
            (["say", "--help"], "others on this machine can see it"),
        ],
    )
    def test_version_and_help(self, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        assert text in capsys.readouterr().out

    def test_an_interrupt_is_quiet(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        def interrupted(_: object) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(say, "run", interrupted)
        assert main(["say", "x", "-o", "o.wav"]) == 130
        assert capsys.readouterr().err == ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
