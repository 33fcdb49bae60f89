"""What a node's server is told, on any cloud."""

import pytest

from components.server_environment import (
    KEYS_FILE,
    WEIGHTS_FOLDER,
    ServerUrls,
    engine_environment,
    public_url,
    server_environment,
)
from tests.unit.engines import ESPEAK, INDEXTTS2

URLS = ServerUrls("s3://b?region=us-west-2", "sqs://us-west-2/1/q", "sns://us-west-2/1/t", "https://speech.example.com")
IMAGE = f"registry.example.com/speech@sha256:{'a' * 64}"
# Where things are that are not on the node; a server of a single machine has none of them.
PLACES = {"SPEECH_STORE", "SPEECH_QUEUE", "SPEECH_TOPIC", "SPEECH_PUBLIC_URL"}


class TestEnvironment:
    def test_the_server_knows_every_variable(self):
        server = pytest.importorskip("speech_server.settings", reason="the server is not in this environment")
        known = {f"SPEECH_{name.upper()}" for name in server.Settings.model_fields}
        assert set(server_environment(ESPEAK, IMAGE, URLS)) - PLACES <= known

    def test_it_listens_where_the_load_balancer_asks(self):
        assert server_environment(ESPEAK, IMAGE, URLS)["SPEECH_LISTEN"] == "0.0.0.0:8000"

    def test_it_names_the_keys_file(self):
        assert server_environment(ESPEAK, IMAGE, URLS)["SPEECH_API_KEYS_FILE"] == KEYS_FILE

    def test_it_says_where_everything_is(self):
        told = server_environment(ESPEAK, IMAGE, URLS)
        assert [told[name] for name in ("SPEECH_STORE", "SPEECH_QUEUE", "SPEECH_TOPIC", "SPEECH_PUBLIC_URL")] == [
            URLS.store,
            URLS.queue,
            URLS.topic,
            URLS.public,
        ]

    def test_clouds_differ_in_urls_alone(self):
        other = ServerUrls("oss://b?region=cn-hangzhou&internal=true", "smq://r/1/q", "smq-topic://r/1/t", None)
        one, two = server_environment(ESPEAK, IMAGE, URLS), server_environment(ESPEAK, IMAGE, other)
        assert {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)} == PLACES


class TestEngine:
    def test_espeak_is_told_nothing_else(self):
        assert engine_environment(ESPEAK, WEIGHTS_FOLDER) == {"SPEECH_ENGINE": "espeak"}

    def test_what_the_stack_leaves_open_is_the_engines_to_choose(self):
        assert engine_environment(INDEXTTS2, WEIGHTS_FOLDER) == {
            "SPEECH_ENGINE": "indextts2",
            "SPEECH_ENGINE_WEIGHTS": "/weights",
            "SPEECH_ENGINE_VERSION": "2.5",
        }

    @pytest.mark.parametrize(
        ("version", "precision", "low_memory"),
        [("2", "fp16", True), ("2", "fp32", False), ("2.5", "bf16", False), ("2.5", "fp32", True)],
    )
    def test_the_engine_takes_what_it_is_told(self, tmp_path, version, precision, low_memory):
        settings = pytest.importorskip("speech_server.engines.indextts2.settings", reason="no server here")
        chosen = {"version": version, "precision": precision, "low_memory": low_memory}
        told = engine_environment(INDEXTTS2.model_copy(update=chosen), str(tmp_path))
        told.pop("SPEECH_ENGINE")
        read = settings.read_engine_settings(told)
        assert (read.package.version, read.precision, read.weights) == (version, precision, tmp_path)


class TestPublicUrl:
    def test_it_is_the_domain_over_tls(self):
        assert public_url("speech.example.com") == "https://speech.example.com"

    def test_without_a_domain_it_is_not_known_yet_and_not_told(self):
        assert public_url(None) is None
        urls = ServerUrls(URLS.store, URLS.queue, URLS.topic, None)
        assert "SPEECH_PUBLIC_URL" not in server_environment(ESPEAK, IMAGE, urls)
