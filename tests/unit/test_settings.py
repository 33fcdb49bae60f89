"""The stack's settings: what is accepted, and what a person is told of what is not."""

import json

import pytest
import yaml

from components.settings import PROJECT_FILE, TARGETS, LocalSettings, SettingsError, load

KEY = "k" * 40


def problems(stack="local", secret=True, **config):
    values = {f"indextts2:{key}": value for key, value in config.items()}
    with pytest.raises(SettingsError) as caught:
        load(stack, values, is_secret=lambda _key: secret)
    return caught.value.problems


class TestDefaults:
    def test_a_stack_that_says_nothing_is_local_on_loopback_with_two_replicas(self):
        settings = load("local", {})
        assert isinstance(settings, LocalSettings)
        assert (settings.host, settings.port, settings.replicas) == ("127.0.0.1", 8080, 2)
        assert not settings.public
        assert not settings.storage.force_destroy

    def test_every_key_is_described_typed_and_has_a_default(self):
        for key, schema in yaml.safe_load(PROJECT_FILE.read_text())["config"].items():
            assert {"type", "description", "default"} <= schema.keys(), key
            assert schema["description"].endswith("."), key

    @pytest.mark.parametrize("page", ["configuration.md", "configuration.zh-CN.md"])
    def test_every_key_is_in_the_documentation(self, page):
        text = (PROJECT_FILE.parent / "docs" / page).read_text()
        for key, schema in yaml.safe_load(PROJECT_FILE.read_text())["config"].items():
            names = (
                [f"{key}.{part}" for part in schema["default"]]
                if schema["default"] and schema["type"] == "object"
                else [key]
            )
            assert all(f"`{name}`" in text for name in names), names

    def test_every_declared_key_is_read_by_some_target(self):
        declared = set(yaml.safe_load(PROJECT_FILE.read_text())["config"])
        read = {field.alias for model in TARGETS.values() for field in model.model_fields.values()}
        assert {alias or "target" for alias in read} == declared

    def test_the_data_directory_carries_the_stacks_name(self):
        assert load("studio", {}).data_dir == ".local/data/studio"

    def test_an_object_is_merged_over_its_default(self):
        assert load("local", {"indextts2:storage": "{}"}).storage.force_destroy is False


class TestValues:
    def test_values_come_as_text_as_the_cli_passes_them(self):
        settings = load("local", {"indextts2:port": "9000", "indextts2:checks": "false", "indextts2:replicas": "3"})
        assert (settings.port, settings.checks, settings.replicas) == (9000, False, 3)

    def test_another_projects_keys_are_none_of_ours(self):
        assert load("local", {"aws:region": "us-west-2", "pulumi:tags": "{}"}).target == "local"

    @pytest.mark.parametrize(
        ("host", "public"), [("0.0.0.0", True), ("::1", False), ("127.0.0.9", False), ("::", True)]
    )
    def test_public_is_whatever_is_not_loopback(self, host, public):
        assert load("local", {"indextts2:host": host}).public is public

    def test_keys_are_not_shown_by_the_settings_text(self):
        settings = load("local", {"indextts2:apiKeys": json.dumps({"studio": KEY})}, is_secret=lambda _key: True)
        assert [key.get_secret_value() for key in settings.api_keys["studio"]] == [KEY]
        assert KEY not in repr(settings)


class TestProblems:
    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ("replicas", "-1", "indextts2:replicas: -1: should be greater than or equal to 0"),
            ("replicas", "65", "indextts2:replicas: 65: should be less than or equal to 64"),
            ("replicas", "2.5", "indextts2:replicas: '2.5' is not of type integer"),
            ("replicas", "true", "indextts2:replicas: 'true' is not of type integer"),
            ("port", "70000", "indextts2:port: 70000: should be less than or equal to 65535"),
            ("port", "http", "indextts2:port: 'http' is not of type integer"),
            ("host", "localhost", "indextts2:host: 'localhost': not an IP address; use 127.0.0.1"),
            ("dataDir", "  ", "indextts2:dataDir: '  ': it is empty"),
            ("engine", '{"name": "festival"}', "indextts2:engine.name: 'festival': should be 'espeak'"),
            ("engine", "[]", "indextts2:engine: '[]' is not of type object"),
            ("storage", '{"forceDestory": true}', "indextts2:storage.forceDestory: there is no such key"),
            ("storage", '{"forceDestroy": "yes"}', "indextts2:storage.forceDestroy: 'yes': should be a valid boolean"),
            ("checks", "off", "indextts2:checks: 'off' is not of type boolean"),
            ("prot", "1", "indextts2:prot: there is no such key; did you mean port?"),
            ("zzzzz", "1", "indextts2:zzzzz: there is no such key; there are: access, accountId,"),
            ("target", "gcp", "indextts2:target: 'gcp' is no target; use local or aws"),
        ],
    )
    def test_each_names_the_key_the_value_and_the_remedy(self, key, value, said):
        assert any(said in text for text in problems(**{key: value})), problems(**{key: value})

    def test_all_are_said_at_once(self):
        found = problems(replicas="-1", port="0", host="nowhere", prot="1", storage='{"x": 1}')
        assert [text.split(": ")[0] for text in sorted(found)] == [
            "indextts2:host",
            "indextts2:port",
            "indextts2:prot",
            "indextts2:replicas",
            "indextts2:storage.x",
        ]

    def test_a_short_key_is_refused_without_showing_it(self):
        found = problems(apiKeys=json.dumps({"studio": "hunter2", "bad name": KEY, "spaced": f"{KEY} {KEY}"}))
        assert len(found) == 3
        assert "indextts2:apiKeys.studio: the key has 7 characters; give at least 32" in found[0]
        assert not any("hunter2" in text or KEY in text for text in found)

    def test_two_clients_with_one_key_are_refused_without_showing_it(self):
        (found,) = problems(apiKeys=json.dumps({"studio": KEY, "school": KEY, "other": KEY + "2"}))
        assert "indextts2:apiKeys: studio and school have the same key" in found
        assert KEY not in found

    def test_a_key_longer_than_the_server_takes_is_refused(self):
        (found,) = problems(apiKeys=json.dumps({"studio": "k" * 513}))
        assert "the key has 513 characters; give at most 512" in found

    def test_keys_in_the_open_are_refused(self):
        (found,) = problems(secret=False, apiKeys=json.dumps({"studio": KEY}))
        assert "unencrypted" in found
        assert "--secret" in found
        assert KEY not in found

    def test_broken_keys_json_is_not_shown(self):
        (found,) = problems(apiKeys=f'{{"studio": "{KEY}"')
        assert KEY not in found
