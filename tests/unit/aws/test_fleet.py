"""The GPU fleet: what instances may be, how they are replaced, and what they may do."""

import base64
import re

import pytest

from components.aws.instances import RETENTIONS, retention
from components.aws.timing import (
    COLD_START_SECONDS,
    DEREGISTRATION_SECONDS,
    HEALTH_INTERVAL_SECONDS,
    IDLE_TIMEOUT_SECONDS,
    LONGEST_SYNTHESIS_SECONDS,
    STOP_SECONDS,
    TERMINATION_HOOK_SECONDS,
    UNHEALTHY_AFTER,
    USUAL_COLD_START_SECONDS,
)
from components.node_weights import FIRST_FILL_SECONDS
from components.server_environment import DRAIN_SECONDS, LONGEST_WAIT_SECONDS
from tests.unit.aws.whole_stack import IMAGE, whole_stack

SPOT = {"nodes": {"min": 0, "max": 4, "onDemandBase": 1, "spot": True}}
ON_DEMAND = {"nodes": {"min": 2, "max": 6, "onDemandBase": 0, "spot": False}}


def group(**values):
    return whole_stack(**values)[0].of_type("autoscaling/group:Group")


def template(**values):
    return whole_stack(**values)[0].of_type(":LaunchTemplate").values


def script(**values):
    return base64.b64decode(template(**values)["userData"]).decode()


class TestTimes:
    def test_whoever_waits_for_another_waits_longer(self):
        answer = LONGEST_SYNTHESIS_SECONDS + LONGEST_WAIT_SECONDS
        assert answer < IDLE_TIMEOUT_SECONDS < DEREGISTRATION_SECONDS
        assert answer <= DRAIN_SECONDS < STOP_SECONDS < TERMINATION_HOOK_SECONDS

    def test_they_are_within_what_aws_takes(self):
        assert IDLE_TIMEOUT_SECONDS <= 4000
        assert DEREGISTRATION_SECONDS <= 3600
        assert TERMINATION_HOOK_SECONDS <= 7200

    def test_an_engine_that_loads_its_model_anew_costs_no_node(self):
        assert HEALTH_INTERVAL_SECONDS * UNHEALTHY_AFTER > 131


