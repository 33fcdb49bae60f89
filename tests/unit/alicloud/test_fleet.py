"""The GPU fleet: what instances may be, when they come and go, and what they are told."""

import base64
import json

import pytest

from components.alicloud.logs import SOURCES, input_detail
from components.alicloud.node.rolling import PATIENCE_SECONDS
from components.alicloud.timing import (
    DRAIN_CONNECTIONS_SECONDS,
    DRAIN_HOOK_SECONDS,
    HEALTH_INTERVAL_SECONDS,
    IDLE_TIMEOUT_SECONDS,
    LONGEST_SYNTHESIS_SECONDS,
    REQUEST_TIMEOUT_SECONDS,
    STOP_SECONDS,
    UNHEALTHY_AFTER,
    WARM_HOOK_SECONDS,
)
from components.alicloud.user_data import boot_script
from components.node_weights import FIRST_FILL_SECONDS
from components.server_environment import DRAIN_SECONDS, LONGEST_WAIT_SECONDS
from tests.unit.alicloud.every_part import every_part
from tests.unit.alicloud.node.shipped import files_of, settings_of
from tests.unit.alicloud.one_part import DIGEST, ENTERPRISE, KEY, LEAST, PERSONAL

SPOT = {"nodes": {"min": 0, "max": 4, "onDemandBase": 1, "spot": True}}
ON_DEMAND = {"nodes": {"min": 2, "max": 6, "onDemandBase": 0, "spot": False}}
CERTIFIED = {"access": {"domain": "speech.example.com", "certificate": "12345678-cn-hangzhou"}}


def group(**values):
    return every_part(**values)[0].of_type(":ScalingGroup")


def template(**values):
    return every_part(**values)[0].of_type(":EcsLaunchTemplate").values


def script(**values):
    return base64.b64decode(template(**values)["userData"]).decode()


class TestTimes:
    def test_whoever_waits_for_another_waits_longer(self):
        answer = LONGEST_SYNTHESIS_SECONDS + LONGEST_WAIT_SECONDS
        assert answer <= REQUEST_TIMEOUT_SECONDS <= DRAIN_SECONDS < STOP_SECONDS < DRAIN_HOOK_SECONDS
        assert REQUEST_TIMEOUT_SECONDS < DRAIN_CONNECTIONS_SECONDS
        assert WARM_HOOK_SECONDS + FIRST_FILL_SECONDS < PATIENCE_SECONDS

    def test_they_are_within_what_the_services_take(self):
        assert max(REQUEST_TIMEOUT_SECONDS, IDLE_TIMEOUT_SECONDS) <= 600
        assert DRAIN_CONNECTIONS_SECONDS <= 900
        assert 30 <= DRAIN_HOOK_SECONDS <= 21_600

    def test_an_engine_that_loads_its_model_anew_costs_no_node(self):
        assert HEALTH_INTERVAL_SECONDS * UNHEALTHY_AFTER > 131


class TestInstances:
    def test_every_type_of_the_settings_is_taken(self):
        types = ["ecs.gn7i-c8g1.2xlarge", "ecs.gn6i-c4g1.xlarge"]
        overrides = group(instanceTypes=types).values["launchTemplateOverrides"]
        assert overrides == [{"instanceType": kind} for kind in types]
        assert template(instanceTypes=types)["instanceType"] == types[0]

    def test_spot_stands_above_the_base_and_on_demand_where_there_is_no_spot(self):
        made = group(**SPOT).values
        assert made["multiAzPolicy"] == "COST_OPTIMIZED"
        assert (made["onDemandBaseCapacity"], made["onDemandPercentageAboveBaseCapacity"]) == (1, 0)
        assert made["compensateWithOnDemand"] is made["spotInstanceRemedy"] is True
        assert template(**SPOT)["spotStrategy"] == "SpotAsPriceGo"

    def test_without_spot_everything_is_on_demand(self):
        made = group(**ON_DEMAND).values
        assert made["onDemandPercentageAboveBaseCapacity"] == 100
        assert made["compensateWithOnDemand"] is made["spotInstanceRemedy"] is False
        assert template(**ON_DEMAND)["spotStrategy"] == "NoSpot"

    def test_metadata_is_given_to_session_tokens_only_and_reaches_a_container(self):
        made = template()
        assert (made["httpEndpoint"], made["httpTokens"], made["httpPutResponseHopLimit"]) == ("enabled", "required", 2)

    def test_the_disk_is_encrypted_and_goes_with_the_instance(self):
        disk = template()["systemDisk"]
        assert disk["category"] == "cloud_essd"
        assert disk["encrypted"] in (True, "true")
        assert disk["deleteWithInstance"] in (True, "true")
        assert int(disk["size"]) >= 100

    def test_there_is_no_ssh_key(self):
        assert "keyPairName" not in template()

    @pytest.mark.parametrize(
        ("network", "bandwidth"),
        [({"private": True}, 0), ({"private": False}, 100)],
    )
    def test_only_nodes_without_nat_have_an_address(self, network, bandwidth):
        assert template(network=network)["internetMaxBandwidthOut"] == bandwidth

    def test_what_an_instance_brings_along_carries_the_stacks_tags(self):
        made = template(tags={"costCentre": "dubbing"})
        for tags in (made["tags"], made["templateTags"]):
            assert {"project": "indextts2", "stack": "test", "costCentre": "dubbing"}.items() <= tags.items()

    def test_the_image_of_the_settings_is_pinned(self):
        assert template()["imageId"] == LEAST["systemImage"]


