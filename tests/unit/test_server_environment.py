"""What a node's server is told, on any cloud."""

import pytest

from components.server_environment import KEYS_FILE, ServerUrls, public_url, server_environment

URLS = ServerUrls("s3://b?region=us-west-2", "sqs://us-west-2/1/q", "sns://us-west-2/1/t", "https://speech.example.com")
IMAGE = f"registry.example.com/speech@sha256:{'a' * 64}"
# Where things are that are not on the node; a server of a single machine has none of them.
PLACES = {"SPEECH_STORE", "SPEECH_QUEUE", "SPEECH_TOPIC", "SPEECH_PUBLIC_URL"}


class TestEnvironment:
    def test_the_server_knows_every_variable(self):
        server = pytest.importorskip("speech_server.settings", reason="the server is not in this environment")
        known = {f"SPEECH_{name.upper()}" for name in server.Settings.model_fields}
        assert set(server_environment("espeak", IMAGE, URLS)) - PLACES <= known

    def test_it_listens_where_the_load_balancer_asks(self):
        assert server_environment("espeak", IMAGE, URLS)["SPEECH_LISTEN"] == "0.0.0.0:8000"

    def test_it_names_the_keys_file(self):
        assert server_environment("espeak", IMAGE, URLS)["SPEECH_API_KEYS_FILE"] == KEYS_FILE

    def test_it_says_where_everything_is(self):
        told = server_environment("espeak", IMAGE, URLS)
        assert [told[name] for name in ("SPEECH_STORE", "SPEECH_QUEUE", "SPEECH_TOPIC", "SPEECH_PUBLIC_URL")] == [
            URLS.store,
            URLS.queue,
            URLS.topic,
            URLS.public,
        ]

    def test_clouds_differ_in_urls_alone(self):
        other = ServerUrls("oss://b?region=cn-hangzhou&internal=true", "smq://r/1/q", "smq-topic://r/1/t", None)
        one, two = server_environment("espeak", IMAGE, URLS), server_environment("espeak", IMAGE, other)
        assert {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)} == PLACES


class TestPublicUrl:
    def test_it_is_the_domain_over_tls(self):
        assert public_url("speech.example.com") == "https://speech.example.com"

    def test_without_a_domain_it_is_not_known_yet_and_not_told(self):
        assert public_url(None) is None
        urls = ServerUrls(URLS.store, URLS.queue, URLS.topic, None)
        assert "SPEECH_PUBLIC_URL" not in server_environment("espeak", IMAGE, urls)