class TestInstances:
    def test_types_are_taken_in_the_order_of_the_settings(self):
        types = ["g5.xlarge", "g4dn.xlarge", "g6.xlarge"]
        overrides = group(instanceTypes=types).values["mixedInstancesPolicy"]["launchTemplate"]["overrides"]
        assert overrides == [{"instanceType": kind} for kind in types]

    def test_spot_stands_above_the_base_on_demand(self):
        made = group(**SPOT).values
        assert made["mixedInstancesPolicy"]["instancesDistribution"] == {
            "onDemandBaseCapacity": 1,
            "onDemandPercentageAboveBaseCapacity": 0,
            "onDemandAllocationStrategy": "prioritized",
            "spotAllocationStrategy": "price-capacity-optimized",
        }
        assert made["capacityRebalance"] is True
        assert made["ignoreFailedScalingActivities"] is True

    def test_without_spot_everything_is_on_demand(self):
        made = group(**ON_DEMAND).values
        distribution = made["mixedInstancesPolicy"]["instancesDistribution"]
        assert distribution["onDemandPercentageAboveBaseCapacity"] == 100
        assert made["capacityRebalance"] is False

    def test_metadata_is_given_to_session_tokens_only_and_reaches_a_container(self):
        assert template()["metadataOptions"] == {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 2,
        }

    def test_the_disk_is_encrypted_filled_ahead_and_goes_with_the_instance(self):
        (disk,) = template()["blockDeviceMappings"]
        assert disk["ebs"]["encrypted"] == "true"
        assert disk["ebs"]["deleteOnTermination"] == "true"
        assert disk["ebs"]["volumeType"] == "gp3"
        assert 100 <= disk["ebs"]["volumeInitializationRate"] <= 300

    def test_there_is_no_ssh_key(self):
        assert "keyName" not in template()

    @pytest.mark.parametrize(
        ("network", "address"),
        [
            ({"private": True}, "false"),
            ({"private": False}, "true"),
            ({"vpcId": "vpc-0123456789abcdef0", "subnetIds": ["subnet-00000001", "subnet-00000002"]}, None),
        ],
    )
    def test_only_nodes_of_public_subnets_have_an_address(self, network, address):
        (interface,) = template(network=network)["networkInterfaces"]
        assert interface.get("associatePublicIpAddress") == address
        assert len(interface["securityGroups"]) == 1

    def test_what_an_instance_brings_along_carries_the_stacks_tags(self):
        made = template(tags={"costCentre": "dubbing"})
        assert {one["resourceType"] for one in made["tagSpecifications"]} == {
            "instance",
            "volume",
            "network-interface",
        }
        for one in made["tagSpecifications"]:
            assert {"project": "indextts2", "stack": "test", "costCentre": "dubbing"}.items() <= one["tags"].items()

    def test_the_image_of_the_settings_is_pinned(self):
        assert template()["imageId"] == "ami-0123456789abcdef0"

    def test_the_script_names_the_image_the_group_and_the_secret_but_no_key(self):
        text = script()
        assert f"IMAGE={IMAGE}" in text
        assert f"FLEET={group().values['name']}" in text
        assert "k" * 40 not in text
        assert whole_stack()[1]["keys_reference"] in text

    def test_it_tells_the_server_where_everything_is(self):
        text = script(access={"domain": "speech.example.com", "hostedZone": "Z0123456789ABCDEFGHIJ"})
        assert re.search(r"^SPEECH_STORE=s3://speech-objects[^?]*\?region=us-west-2$", text, re.M)
        assert re.search(r"^SPEECH_QUEUE=sqs://us-west-2/123456789012/speech-jobs\S*$", text, re.M)
        assert re.search(r"^SPEECH_TOPIC=sns://us-west-2/123456789012/speech-finished\S*$", text, re.M)
        assert "SPEECH_PUBLIC_URL=https://speech.example.com" in text
        assert "SPEECH_PUBLIC_URL" not in script()

    def test_nodes_of_a_model_know_their_weights_and_may_read_them(self):
        recorder, _ = whole_stack(engine={"name": "indextts2", "precision": "fp32"}, image=IMAGE)
        told = base64.b64decode(recorder.of_type(":LaunchTemplate").values["userData"]).decode()
        assert "\nSPEECH_ENGINE=indextts2\nSPEECH_ENGINE_WEIGHTS=/weights\nSPEECH_ENGINE_VERSION=2.5\n" in told
        assert "\nSPEECH_ENGINE_PRECISION=fp32\n" in told
        assert "\nSPEECH_WEIGHTS=indextts-2.5\n" in told
        assert "/weights/indextts-2.5/*" in recorder.of_type(":RolePolicy").values["policy"]

    def test_another_image_is_another_launch_template(self):
        other = IMAGE.replace("b" * 64, "c" * 64)
        assert script(image=other) == script().replace("b" * 64, "c" * 64)