class TestGroup:
    def test_it_names_the_launch_template_by_number(self):
        assert group().values["launchTemplateVersion"].isdigit()

    def test_it_spans_the_zones(self):
        assert len(group().values["vswitchIds"]) == 2

    def test_the_number_of_nodes_is_left_to_the_scalers(self):
        made = group(**ON_DEMAND)
        assert "desiredCapacity" in made.ignore_changes
        assert not {"minSize", "maxSize"} & set(made.ignore_changes)
        assert (made.values["minSize"], made.values["maxSize"], made.values["desiredCapacity"]) == (2, 6, 2)

    def test_a_stack_that_may_sleep_begins_awake(self):
        assert group(**SPOT).values["desiredCapacity"] == 1

    def test_nodes_start_after_their_rights_their_keys_and_their_way_out(self):
        names = {urn.rpartition("::")[2] for urn in group().depends_on}
        recorder, _ = every_part()
        assert "speech-node" in names
        assert {one.name for one in recorder.all_of_type(":SecretParameter")} <= names
        assert {one.name for one in recorder.all_of_type(":SnatEntry")} <= names

    @pytest.mark.parametrize("protect", [True, False])
    def test_production_cannot_be_deleted_by_mistake(self, protect):
        assert group(protect=protect).values["groupDeletionProtection"] is protect

    def test_a_node_is_in_service_once_it_speaks_and_goes_once_it_has_finished(self):
        hooks = {one.values["lifecycleTransition"]: one.values for one in every_part()[0].all_of_type(":LifecycleHook")}
        assert set(hooks) == {"SCALE_OUT", "SCALE_IN"}
        assert (hooks["SCALE_OUT"]["defaultResult"], hooks["SCALE_OUT"]["heartbeatTimeout"]) == ("ABANDON", 1200)
        assert (hooks["SCALE_IN"]["defaultResult"], hooks["SCALE_IN"]["heartbeatTimeout"]) == ("CONTINUE", 900)

    def test_a_node_that_may_have_to_fill_the_bucket_is_given_the_time(self):
        model, filled = {"engine": {"name": "indextts2"}}, {"weights": {"source": "none"}}
        for values, seconds in ((model, WARM_HOOK_SECONDS + FIRST_FILL_SECONDS), ({**model, **filled}, 1200)):
            made = every_part(**values)[0]
            hooks = {one.values["lifecycleTransition"]: one.values for one in made.all_of_type(":LifecycleHook")}
            assert hooks["SCALE_OUT"]["heartbeatTimeout"] == seconds <= 21_600
            rules = {one.values["scalingRuleName"].rpartition("-")[2]: one for one in made.all_of_type(":ScalingRule")}
            assert rules["wake"].values["cooldown"] == seconds

    def test_nodes_of_a_model_know_their_weights_and_may_read_them(self):
        recorder = every_part(engine={"name": "indextts2", "lowMemory": True})[0]
        told = base64.b64decode(recorder.of_type(":EcsLaunchTemplate").values["userData"]).decode()
        assert "\nSPEECH_ENGINE=indextts2\nSPEECH_ENGINE_WEIGHTS=/weights\nSPEECH_ENGINE_VERSION=2.5\n" in told
        assert "\nSPEECH_ENGINE_LOW_MEMORY=true\n" in told
        assert "\nSPEECH_WEIGHTS_SOURCE=modelscope://IndexTeam/IndexTTS-2.5\n" in told
        policies = [one.values["policyDocument"] for one in recorder.all_of_type("ram/policy:Policy")]
        assert any("/weights/indextts-2.5/*" in text for text in policies)

    def test_it_asks_the_load_balancer_whether_a_node_is_well(self):
        assert group().values["healthCheckTypes"] == ["ECS", "LOAD_BALANCER"]


