"""A store that cannot be meant is told when the server starts, not when the first voice comes."""

from __future__ import annotations

import pytest

from speech_server.settings import SettingsError, read_settings


class TestStoreSettings:
    @pytest.mark.parametrize(
        ("variable", "value", "problem"),
        [
            ("SPEECH_STORE", "/var/lib/speech", "there is no such kind of store; use file:///DIR"),
            ("SPEECH_STORE", "s3://bucket", "the bucket's region is missing"),
            ("SPEECH_PUBLIC_URL", "speech.example.com", "must be like https://speech.example.com"),
            ("SPEECH_PUBLIC_URL", "https://speech.example.com/?a=b", "must be like https://speech.example.com"),
            ("SPEECH_MAX_VOICES", "0", "greater than or equal to 1"),
        ],
    )
    def test_a_wrong_one_names_variable_value_and_remedy(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, problem: str
    ) -> None:
        variables = {"SPEECH_API_KEYS_FILE": "/run/keys.json", variable: value}
        for name, text in variables.items():
            monkeypatch.setenv(name, text)
        with pytest.raises(SettingsError) as refused:
            read_settings(variables)
        assert str(refused.value).startswith(f"{variable}={value!r}: ")
        assert problem in str(refused.value)

    def test_none_is_fine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SPEECH_API_KEYS_FILE", "/run/keys.json")
        monkeypatch.setenv("SPEECH_PUBLIC_URL", "https://speech.example.com/")
        settings = read_settings({})
        assert (settings.store, settings.public_url) == ("", "https://speech.example.com")
