from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tools import local_state
from tools.checkout import Checkout
from tools.checkpoint import checkpoint, state_file
from tools.failure import SetupError

SALT = "encryptionsalt: v1:abc=:v1:def:ghi==\n"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _deployed(checkout: Checkout, **latest: object) -> Path:
    file = state_file(checkout, "local")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))
    return file


class TestEnsure:
    def test_private_and_made_once(self, checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
        local_state.ensure(checkout)
        secret = checkout.passphrase.read_text()
        assert len(secret.strip()) >= 43  # 32 random bytes in base64
        assert _mode(checkout.passphrase) == 0o600
        assert {_mode(folder) for folder in (checkout.local, checkout.state, checkout.pulumi_home)} == {0o700}
        local_state.ensure(checkout)
        assert checkout.passphrase.read_text() == secret
        assert secret.strip() not in capsys.readouterr().out
        assert [file.name for file in checkout.local.glob("passphrase*")] == ["passphrase"]

    def test_one_that_others_could_read_is_closed(self, checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
        local_state.ensure(checkout)
        checkout.passphrase.chmod(0o644)
        checkout.local.chmod(0o755)
        local_state.ensure(checkout)
        assert _mode(checkout.passphrase) == 0o600
        assert _mode(checkout.local) == 0o700
        assert "could be read by others" in capsys.readouterr().out

    def test_an_empty_passphrase_counts_as_none(self, checkout: Checkout) -> None:
        checkout.local.mkdir()
        checkout.passphrase.touch()
        local_state.ensure(checkout)
        assert checkout.passphrase.read_text().strip()

    def test_a_lost_passphrase_of_a_deployed_stack_stops(self, checkout: Checkout) -> None:
        file = _deployed(checkout, resources=[{"urn": "a"}])
        with pytest.raises(SetupError, match="describes a deployed stack whose secrets it opens"):
            local_state.ensure(checkout)
        assert file.exists()
        assert not checkout.passphrase.exists()

    def test_a_lost_passphrase_of_an_empty_stack_begins_anew(self, checkout: Checkout) -> None:
        file = _deployed(checkout)
        checkout.stack_file("local").write_text(f"config:\n  indextts2:target: local\n{SALT}")
        local_state.ensure(checkout)
        assert not file.exists()
        assert checkout.stack_file("local").read_text() == "config:\n  indextts2:target: local\n"

    def test_secrets_in_the_settings_are_not_made_unreadable(self, checkout: Checkout) -> None:
        text = f"config:\n  indextts2:apiKeys:\n    secure: v1:x:y\n{SALT}"
        checkout.stack_file("local").write_text(text)
        with pytest.raises(SetupError, match=r"Pulumi\.local\.yaml holds secrets"):
            local_state.ensure(checkout)
        assert checkout.stack_file("local").read_text() == text
        assert not checkout.passphrase.exists()

    def test_a_cloud_stacks_salt_is_the_users(self, checkout: Checkout) -> None:
        text = f"config:\n  indextts2:target: aws\n{SALT}"
        checkout.stack_file("prod").write_text(text)
        local_state.ensure(checkout)
        assert checkout.stack_file("prod").read_text() == text


class TestCheckpoint:
    def test_what_it_counts(self, checkout: Checkout) -> None:
        pending = [
            {"type": "creating", "resource": {"urn": "urn:new"}},
            {"type": "updating", "resource": {"urn": "urn:old"}},
        ]
        _deployed(checkout, resources=[{"urn": "a"}, {"urn": "b"}], pending_operations=pending)
        state = checkpoint(checkout, "local")
        assert state is not None
        assert state.resources == 2
        assert state.pending_creates == ("urn:new",)
        assert checkpoint(checkout, "other") is None

    def test_a_stack_that_was_only_made(self, checkout: Checkout) -> None:
        file = state_file(checkout, "local")
        file.parent.mkdir(parents=True)
        file.write_text('{"version": 3, "checkpoint": {"stack": "organization/speech/local"}}')
        state = checkpoint(checkout, "local")
        assert state is not None
        assert state.resources == 0

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"checkpoint": 3}', '{"version": 3}'])
    def test_a_damaged_one_is_named_with_a_way_back(self, checkout: Checkout, text: str) -> None:
        file = state_file(checkout, "local")
        file.parent.mkdir(parents=True)
        file.write_text(text)
        with pytest.raises(SetupError, match=r"local\.json\.bak over local\.json"):
            checkpoint(checkout, "local")