class TestGroup:
    def test_it_names_the_launch_template_by_number(self):
        chosen = group().values["mixedInstancesPolicy"]["launchTemplate"]["launchTemplateSpecification"]
        assert not str(chosen["version"]).startswith("$")
        assert chosen["version"]

    def test_it_asks_the_load_balancer_and_waits_out_a_cold_start(self):
        made = group().values
        assert made["healthCheckType"] == "ELB"
        assert made["healthCheckGracePeriod"] == COLD_START_SECONDS >= 900
        assert made["defaultInstanceWarmup"] == USUAL_COLD_START_SECONDS

    def test_a_node_that_may_have_to_fill_the_bucket_is_given_the_time(self):
        model, filled = {"engine": {"name": "indextts2"}}, {"weights": {"source": "none"}}
        grace = [group(**values).values["healthCheckGracePeriod"] for values in (model, {**model, **filled})]
        assert grace == [COLD_START_SECONDS + FIRST_FILL_SECONDS, COLD_START_SECONDS]

    def test_a_change_never_goes_below_what_is_wanted_and_is_rolled_back(self):
        refresh = group().values["instanceRefresh"]
        assert refresh["strategy"] == "Rolling"
        assert refresh["preferences"]["minHealthyPercentage"] == 100
        assert refresh["preferences"]["maxHealthyPercentage"] > 100
        assert refresh["preferences"]["autoRollback"] is True
        assert int(refresh["preferences"]["instanceWarmup"]) >= COLD_START_SECONDS
        assert group().values["instanceMaintenancePolicy"]["minHealthyPercentage"] == 100

    def test_the_number_of_nodes_is_left_to_the_scalers(self):
        made = group(**ON_DEMAND)
        assert made.ignore_changes == ("desiredCapacity",)
        assert (made.values["minSize"], made.values["maxSize"], made.values["desiredCapacity"]) == (2, 6, 2)

    def test_a_stack_that_may_sleep_begins_awake(self):
        assert group(**SPOT).values["desiredCapacity"] == 1

    def test_the_deployment_does_not_wait_for_capacity(self):
        assert group().values["waitForCapacityTimeout"] == "0"

    def test_nodes_start_after_their_rights_their_keys_and_their_way_out(self):
        names = {urn.rpartition("::")[2] for urn in group().depends_on}
        recorder, _ = whole_stack()
        assert recorder.of_type(":RolePolicy").name in names
        assert {one.name for one in recorder.all_of_type(":SecretVersion")} <= names
        assert {one.name for one in recorder.all_of_type("ec2/route:Route")} <= names

    def test_a_node_is_let_finish_before_it_goes(self):
        hook = whole_stack()[0].of_type(":LifecycleHook").values
        assert hook["lifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
        assert hook["heartbeatTimeout"] == TERMINATION_HOOK_SECONDS
        assert hook["defaultResult"] == "CONTINUE"
        assert f"HOOK={hook['name']}" in script()

    def test_the_counts_that_scaling_reads_are_switched_on(self):
        assert {"GroupDesiredCapacity", "GroupInServiceInstances"} <= set(group().values["enabledMetrics"])


class TestSchedule:
    OFFICE = {"timeZone": "America/Los_Angeles", "up": "09:00", "down": "19:00", "days": "MON-FRI"}  # noqa: RUF012

    def actions(self, **values):
        recorder, _ = whole_stack(**values)
        return {one.values["scheduledActionName"]: one.values for one in recorder.all_of_type(":Schedule")}

    def test_nodes_come_and_go_by_the_clocks_of_the_time_zone(self):
        actions = self.actions(schedule=self.OFFICE, **SPOT)
        assert {one["timeZone"] for one in actions.values()} == {"America/Los_Angeles"}
        assert actions["up"]["recurrence"] == "0 9 * * 1,2,3,4,5"
        assert actions["down"]["recurrence"] == "0 19 * * 1,2,3,4,5"

    def test_off_is_off_and_up_is_the_stacks_own_bounds(self):
        actions = self.actions(schedule=self.OFFICE, **SPOT)
        sizes = {name: (one["minSize"], one["maxSize"], one["desiredCapacity"]) for name, one in actions.items()}
        assert sizes == {"up": (0, 4, 1), "down": (0, 0, 0)}
        sizes = self.actions(schedule=self.OFFICE, **ON_DEMAND)["up"]
        assert (sizes["minSize"], sizes["maxSize"], sizes["desiredCapacity"]) == (2, 6, 2)

    def test_a_night_shift_ends_on_the_next_morning(self):
        night = {**self.OFFICE, "up": "20:00", "down": "06:00"}
        assert self.actions(schedule=night)["down"]["recurrence"] == "0 6 * * 2,3,4,5,6"

    def test_a_stack_without_one_has_no_actions(self):
        assert not self.actions()


class TestLogs:
    @pytest.mark.parametrize(("asked", "kept"), [(1, 1), (2, 3), (30, 30), (31, 60), (400, 400), (3650, 3653)])
    def test_they_are_kept_for_the_next_time_that_cloudwatch_knows(self, asked, kept):
        assert retention(asked) == kept

    def test_every_setting_has_one(self):
        assert all(retention(days) in RETENTIONS for days in range(1, 3651))

    def test_the_group_has_it(self):
        made = whole_stack(storage={"logDays": 20})[0].of_type(":LogGroup").values
        assert made["retentionInDays"] == 30
