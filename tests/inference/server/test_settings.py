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

    def test_a_device_is_given_to_the_engines_or_to_the_one_engine(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        weights = {"SPEECH_ENGINE": "indextts2", "SPEECH_ENGINE_WEIGHTS": str(tmp_path)}
        settings = read(monkeypatch, **weights, SPEECH_DEVICES="0,GPU-8932f937", SPEECH_ENGINES="4")
        assert (settings.devices, settings.engines) == ("0,GPU-8932f937", 4)
        with pytest.raises(SettingsError, match=r"SPEECH_DEVICES='0,GPU-8932f937': SPEECH_ENGINE_DEVICE names one"):
            read(monkeypatch, **weights, SPEECH_DEVICES="0,GPU-8932f937", SPEECH_ENGINE_DEVICE="cuda:1")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("ENGINES", "0"), ("ENGINES", "65"), ("DEVICES", "0;1"), ("DEVICES", "0,"), ("IDLE_UNLOAD_MINUTES", "-1")],
    )
    def test_numbers_and_devices_of_engines_that_are_none(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        with pytest.raises(SettingsError, match=f"SPEECH_{name}="):
            read(monkeypatch, **{f"SPEECH_{name}": value})

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


class TestEngineSettings:
    """What the engine's own process will read, checked before there is one."""

    def test_those_of_the_chosen_engine_are_accepted(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        glossary = tmp_path / "glossary.json"
        glossary.write_text('{"NVMe": "N V M E"}')
        settings = read(
            monkeypatch,
            SPEECH_ENGINE="indextts2",
            SPEECH_ENGINE_WEIGHTS=str(tmp_path),
            SPEECH_ENGINE_VERSION="2",
            SPEECH_ENGINE_GLOSSARY=str(glossary),
        )
        assert settings.engine == "indextts2"

    def test_an_engine_named_by_its_class_is_the_same(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        name = "speech_server.engines.indextts2.engine:IndexTTS2Engine"
        assert read(monkeypatch, SPEECH_ENGINE=name, SPEECH_ENGINE_WEIGHTS=str(tmp_path)).engine == name

    @pytest.mark.parametrize("engine", ["espeak", "my.engines:Mine"])
    def test_those_of_another_engine_are_refused(self, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
        with pytest.raises(SettingsError) as refused:
            read(monkeypatch, SPEECH_ENGINE=engine, SPEECH_ENGINE_VERSION="2.5", SPEECH_ENGINE_TYPO="1")
        there, nowhere = sorted(str(refused.value).splitlines(), reverse=True)
        assert there == (
            f"SPEECH_ENGINE_VERSION: the engine {engine} has no such setting, indextts2 has; "
            "unset it, or set SPEECH_ENGINE=indextts2"
        )
        assert nowhere.startswith("SPEECH_ENGINE_TYPO: there is no such setting")

    def test_all_problems_are_told_with_those_of_the_server(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        missing = tmp_path / "none"
        with pytest.raises(SettingsError) as refused:
            read(
                monkeypatch,
                SPEECH_LISTEN="nowhere",
                SPEECH_ENGINE="indextts2",
                SPEECH_ENGINE_WEIGHTS=str(missing),
                SPEECH_ENGINE_PRECISION="int4",
                SPEECH_ENGINE_SEGMENT_TOKENS="many",
                SPEECH_ENGINE_SEGMENT_TOKEN="100",
            )
        assert sorted(str(refused.value).splitlines()) == [
            "SPEECH_ENGINE_PRECISION='int4': must be one of auto, fp32, bf16",
            "SPEECH_ENGINE_SEGMENT_TOKEN: there is no such setting; did you mean SPEECH_ENGINE_SEGMENT_TOKENS?",
            "SPEECH_ENGINE_SEGMENT_TOKENS='many': must be a number from 20 to 300",
            f"SPEECH_ENGINE_WEIGHTS='{missing}': is no folder that this process can see: give the absolute path of one",
            'SPEECH_LISTEN=\'nowhere\': use "unix:/path/to.sock" or "HOST:PORT", like 127.0.0.1:8000',
        ]

    @pytest.mark.parametrize(
        ("content", "problem"), [(None, "cannot be read: No such file or directory"), ("[]", "must be an object")]
    )
    def test_a_glossary_that_is_none(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, problem: str
    ) -> None:
        glossary = tmp_path / "glossary.json"
        if content is not None:
            glossary.write_text(content)
        with pytest.raises(SettingsError) as refused:
            read(
                monkeypatch,
                SPEECH_ENGINE="indextts2",
                SPEECH_ENGINE_WEIGHTS=str(tmp_path),
                SPEECH_ENGINE_GLOSSARY=str(glossary),
            )
        assert str(refused.value).startswith(f"SPEECH_ENGINE_GLOSSARY='{glossary}': ")
        assert problem in str(refused.value)

    def test_of_an_engine_that_is_none_only_its_name_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SettingsError) as refused:
            read(monkeypatch, SPEECH_ENGINE="indextts", SPEECH_ENGINE_VERSION="7")
        (line,) = str(refused.value).splitlines()
        assert line.startswith("SPEECH_ENGINE='indextts': ")


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

    def test_wrong_settings_of_the_engine_end_with_78_before_anything_listens(self, start_server: StartServer) -> None:
        server = start_server(ready=False, engine="indextts2", engine_version="3")
        status, said = self.end_of(server)
        assert status == 78
        assert "SPEECH_ENGINE_VERSION='3': must be one of 2, 2.5" in said
        assert "SPEECH_ENGINE_WEIGHTS: not set" in said
        assert "Traceback" not in said
        assert not server.socket.exists()

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
