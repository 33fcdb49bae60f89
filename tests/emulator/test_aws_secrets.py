"""The API keys in an emulator of Secrets Manager: versions as the keys rotate, and what becomes of a deleted name."""

import json

import pytest
from botocore.exceptions import ClientError

from components.aws.secrets import RECOVERY_DAYS
from components.keys_file import keys_file, version

OLD = {"studio": "k" * 40}
NEW = {"studio": "n" * 40, "school": "s" * 40}


@pytest.fixture
def secrets(clients):
    client = clients("secretsmanager")
    client.create_secret(Name="speech-api-keys")
    client.put_secret_value(SecretId="speech-api-keys", SecretString=keys_file(OLD))
    return client


class TestRotation:
    def test_a_node_that_asks_for_the_secret_gets_the_new_keys_and_the_old_ones_stay_one_version_back(self, secrets):
        secrets.put_secret_value(SecretId="speech-api-keys", SecretString=keys_file(NEW))
        assert json.loads(secrets.get_secret_value(SecretId="speech-api-keys")["SecretString"]) == NEW
        before = secrets.get_secret_value(SecretId="speech-api-keys", VersionStage="AWSPREVIOUS")
        assert json.loads(before["SecretString"]) == OLD

    def test_the_version_moves_with_a_key_and_not_with_the_order_of_the_clients(self):
        assert version(keys_file(OLD)) != version(keys_file(NEW))
        assert version(keys_file(NEW)) == version(keys_file(dict(reversed(NEW.items()))))


class TestDeletion:
    def test_without_a_recovery_window_the_name_is_free_at_once(self, secrets):
        secrets.delete_secret(SecretId="speech-api-keys", ForceDeleteWithoutRecovery=True)
        secrets.create_secret(Name="speech-api-keys")

    def test_with_one_it_is_taken_and_the_keys_can_be_brought_back(self, secrets):
        secrets.delete_secret(SecretId="speech-api-keys", RecoveryWindowInDays=RECOVERY_DAYS)
        with pytest.raises(ClientError, match=r"scheduled for deletion|already exists"):
            secrets.create_secret(Name="speech-api-keys")
        secrets.restore_secret(SecretId="speech-api-keys")
        assert json.loads(secrets.get_secret_value(SecretId="speech-api-keys")["SecretString"]) == OLD
