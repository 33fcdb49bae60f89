"""What a node may do: every call that it makes, and none that it does not."""

import dataclasses
import json

import pytest

from components.alicloud.ram import DELETE_FOLDERS, as_json, group_policy, node_policy, trust_policy
from tests.alicloud_for_nodes import ACTIONS, GROUP, allows, needed
from tests.unit.alicloud.boot import ACCESS, ACCOUNT, REGION

POLICY = node_policy(ACCESS)
GROUPS = group_policy(REGION, ACCOUNT, GROUP)
OWN = f"{REGION}:{ACCOUNT}"


def of(right, policy=POLICY):
    """On what a right is granted."""
    return [resource for one in policy["Statement"] if right in one["Action"] for resource in one["Resource"]]


class TestNode:
    def test_every_call_of_its_programs_is_allowed_by_one_of_its_policies(self):
        names = {"Name": ACCESS.keys_name, "SecretName": ACCESS.keys_name, "InstanceId": ACCESS.registry_instance}
        kms = node_policy(dataclasses.replace(ACCESS, keys_kind="kms"))
        for action in ACTIONS:
            for right, resource in needed(action, names):
                assert any(allows(policy, right, resource) for policy in (POLICY, GROUPS, kms)), (right, resource)

    def test_only_calls_that_know_no_resource_are_allowed_on_everything(self):
        everything = [one for one in POLICY["Statement"] if "*" in one["Resource"]]
        assert [one["Action"] for one in everything] == [["cms:PutCustomMetric"]]

    def test_no_right_is_a_pattern(self):
        for policy in (POLICY, GROUPS):
            assert not any("*" in right for one in policy["Statement"] for right in one["Action"])

    @pytest.mark.parametrize(
        "folder", ["voices", "uploads", "results", "jobs", "clips", "logs", "usage", "audit", "weights/indextts-2.5"]
    )
    def test_the_server_writes_its_folders_of_its_bucket(self, folder):
        assert f"acs:oss:*:*:{ACCESS.bucket}/{folder}/*" in of("oss:PutObject")

    def test_what_is_an_audits_is_never_deleted(self):
        assert {"audit", "usage", "logs", "weights"}.isdisjoint(DELETE_FOLDERS)
        assert of("oss:DeleteObject") == [f"acs:oss:*:*:{ACCESS.bucket}/{folder}/*" for folder in DELETE_FOLDERS]

    def test_weights_that_are_there_are_read_and_never_written(self):
        policy = node_policy(dataclasses.replace(ACCESS, may_fill=False))
        weights = f"acs:oss:*:*:{ACCESS.bucket}/weights/indextts-2.5/*"
        assert weights in of("oss:GetObject", policy)
        assert weights not in of("oss:PutObject", policy)

    def test_an_engine_without_weights_has_nothing_to_do_with_any(self):
        assert "weights" not in as_json(node_policy(dataclasses.replace(ACCESS, weights=None, may_fill=False)))

    def test_it_lists_its_own_bucket_alone(self):
        assert of("oss:ListObjects") == [f"acs:oss:*:*:{ACCESS.bucket}"]

    def test_it_works_on_its_queue_and_revives_dead_letters(self):
        queue, dead = (f"acs:mns:{OWN}:/queues/{name}" for name in (ACCESS.queue, ACCESS.dead_letters))
        assert of("mns:SendMessage") == [f"{queue}/messages"]
        for right in ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"):
            assert of(f"mns:{right}") == [f"{queue}/messages", f"{dead}/messages"]
        assert of("mns:GetQueueAttributes") == [queue, dead]
        assert of("mns:PublishMessage") == [f"acs:mns:{OWN}:/topics/{ACCESS.topic}/messages"]

    def test_it_reads_its_own_keys_alone(self):
        assert of("oos:GetSecretParameter") == [
            f"acs:oos:{OWN}:secretparameter/{ACCESS.keys_name}",
            f"acs:kms:{OWN}:secret/oos/{ACCESS.keys_name}",
        ]

    def test_a_kms_secret_and_the_key_that_encrypts_it(self):
        key = f"acs:kms:{OWN}:key/key-0123"
        policy = node_policy(dataclasses.replace(ACCESS, keys_kind="kms", keys_key=key))
        assert of("kms:GetSecretValue", policy) == [f"acs:kms:{OWN}:secret/{ACCESS.keys_name}"]
        assert of("kms:Decrypt", policy) == [key]
        assert not of("oos:GetSecretParameter", policy)

    def test_it_pulls_from_the_stacks_repository(self):
        assert of("cr:PullRepository") == [f"acs:cr:{OWN}:repository/{ACCESS.registry_instance}/speech/server"]

    def test_a_registry_of_another_kind_gives_no_rights_in_this_one(self):
        policy = node_policy(dataclasses.replace(ACCESS, registry_instance=None, registry_password="the-password"))
        assert not of("cr:PullRepository", policy)
        assert f"acs:oos:{OWN}:secretparameter/the-password" in of("oos:GetSecretParameter", policy)


class TestGroup:
    def test_a_node_changes_its_own_group_alone(self):
        assert {resource for one in GROUPS["Statement"] for resource in one["Resource"]} == {
            f"acs:ess:{OWN}:scalinggroup/{GROUP}"
        }

    def test_it_cannot_change_how_many_there_may_be(self):
        rights = [right for policy in (POLICY, GROUPS) for one in policy["Statement"] for right in one["Action"]]
        assert not any("Modify" in right or "Create" in right or "DeleteScaling" in right for right in rights)


class TestForm:
    def test_instances_alone_take_the_role_on(self):
        (statement,) = trust_policy("ecs.aliyuncs.com")["Statement"]
        assert statement["Principal"] == {"Service": ["ecs.aliyuncs.com"]}

    def test_it_fits_a_policy(self):
        # 6,144 characters: https://www.alibabacloud.com/help/en/ram/product-overview/limits
        long = {
            field.name: "n" * 63
            for field in dataclasses.fields(ACCESS)
            if field.name not in ("region", "account", "may_fill")
        }
        assert len(as_json(node_policy(dataclasses.replace(ACCESS, **{**long, "keys_kind": "kms"})))) <= 6144

    def test_equal_policies_are_equal_texts(self):
        assert as_json(POLICY) == as_json(json.loads(as_json(POLICY)))
