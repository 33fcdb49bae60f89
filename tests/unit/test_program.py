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
        "QueueFile": "dataDir contained forceDestroy state",
        "KeysFile": "dataDir contained clients ownLimits generated intact",
        "Supervisor": "dataDir owner configuration running",
        "Replicas": "dataDir replicas environment python container configuration ready",
        "Proxy": "dataDir host port url configuration answers",
        "ContainerImage": "docker reference target arguments network made present image",
        "Weights": "dataDir folder python version url fetched state",
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
                *(one for one in LOCAL_TYPES if not one.endswith((":Weights", ":ContainerImage"))),
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

    def test_weights_that_the_stack_fetches_are_there_before_the_servers(self, tmp_path):
        engine, weights = '{"name": "indextts2"}', '{"store": "s3://bucket?region=us-west-2"}'
        recorder, outputs = run(tmp_path, engine=engine, weights=weights)
        fetched, replicas = recorder.of_type(":Weights"), recorder.of_type(":Replicas")
        assert fetched.inputs["folder"] == str(tmp_path / "data" / "weights" / "indextts-2.5")
        assert fetched.urn in replicas.depends_on
        assert replicas.inputs["environment"]["SPEECH_ENGINE_WEIGHTS"] == fetched.inputs["folder"]
        assert replicas.inputs["python"].endswith(".local/engine/bin/python")
        assert outputs["image"]["value"].startswith("indextts2@sha256:")

    def test_servers_in_containers_have_an_image_first_and_nothing_secret_in_their_commands(self, tmp_path):
        recorder, outputs = run(tmp_path, runtime="container", image="registry.example/speech:1")
        image, replicas = recorder.of_type(":ContainerImage"), recorder.of_type(":Replicas")
        assert (image.inputs["reference"], image.inputs["target"]) == ("registry.example/speech:1", "")
        assert image.urn in replicas.depends_on
        assert outputs["queue"]["value"] == f"sqlite:///{tmp_path}/data/queue/queue.sqlite"
        assert outputs["apiKeysSecret"]["value"] == str(tmp_path / "data" / "keys" / "keys.json")
        assert replicas.inputs["environment"]["SPEECH_API_KEYS_FILE"] == outputs["apiKeysSecret"]["value"]

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
        with pytest.raises(SettingsError, match="indextts2:replicas: -1"):
            run(tmp_path, replicas="-1", prot="1")

    def test_the_machine_is_looked_at_unless_checks_are_off(self, tmp_path):
        (tmp_path / "data").write_text("a file where a directory must be")
        run(tmp_path)
        with pytest.raises(SettingsError, match="is not a directory"):
            run(tmp_path, checks="true")