class TestRights:
    def test_the_role_has_both_policies_and_no_vendors(self):
        recorder, _ = every_part()
        role = recorder.of_type("ram/role:Role").values
        attached = [one.values for one in recorder.all_of_type(":RolePolicyAttachment")]
        assert {one["roleName"] for one in attached} == {role["roleName"]} == {template()["ramRoleName"]}
        assert [one["policyType"] for one in attached] == ["Custom", "Custom"]

    def test_the_second_is_about_the_group_that_was_made(self):
        policies = [
            json.loads(one.values["policyDocument"]) for one in every_part()[0].all_of_type("ram/policy:Policy")
        ]
        resources = [resource for policy in policies for one in policy["Statement"] for resource in one["Resource"]]
        assert any(":scalinggroup/asg-" in resource for resource in resources)

    def test_they_are_about_this_stacks_bucket_and_queue(self):
        recorder, outputs = every_part()
        text = recorder.named("speech-node", "ram/policy:Policy").values["policyDocument"]
        assert f"acs:oss:*:*:{outputs['bucket']}/voices/*" in text
        assert outputs["queue"].partition("?")[0].rpartition("/")[2] in text


class TestBoot:
    def test_it_names_the_image_the_fleet_and_the_keys_but_no_key(self):
        settings, outputs = settings_of(script()), every_part()[1]
        assert settings["IMAGE"] == LEAST["image"]
        assert settings["FLEET"] == outputs["fleet"]
        assert (settings["KEYS_KIND"], settings["KEYS_NAME"]) == ("parameter", outputs["keys_reference"])
        assert KEY not in script()

    def test_it_tells_the_server_where_everything_is(self):
        told = files_of(script(**CERTIFIED))["/etc/indextts2/server.env"]
        outputs = every_part(**CERTIFIED)[1]
        assert f"SPEECH_STORE=oss://{outputs['bucket']}?region=cn-hangzhou&internal=true\n" in told
        assert f"SPEECH_QUEUE={outputs['queue']}\n" in told
        assert "SPEECH_TOPIC=smq-topic://cn-hangzhou/1234567890123456/" in told
        assert "SPEECH_PUBLIC_URL=https://speech.example.com\n" in told
        assert "SPEECH_PUBLIC_URL" not in script()

    def test_an_enterprise_registry_is_entered_by_the_role(self):
        image = f"{ENTERPRISE['nodeHost']}/speech/server@{DIGEST}"
        settings = settings_of(script(image=image, registry=ENTERPRISE))
        assert settings["REGISTRY_HOST"] == ENTERPRISE["nodeHost"]
        assert settings["REGISTRY_INSTANCE"] == ENTERPRISE["instanceId"]
        assert settings["REGISTRY_PASSWORD"] == ""

    def test_another_one_by_the_name_of_a_parameter(self):
        values = {
            "image": f"{PERSONAL['host']}/speech/server@{DIGEST}",
            "registry": PERSONAL,
            "registryPassword": "a-password-of-the-registry",
        }
        settings = settings_of(script(**values))
        assert settings["REGISTRY_USER"] == PERSONAL["user"]
        assert settings["REGISTRY_PASSWORD"]
        assert "a-password-of-the-registry" not in script(**values)

    def test_another_image_is_another_template(self):
        other = LEAST["image"].replace("0" * 64, "c" * 64)
        assert script(image=other) == script().replace("0" * 64, "c" * 64)

    def test_the_same_stack_is_the_same_template(self):
        assert script(tags={}) == script()


class TestLogs:
    def test_every_source_has_a_store_a_collection_and_the_fleets_machines(self):
        recorder, outputs = every_part(storage={"logDays": 20})
        stores = {one.values["logstoreName"]: one.values for one in recorder.all_of_type("log/store:Store")}
        assert {source.store for source in SOURCES} | {"alb_access"} == set(stores)
        assert {one["retentionPeriod"] for one in stores.values()} == {20}
        assert {one.values["logstore"] for one in recorder.all_of_type(":LogTailConfig")} == {
            source.store for source in SOURCES
        }
        assert len(recorder.all_of_type(":LogTailAttachment")) == len(SOURCES)
        machines = recorder.of_type(":MachineGroup").values
        assert (machines["identifyType"], machines["identifyLists"]) == ("userdefined", [outputs["fleet"]])

    def test_every_store_can_be_searched(self):
        recorder, _ = every_part()
        assert {one.values["logstore"] for one in recorder.all_of_type(":StoreIndex")} == {
            one.values["logstoreName"] for one in recorder.all_of_type("log/store:Store")
        }

    def test_what_the_units_and_docker_write_is_what_is_collected(self):
        text = boot_script()
        by_store = {source.store: source for source in SOURCES}
        assert f"{by_store['node'].folder}/{by_store['node'].pattern}" in text
        assert "--log-driver json-file" in text
        assert input_detail(by_store["server"])["logType"] == "json_log"
