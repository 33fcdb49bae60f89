"""The keys file: what it may say, and that no problem in it tells a key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech_server.tenants.keys_file import KeysError, read_keys_file
from speech_server.tenants.policy import ClientPolicy
from speech_server.tenants.webhook_secret import derived_secret

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


def file_of(folder: Path, content: object) -> Path:
    path = folder / "keys.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def policy_of(folder: Path, entry: object) -> ClientPolicy:
    return read_keys_file(file_of(folder, {"a": entry})).policies["a"]


class TestEntries:
    def test_a_bare_key_is_a_client_without_limits(self, tmp_path: Path) -> None:
        found = read_keys_file(file_of(tmp_path, {"a": "k" * 16}))
        assert found.digests == ((hashlib.sha256(b"k" * 16).digest(), "a"),)
        policy = found.policies["a"]
        assert (policy.concurrency, policy.audio_seconds_per_minute, policy.admin) == (None, None, False)

    def test_limits(self, tmp_path: Path) -> None:
        entry = {"key": "k" * 16, "concurrency": 4, "audioSecondsPerMinute": 600, "admin": True}
        policy = policy_of(tmp_path, entry)
        assert (policy.concurrency, policy.audio_seconds_per_minute, policy.admin) == (4, 600, True)

    def test_a_new_and_an_old_key_are_one_client_with_both_secrets(self, tmp_path: Path) -> None:
        found = read_keys_file(file_of(tmp_path, {"a": {"keys": ["n" * 16, "o" * 16]}, "b": "b" * 16}))
        assert [client for _, client in found.digests] == ["a", "a", "b"]
        assert found.policies["a"].webhook_secrets == (derived_secret("n" * 16), derived_secret("o" * 16))

    def test_a_secret_of_ones_own(self, tmp_path: Path) -> None:
        assert policy_of(tmp_path, {"key": "k" * 16, "webhookSecret": SECRET}).webhook_secrets == (SECRET,)

    def test_what_is_read_holds_no_key(self, tmp_path: Path) -> None:
        found = read_keys_file(file_of(tmp_path, {"a": {"key": "k" * 16, "webhookSecret": SECRET}}))
        assert "k" * 16 not in repr(found)
        assert SECRET not in repr(found)


class TestDerivedSecret:
    def test_anybody_with_the_key_can_compute_it(self) -> None:
        expected = hmac.new(b"a-key-of-a-client", b"indextts2 webhook secret v1", "sha256").digest()
        assert derived_secret("a-key-of-a-client") == "whsec_" + base64.b64encode(expected).decode()

    def test_standard_webhooks_takes_it(self) -> None:
        webhooks = pytest.importorskip("standardwebhooks")
        webhooks.Webhook(derived_secret("k" * 16))


REFUSED: list[tuple[Any, str]] = [
    ("", "must be a JSON object"),
    ("[]", "must be a JSON object with a client"),
    ("{}", "must be a JSON object with a client"),
    ("[" * 100_000, "must be a JSON object"),
    ({"a b": "SECRET-" + "k" * 16}, "client 'a b': a name is"),
    ({"..": "SECRET-" + "k" * 16}, "client '..': a name is"),
    ({"x" * 65: "SECRET-" + "k" * 16}, "a name is 1-64"),
    ({"a": "SECRET-short"}, "client 'a': its key must be 16-512"),
    ({"a": "SECRET with a space in it"}, "client 'a': its key must be"),
    ({"a": "SECRET-é" + "k" * 16}, "its key must be"),
    ({"a": None}, "it must be the key itself, or an object"),
    ({"a": 5}, "it must be the key itself, or an object"),
    ({"a": ["SECRET-" + "k" * 16]}, "it must be the key itself, or an object"),
    ({"a": {}}, "it needs its key"),
    ({"a": {"key": "SECRET-" + "k" * 16, "keys": ["SECRET-" + "l" * 16]}}, "it needs its key"),
    ({"a": {"keys": []}}, "'keys'"),
    ({"a": {"keys": ["SECRET-" + str(n) * 16 for n in range(6)]}}, "'keys'"),
    ({"a": {"keys": ["SECRET-" + "k" * 16] * 2}}, "client 'a' has a key twice"),
    ({"a": {"key": "SECRET-" + "k" * 16, "concurency": 1}}, "'concurency' is no field of a client; there are key,"),
    ({"a": {"key": "SECRET-" + "k" * 16, "concurrency": 0}}, "'concurrency'"),
    ({"a": {"key": "SECRET-" + "k" * 16, "concurrency": "4"}}, "'concurrency'"),
    ({"a": {"key": "SECRET-" + "k" * 16, "audioSecondsPerMinute": 0}}, "'audioSecondsPerMinute'"),
    ('{"a": {"key": "SECRET-kkkkkkkkkkkkkkkk", "audioSecondsPerMinute": NaN}}', "'audioSecondsPerMinute'"),
    ({"a": {"key": "SECRET-" + "k" * 16, "admin": 1}}, "'admin'"),
    ({"a": {"key": "SECRET-" + "k" * 16, "webhookSecret": "SECRET-of-mine"}}, "'webhookSecret': must be whsec_"),
    ({"a": {"key": "SECRET-" + "k" * 16, "webhookSecret": "whsec_SECRET="}}, "24 to 64 bytes"),
    ({"a": "SECRET-" + "k" * 16, "b": "SECRET-" + "k" * 16}, "two clients have the same key: 'a', 'b'"),
]


class TestRefusals:
    @pytest.mark.parametrize(("content", "problem"), REFUSED)
    def test_the_client_and_the_field_are_named_and_no_key(self, tmp_path: Path, content: object, problem: str) -> None:
        with pytest.raises(KeysError) as refused:
            read_keys_file(file_of(tmp_path, content))
        assert problem in str(refused.value)
        assert "SECRET" not in str(refused.value)

    def test_all_problems_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(KeysError) as refused:
            read_keys_file(file_of(tmp_path, {"a": "short", "b": {"key": "k" * 16, "x": 1}, "c c": "l" * 16}))
        assert all(f"client '{name}'" in str(refused.value) for name in ("a", "b", "c c"))

    JSON = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    )

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from(["a", "b c"]),
            JSON | st.fixed_dictionaries({}, optional={"key": st.just("k" * 16) | JSON, "keys": JSON, "admin": JSON}),
        )
    )
    def test_whatever_it_holds_it_is_read_or_refused(self, tmp_path: Path, content: dict[str, Any]) -> None:
        try:
            assert read_keys_file(file_of(tmp_path, content)).policies.keys() == content.keys()
        except KeysError as error:
            assert str(tmp_path) in str(error)
