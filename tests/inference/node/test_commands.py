"""`indextts2 node`: each command reaches what does its work, and says which setting it lacks."""

from __future__ import annotations

import pytest

from speech_server.cli import main


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPEECH_WORK_DIR", "SPEECH_STORE", "SPEECH_WEIGHTS", "SPEECH_WEIGHTS_DIR", "SPEECH_API_KEYS_FILE"):
        monkeypatch.delenv(name, raising=False)


class TestCommands:
    @pytest.mark.parametrize(
        ("arguments", "status", "what"),
        [
            (["check"], 78, "SPEECH_API_KEYS_FILE: not set"),
            (["sync-weights"], 78, "SPEECH_WEIGHTS_DIR"),
            (["drain"], 1, "set SPEECH_WORK_DIR"),
            (["undrain"], 1, "set SPEECH_WORK_DIR"),
            (["status"], 1, "set SPEECH_WORK_DIR"),
        ],
    )
    def test_it_is_found(
        self, arguments: list[str], status: int, what: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["node", *arguments]) == status
        assert what in capsys.readouterr().err
