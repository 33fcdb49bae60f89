"""The clients' keys on a node: where they come from, where they lie, and what a bad answer leaves."""

import json
import stat

import pytest

from components.alicloud.ram import node_policy
from tests.unit.alicloud.boot import ACCESS, BOOT
from tests.unit.alicloud.node.shipped import Shipped

KEY = "a-key-of-a-studio-that-is-long-enough-01"
KEYS = json.dumps({"studio": KEY})


@pytest.fixture(autouse=True)
def kept(cloud):
    cloud.parameters[BOOT.keys_name] = KEYS


@pytest.fixture
def path(node):
    return node.run_dir / "keys/keys.json"


class TestParameter:
    def test_they_lie_where_the_server_reads_and_only_it_may(self, node, path):
        node.run("keys")
        assert path.read_text() == KEYS
        assert stat.S_IMODE(path.stat().st_mode) == 0o400

    def test_the_same_keys_are_not_written_again(self, node, path):
        node.run("keys")
        before = path.stat().st_ino
        assert node.run("keys").stderr == ""
        assert path.stat().st_ino == before

    def test_new_keys_take_the_place_of_the_old(self, node, cloud, path):
        node.run("keys")
        cloud.parameters[BOOT.keys_name] = '{"other": "another-key"}'
        node.run("keys")
        assert json.loads(path.read_text()) == {"other": "another-key"}

    @pytest.mark.parametrize("text", ["", "{}", "None", "[1]", '{"studio": "a-key-of-a-studio'])
    def test_what_is_no_list_of_keys_leaves_the_former_ones(self, node, cloud, path, text):
        node.run("keys")
        cloud.parameters[BOOT.keys_name] = text
        failed = node.run("keys", check=False)
        assert failed.returncode == 1
        assert "the former keys stay" in failed.stderr
        assert path.read_text() == KEYS
        assert [one.name for one in node.run_dir.iterdir()] == ["keys"], "nothing half-written is left"

    def test_a_service_that_is_away_leaves_the_former_ones(self, node, cloud, path):
        node.run("keys")
        cloud.failing["GetSecretParameter"] = (503, "ServiceUnavailable")
        assert node.run("keys", check=False).returncode == 1
        assert path.read_text() == KEYS

    def test_no_key_is_printed(self, node, cloud):
        done = node.run("keys")
        cloud.parameters[BOOT.keys_name] = f'["{KEY}"]'
        failed = node.run("keys", check=False)
        cloud.parameters[BOOT.keys_name] = f'{{"studio": "{KEY}'
        broken = node.run("keys", check=False)
        assert not any("a-key-of" in one.stdout + one.stderr for one in (done, failed, broken))

    def test_another_stacks_are_refused(self, tmp_path, cloud):
        cloud.parameters["another-stack"] = KEYS
        other = Shipped(tmp_path / "other", cloud.url, KEYS_NAME="another-stack")
        assert other.run("keys", check=False).returncode == 1
        assert cloud.refused == [
            "Forbidden.RAM oos:GetSecretParameter acs:oos:cn-hangzhou:1234567890123456:secretparameter/another-stack"
        ]


class TestKms:
    def test_a_secret_of_an_own_instance_is_read_from_there(self, tmp_path, cloud):
        access = type(ACCESS)(**{**vars(ACCESS), "keys_kind": "kms", "keys_key": "acs:kms:cn-hangzhou:1:key/k"})
        cloud.policies = [node_policy(access)]
        cloud.kms_secrets[BOOT.keys_name] = KEYS
        node = Shipped(tmp_path / "kms", cloud.url, KEYS_KIND="kms")
        node.run("keys")
        assert (node.run_dir / "keys/keys.json").read_text() == KEYS
        assert cloud.names() == ["GetSecretValue"]
