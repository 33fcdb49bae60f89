"""The clients of a stack: their keys and limits, and the file that the server reads."""

import json

import pytest

from components.settings import SettingsError, load
from components.settings.clients import keys_file
from speech_server.auth import KeyRing

KEY, NEXT = "k" * 40, "n" * 40


def settings(**values):
    config = {f"indextts2:{name}": json.dumps(value) for name, value in values.items()}
    return load("local", config, is_secret=lambda key: key == "indextts2:apiKeys")


def document(**values):
    found = settings(**values)
    return keys_file(found.api_keys, found.clients)


def problems(**values):
    with pytest.raises(SettingsError) as caught:
        settings(**values)
    return caught.value.problems


class TestKeysFile:
    def test_a_client_without_limits_is_its_key_alone(self):
        assert document(apiKeys={"studio": KEY}) == {"studio": KEY}

    def test_a_client_that_changes_over_has_two_keys(self):
        assert document(apiKeys={"studio": [NEXT, KEY]}) == {"studio": {"keys": [NEXT, KEY]}}

    def test_limits_stand_beside_the_key_and_only_those_that_are_set(self):
        found = document(
            apiKeys={"studio": KEY, "school": NEXT},
            clients={"studio": {"concurrency": 4, "audioSecondsPerMinute": 600}, "school": {"admin": True}},
        )
        assert found == {
            "school": {"keys": [NEXT], "admin": True},
            "studio": {"keys": [KEY], "concurrency": 4, "audioSecondsPerMinute": 600},
        }

    def test_its_order_is_that_of_the_names(self):
        assert list(document(apiKeys={"b": KEY, "a": NEXT})) == ["a", "b"]

    def test_the_server_takes_it(self, tmp_path):
        path = tmp_path / "keys.json"
        path.touch(0o600)
        values = {"studio": {"concurrency": 4, "audioSecondsPerMinute": 600, "admin": True}}
        path.write_text(json.dumps(document(apiKeys={"studio": [NEXT, KEY], "school": "s" * 40}, clients=values)))
        ring = KeyRing(path)
        assert [ring.client_of(key) for key in (KEY, NEXT, "s" * 40, "x" * 40)] == ["studio", "studio", "school", None]


class TestRefusals:
    def test_more_than_two_keys(self):
        (found,) = problems(apiKeys={"studio": [KEY, NEXT, "t" * 40]})
        assert "indextts2:apiKeys.studio: has 3 keys; give one, or the new and the old one" in found

    def test_no_key(self):
        (found,) = problems(apiKeys={"studio": []})
        assert "has 0 keys" in found

    def test_the_same_key_twice(self):
        (found,) = problems(apiKeys={"studio": [KEY, KEY]})
        assert "have the same key" in found
        assert KEY not in found

    def test_limits_for_a_client_without_a_key(self):
        (found,) = problems(apiKeys={"studio": KEY}, clients={"stduio": {"concurrency": 4}})
        assert "stduio has no key; set it in indextts2:apiKeys" in found

    def test_the_local_client_needs_none(self):
        assert settings(clients={"local": {"concurrency": 4}}).clients["local"].concurrency == 4

    @pytest.mark.parametrize(
        "limits",
        [{"concurrency": 0}, {"concurrency": "4"}, {"audioSecondsPerMinute": -1}, {"admin": 1}, {"adnim": True}],
    )
    def test_a_limit_that_is_none(self, limits):
        (found,) = problems(apiKeys={"studio": KEY}, clients={"studio": limits})
        assert found.startswith(f"indextts2:clients.studio.{next(iter(limits))}: ")
