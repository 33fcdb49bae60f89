"""`indextts2 voices` against a real server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from speech_server.cli.main import main
from tests.inference.server.running_server import KEY, ROOT, RunningServer, until
from tests.inference.voices.speech import NOT_SPEECH, speech_file

SAYS = ["--consent", "She agreed in her contract of 2026.", "--source", "Recorded in our own studio."]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("voices-cli")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = RunningServer(folder, listen=f"127.0.0.1:{port}", store=(folder / "objects").as_uri(), ready=False)
    until(lambda: server.log("engine_ready"))
    yield f"http://127.0.0.1:{port}"
    server.kill()


def run(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "inference"), "INDEXTTS2_URL": url, "INDEXTTS2_API_KEY": KEY}
    command = [sys.executable, "-m", "speech_server", "voices", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


class TestVoices:
    def test_add_list_delete_audit(self, url: str, tmp_path: Path) -> None:
        sample = tmp_path / "host.wav"
        sample.write_bytes(speech_file())
        added = run(url, "add", str(sample), "--name", "主播 1", *SAYS, "--shared")
        assert added.returncode == 0, added.stderr
        voice_id = added.stdout.split()[0]
        assert added.stdout == f"{voice_id}  主播 1  3.9 s, shared\n"
        statement = tmp_path / "consent.txt"
        statement.write_text("\ufeff她书面同意了我们使用她的声音。\n", encoding="utf-8")
        second = run(url, "add", str(sample), "--name", "two", "--consent-file", str(statement), *SAYS[2:])
        assert second.returncode == 0, second.stderr
        listed = run(url, "list").stdout.splitlines()
        assert listed[0].split() == ["ID", "NAME", "SECONDS", "SCOPE", "ADDED"]
        assert [line.split()[0] for line in listed[1:]] == [second.stdout.split()[0], voice_id]
        assert run(url, "delete", "主播 1").stdout == f"{voice_id} is deleted\n"
        gone = run(url, "delete", "主播 1")
        assert gone.returncode == 1
        assert "voice_not_found" in gone.stderr
        audit = run(url, "audit").stdout
        assert audit.count(voice_id) == 2
        assert "她书面同意了我们使用她的声音。" in audit

    def test_what_the_service_refuses_is_one_sentence(self, url: str, tmp_path: Path) -> None:
        sample = tmp_path / "tone.wav"
        sample.write_bytes(NOT_SPEECH)
        refused = run(url, "add", str(sample), "--name", "tone", *SAYS)
        assert refused.returncode == 1
        assert "audio_no_speech" in refused.stderr
        assert refused.stderr.count("\n") == 1
        audit = run(url, "audit", "--client", "*")
        assert "not_an_admin" in audit.stderr

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (["add", "/proc/none", "--name", "n", *SAYS], "/proc/none: cannot be read"),
            (["add", "/dev/zero", "--name", "n", *SAYS], "more than 15,728,640 bytes"),
            (["add", "/dev/null", "--name", "\udc80", *SAYS], "--name: not UTF-8 text"),
            (["add", "/dev/null", "--name", "n", "--consent-file", "/dev/null", *SAYS[2:]], "there is no text in it"),
            (["delete", ""], "not a name or an id"),
            (["list", "--url", "ftp://x", "--api-key", KEY], "is no URL of a service"),
        ],
    )
    def test_a_mistake_is_one_sentence(
        self, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["voices", *arguments]) == 1
        said = capsys.readouterr().err
        assert problem in said
        assert said.startswith("indextts2: ")

    def test_consent_and_source_must_be_given(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["voices", "add", "x.wav", "--name", "n", "--source", SAYS[3]])
        assert ended.value.code == 2
        assert "--consent" in capsys.readouterr().err
