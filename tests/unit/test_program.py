"""The whole program on the local target, without an engine: what it registers, and what is kept secret."""

import json

import pytest

from components.settings import SettingsError
from tests.recorder import run_program

# What the local target's dynamic resources have, inputs and outputs.
LOCAL_TYPES = {
    f"pulumi-python:dynamic/local:{name}": frozenset(properties.split())
    for name, properties in {
        "Directory": "dataDir forceDestroy present",
        "QueueFile": "dataDir forceDestroy state",
        "KeysFile": "dataDir clients ownLimits generated intact",
        "Supervisor": "dataDir owner configuration running",
        "Replicas": "dataDir replicas environment python configuration ready",
        "Proxy": "dataDir host port url configuration answers",
    }.items()
}
KEY = "a-key-of-a-studio-that-is-long-enough-0123456789"


def run(tmp_path, **values):
    config = {"dataDir": str(tmp_path / "data"), "checks": "false", **values}
    return run_program(
        LOCAL_TYPES,
        {f"indextts2:{key}": value for key, value in config.items()},
        secret_keys=("indextts2:apiKeys",),
    )


class TestLocalTarget:
    def test_it_registers_each_part_once_under_the_service(self, tmp_path):
        recorder, _ = run(tmp_path)
        types = sorted(one.type for one in recorder.registered.values())
        assert types == sorted(
            [
                "indextts2:service:SpeechService",
                *(
                    f"indextts2:local:{part}"
                    for part in ("ObjectStore", "JobQueue", "ApiKeys", "ServerImage", "GpuFleet", "LoadBalancer")
                ),
                *LOCAL_TYPES,
            ]
        )

    def test_every_resource_hangs_on_its_part(self, tmp_path):
        recorder, _ = run(tmp_path)
        for one in recorder.registered.values():
            if one.custom:
                assert "::indextts2:service:SpeechService$indextts2:local:" in one.parent

    def test_the_outputs_are_those_that_every_target_has(self, tmp_path):
        _, outputs = run(tmp_path)
        assert set(outputs) == {
            "url", "healthUrl", "bucket", "queue", "apiKeysSecret", "apiKey", "image", "fleet",
        }  # fmt: skip
        assert [name for name, output in outputs.items() if output["secret"]] == ["apiKey"]
        assert outputs["bucket"]["value"] == str(tmp_path / "data" / "objects")
        assert outputs["queue"]["value"] == f"sqlite:///{tmp_path}/data/queue.sqlite"

    def test_servers_start_after_the_keys_and_the_supervisor_and_the_proxy_after_the_servers(self, tmp_path):
        recorder, _ = run(tmp_path)
        replicas = recorder.of_type(":Replicas")
        assert {urn.rpartition("::")[2] for urn in replicas.depends_on} == {
            "speech-supervisor",
            "speech-keys",
            "speech-objects",
            "speech-queue",
        }
        assert replicas.urn in recorder.of_type(":Proxy").depends_on

    def test_a_change_of_replicas_leaves_the_proxy_as_it_is(self, tmp_path):
        two, four = run(tmp_path)[0], run(tmp_path, replicas="4")[0]
        assert four.of_type(":Replicas").inputs["replicas"] == 4
        assert four.of_type(":Proxy").inputs == two.of_type(":Proxy").inputs

    def test_a_preview_registers_the_same(self, tmp_path):
        made, _ = run(tmp_path)
        config = {"indextts2:dataDir": str(tmp_path / "data"), "indextts2:checks": "false"}
        previewed, _ = run_program(LOCAL_TYPES, config, preview=True)
        assert previewed.registered.keys() == made.registered.keys()


class TestSecrets:
    def test_the_stacks_keys_go_to_the_keys_file_alone_and_as_secrets(self, tmp_path):
        recorder, _ = run(tmp_path, apiKeys=json.dumps({"studio": KEY}))
        keys = recorder.of_type(":KeysFile")
        assert "clients" in keys.secret_inputs
        assert {"clients", "generated"} <= keys.secret_outputs
        for one in recorder.registered.values():
            if one is not keys:
                assert KEY not in json.dumps(one.inputs, default=str), one.urn


class TestProblems:
    def test_nothing_is_registered_when_the_settings_are_wrong(self, tmp_path):
        with pytest.raises(SettingsError, match="indextts2:replicas: 0"):
            run(tmp_path, replicas="0", prot="1")

    def test_the_machine_is_looked_at_unless_checks_are_off(self, tmp_path):
        (tmp_path / "data").write_text("a file where a directory must be")
        run(tmp_path)
        with pytest.raises(SettingsError, match="is not a directory"):
            run(tmp_path, checks="true")
