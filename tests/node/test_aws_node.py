"""An instance on AWS from its first boot to its end, with the user data that the stack gives it.

Needs a machine of its own, because that is what it tests: that the script, systemd, the programs that it leaves and the
speech server do together what the stack counts on. Docker, the AWS CLI's service and the metadata service are stand-ins
(see standins/); systemd, the shell, the files, the users and the server are real.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from components.aws.user_data import NAMESPACE, Boot, render
from components.server_environment import ServerUrls
from tests.node.instance import (
    IMAGE_CONFIG,
    KEY,
    Instance,
    check_it_is_bounded,
    check_it_speaks,
    check_the_weights_came,
    check_units,
    state,
)
from tests.node.machine import INSIDE, PACKAGES, Machine, until
from tests.unit.engines import ESPEAK, FILLED, NO_WEIGHTS

REGION, FLEET, INSTANCE = "us-west-2", "indextts2-test-us-west-2", "i-0123456789abcdef0"
HOST = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
IMAGE = f"{HOST}/speech@sha256:{'a' * 64}"
BOOT = Boot(
    region=REGION,
    fleet=FLEET,
    hook="drain",
    image=IMAGE,
    weights_image="",
    registry_host=HOST,
    keys_secret="speech-keys",
    log_group="speech-nodes",
    engine=ESPEAK,
    weights=NO_WEIGHTS,
    urls=ServerUrls(
        store="s3://speech-objects?region=us-west-2",
        queue="sqs://us-west-2/123456789012/speech-jobs",
        topic="sns://us-west-2/123456789012/speech-finished",
        public=None,
    ),
)
METADATA = {
    "meta-data/instance-id": INSTANCE,
    "meta-data/placement/region": REGION,
    "dynamic/instance-identity/document": json.dumps({"instanceId": INSTANCE, "pendingTime": "2026-11-22T00:00:00Z"}),
    "meta-data/iam/security-credentials/": "speech-node",
    "meta-data/iam/security-credentials/speech-node": json.dumps(
        {
            "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAOFATEST", "SecretAccessKey": "role-secret",
            "Token": "role-token", "Expiration": "2099-01-01T00:00:00Z", "LastUpdated": "2026-11-22T00:00:00Z",
        }
    ),
}  # fmt: skip
SMALL = f"{HOST}/speech@sha256:{'c' * 64}"
# An engine that any machine can run: what is tested is how the weights come, not what loads them.
WITH_WEIGHTS = dataclasses.replace(BOOT, weights=FILLED.model_copy(update={"name": "set"}), weights_image=SMALL)
# Small weights, in the bucket.
PUSH = f"""
import os
os.environ.update(AWS_ENDPOINT_URL="http://127.0.0.1:5000", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
from pathlib import Path
from speech_server.weights.place import open_place
from tests.inference.weights.material import push_set, write_set
place = open_place({BOOT.urls.store!r}, "set")
push_set(place, write_set(Path("/var/lib/made-by-the-test")))
place.close()
"""
KEYS = json.dumps({"dubbing": KEY})
# What the stack has made before a node comes.
CLOUD = f"""
import boto3, botocore.config
def client(service):
    wait = botocore.config.Config(retries={{"total_max_attempts": 20}}, connect_timeout=5)
    return boto3.client(service, region_name={REGION!r}, endpoint_url="http://127.0.0.1:5000", config=wait)
client("s3").create_bucket(Bucket="speech-objects", CreateBucketConfiguration=dict(LocationConstraint={REGION!r}))
client("sqs").create_queue(QueueName="speech-jobs")
client("secretsmanager").create_secret(Name="speech-keys", SecretString={KEYS!r})
"""


class AwsInstance(Instance):
    """With the metadata service and the CLI of AWS, and an emulator of its services."""

    log_file = "/var/log/indextts2.log"

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        machine.stand_in("aws", "aws.py")
        machine.stand_in("ec2-metadata", "ec2_metadata.py")
        machine.write("/etc/stand-in-nvidia", "")
        machine.run("ip", "address", "add", "169.254.169.254/32", "dev", "lo")
        self.tell_metadata()
        machine.start("/usr/bin/ec2-metadata")
        ask = ("curl", "-sf", "-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60")
        until(lambda: machine.run(*ask, "http://169.254.169.254/latest/api/token").returncode == 0)
        python, variables = f"{INSIDE}/python/bin/python3", {"PYTHONPATH": PACKAGES, "PYTHONDONTWRITEBYTECODE": "1"}
        machine.start(python, "-m", "moto.server", "-H", "127.0.0.1", "-p", "5000", env=variables)
        done = machine.run(python, "-c", CLOUD, env=variables)
        assert done.returncode == 0, done.stderr
        self.password = machine.run("aws", "ecr", "get-login-password", "--region", REGION).stdout.strip()
        self.offer(IMAGE, self.password)

    def aws(self, service: str, operation: str, *options: str) -> Any:
        done = self.machine.run("aws", service, operation, "--region", REGION, *options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    def tell_metadata(self, **more: str) -> None:
        self.machine.write("/var/lib/stand-in-metadata.json", json.dumps({**METADATA, **more}))


@pytest.fixture
def node(machine: Machine) -> AwsInstance:
    return AwsInstance(machine)


class TestNode:
    def test_from_its_first_boot_to_its_end(self, node: AwsInstance) -> None:
        node.run_user_data(render(BOOT))
        until(node.ready, told=node.all_logs)
        check_it_speaks(node)
        check_it_is_bounded(node)
        before = state(node, "indextts2-drain.service")
        node.run_user_data(render(BOOT))
        assert state(node, "indextts2-drain.service") == before
        check_units(node)
        self._it_reports(node)
        self._changed_keys_are_taken(node)
        self._it_drains_at_a_spot_notice(node)
        self._it_goes_when_the_group_says_so(node)

    def _it_reports(self, node: AwsInstance) -> None:
        assert node.machine.run("systemctl", "start", "indextts2-report.service").returncode == 0, node.log()
        metrics = node.aws("cloudwatch", "list-metrics", "--namespace", NAMESPACE)["Metrics"]
        assert {"BusyFraction", "WorkSeconds", "ColdStartSeconds"} <= {metric["MetricName"] for metric in metrics}
        pairs = {(pair["Name"], pair["Value"]) for metric in metrics for pair in metric["Dimensions"]}
        assert ("Fleet", FLEET) in pairs

    def _changed_keys_are_taken(self, node: AwsInstance) -> None:
        new = "another-key-of-the-dubbing-team-0123456789ab"
        node.aws("secretsmanager", "put-secret-value", "--secret-id", "speech-keys",
                 "--secret-string", json.dumps({"dubbing": new}))  # fmt: skip
        assert node.machine.run("systemctl", "start", "indextts2-keys.service").returncode == 0, node.log()
        until(lambda: node.get("/v1/models", new)[0] == 200, told=node.all_logs)
        until(lambda: node.get("/v1/models", KEY)[0] == 401, told=node.all_logs)

    def _it_drains_at_a_spot_notice(self, node: AwsInstance) -> None:
        # no load balancer here that would need a moment
        node.machine.run("sed", "-i", "s/^SPOT_GRACE_SECONDS=.*/SPOT_GRACE_SECONDS=0/", "/etc/indextts2/node.env")
        node.machine.run("systemctl", "restart", "indextts2-drain.service")
        node.tell_metadata(
            **{"meta-data/spot/instance-action": '{"action": "terminate", "time": "2026-11-22T00:02:00Z"}'}
        )
        until(lambda: node.get("/healthz")[0] == 0, told=node.all_logs)
        assert "drain: a spot notice; the server finishes what it speaks" in node.log()
        assert '"draining"' in node.all_logs()
        assert "stand-in" not in node.log().partition("drain: a spot notice")[2]

    def _it_goes_when_the_group_says_so(self, node: AwsInstance) -> None:
        node.tell_metadata(**{"meta-data/autoscaling/target-lifecycle-state": "Terminated"})
        until(lambda: node.machine.systemctl("is-active", "indextts2-drain.service") == "inactive", told=node.log)
        (call,) = [json.loads(line) for line in node.machine.read("/var/lib/stand-in-aws-calls.jsonl").splitlines()]
        assert call == {
            "operation": "complete_lifecycle_action", "AutoScalingGroupName": FLEET, "LifecycleHookName": "drain",
            "InstanceId": INSTANCE, "LifecycleActionResult": "CONTINUE",
        }  # fmt: skip
        assert node.get("/healthz")[0] == 0
        assert "drain: done" in node.log()


class TestWeights:
    def test_they_come_while_the_image_is_pulled(self, node: AwsInstance) -> None:
        folder = "/var/lib/indextts2/weights"
        variables = {"PYTHONPATH": f"{PACKAGES}:{INSIDE}/checkout", "PYTHONDONTWRITEBYTECODE": "1"}
        done = node.machine.run(f"{INSIDE}/python/bin/python3", "-c", PUSH, env=variables)
        assert done.returncode == 0, done.stderr
        # One after the other they would never come.
        node.offer_all({IMAGE: {"held_until": f"{folder}/VERIFIED"}, SMALL: {}}, node.password)
        node.run_user_data(render(WITH_WEIGHTS))
        until(node.ready, told=node.all_logs)
        check_it_speaks(node)
        check_units(node)
        check_the_weights_came(node, folder)
        assert 'speech_cold_start_seconds{phase="weights"}' in node.get("/metrics", KEY)[1]
        # What is here is not asked of a registry again.
        node.machine.run("rm", "/var/lib/stand-in-registry.json")
        node.machine.run("systemctl", "restart", "indextts2-server.service")
        until(node.ready, told=node.all_logs)

    def test_a_stop_leaves_neither_a_pull_nor_a_container(self, node: AwsInstance) -> None:
        with node.machine.listen("127.0.0.1", 5001):  # a store that never answers
            silent = {"env": {**IMAGE_CONFIG["env"], "AWS_ENDPOINT_URL": "http://127.0.0.1:5001"}}
            node.offer_all({IMAGE: {"held_until": "/never"}, SMALL: silent}, node.password)
            node.run_user_data(render(WITH_WEIGHTS))
            show = ("show", "-p", "SubState", "--value", "container-weights.service")
            until(lambda: node.machine.systemctl(*show) == "running", told=node.log)
            assert f"pull --quiet {IMAGE}" in self._at_work(node)
            node.machine.systemctl("stop", "indextts2-server.service")
            assert node.machine.systemctl(*show) == "dead"
            assert self._at_work(node) == ""

    def _at_work(self, node: AwsInstance) -> str:
        """What brings the image and the weights, as far as it has not ended."""
        return node.machine.run("pgrep", "-fa", r"standins/docker\.py|prepare\.sh|weights\.sh").stdout


class TestWhatFails:
    """Each is told where an operator looks, and ends with its cause, without a new instance."""

    def test_one_after_the_other(self, node: AwsInstance) -> None:
        run = node.machine.run
        run("rm", "/var/lib/stand-in-registry.json", "/etc/stand-in-nvidia", "/var/lib/stand-in-metadata.json")
        node.try_often()
        node.run_user_data(render(BOOT))
        self._told(node, "Unable to locate credentials")
        node.tell_metadata()
        node.machine.write("/var/lib/stand-in-aws-denied", "get_secret_value")
        self._told(node, "AccessDeniedException")
        run("rm", "/var/lib/stand-in-aws-denied")
        self._told(node, "connection refused")
        node.offer(IMAGE, "another password")
        self._told(node, "no basic auth credentials")
        node.offer(IMAGE.replace("a" * 64, "b" * 64), node.password)
        self._told(node, "manifest unknown")
        node.offer(IMAGE, node.password)
        run("mkdir", "-p", "/var/lib/stand-in-docker")
        run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/var/lib/stand-in-docker")
        self._told(node, "No space left on device")
        run("umount", "/var/lib/stand-in-docker")
        self._told(node, 'could not select device driver "" with capabilities: [[gpu]]')
        node.machine.write("/etc/stand-in-nvidia", "")
        node.try_now()
        until(node.ready, told=node.all_logs)

    def _told(self, node: AwsInstance, what: str) -> None:
        node.try_now()
        until(lambda: what in node.log(), told=node.all_logs)
        assert not node.ready()
