"""The environment that the server is given, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_server.settings import Settings, SettingsError, read_settings
from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import RunningServer


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return read_settings({"SPEECH_API_KEYS_FILE": "k", **variables})


@pytest.fixture(autouse=True)
def keys_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECH_API_KEYS_FILE", "/run/keys.json")


class TestSettings:
    def test_the_defaults_are_the_documented_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = read(monkeypatch)
        assert settings.api_keys_file == Path("/run/keys.json")
        assert (settings.engine, settings.listen) == ("espeak", "127.0.0.1:8000")
        assert (settings.max_body_bytes, settings.max_text_chars) == (16 * 1024 * 1024, 4096)

    def test_all_problems_are_told_at_once_with_variable_value_and_remedy(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wrong = {
            "SPEECH_LISTEN": "unix:relative.sock",
            "SPEECH_ENGINE": "espaek",
            "SPEECH_MAX_BODY_BYTES": "16MB",
            "SPEECH_DRAIN_SECONDS": "-1",
            "SPEECH_REPLICAS": "2",
        }
        with pytest.raises(SettingsError) as refused:
            read(monkeypatch, **wrong)
        lines = sorted(str(refused.value).splitlines())
        assert [line.partition(":")[0].partition("=")[0] for line in lines] == sorted(wrong)
        text = "\n".join(lines)
        assert "SPEECH_LISTEN='unix:relative.sock': the socket's path must be absolute" in text
        assert "use one of espeak" in text
        assert "'16MB'" in text
        assert "greater than or equal to 0" in text
        assert "SPEECH_REPLICAS: there is no such setting; did you mean SPEECH_REPLICA?" in text

    def test_a_missing_keys_file_setting_says_what_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SPEECH_API_KEYS_FILE")
        with pytest.raises(SettingsError, match="SPEECH_API_KEYS_FILE: not set; JSON object: client name -> key"):
            read_settings({})

    @pytest.mark.parametrize("address", ["8000", ":8000", "host", "host:port", "host:70000", "unix:", "host:٣"])
    def test_an_address_that_is_none(self, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
        with pytest.raises(SettingsError, match="SPEECH_LISTEN="):
            read(monkeypatch, SPEECH_LISTEN=address)

    @pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:8000", "localhost:80", "unix:/run/s.sock"])
    def test_an_address_that_is_one(self, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
        assert read(monkeypatch, SPEECH_LISTEN=address).listen == address


class TestProcess:
    """What a supervisor sees of a server that cannot start."""

    @staticmethod
    def end_of(server: RunningServer) -> tuple[int, str]:
        return server.process.wait(30), server.log_file.read_text()

    def test_wrong_settings_end_with_78(self, start_server: StartServer) -> None:
        status, said = self.end_of(start_server(ready=False, max_requests="many", enigne="x"))
        assert status == 78
        assert "SPEECH_MAX_REQUESTS='many'" in said
        assert "SPEECH_ENIGNE: there is no such setting; did you mean SPEECH_ENGINE?" in said
        assert "Traceback" not in said

    def test_no_keys_file_ends_with_78(self, start_server: StartServer, tmp_path: Path) -> None:
        status, said = self.end_of(start_server(ready=False, api_keys_file=tmp_path / "none.json"))
        assert status == 78
        assert "none.json: the API keys file cannot be read: No such file or directory" in said
        assert "Traceback" not in said

    def test_an_address_that_cannot_be_had_is_named(self, start_server: StartServer) -> None:
        server = start_server(ready=False, listen="256.0.0.1:80")
        status, said = self.end_of(server)
        assert status == 1
        assert "cannot listen on 256.0.0.1:80" in said
        assert "SPEECH_LISTEN" in said
