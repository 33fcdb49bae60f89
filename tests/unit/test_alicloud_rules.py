"""The strictness of the tests' own stand-ins for Alibaba Cloud: what they refuse because the provider itself does."""

import pytest

from tests.alicloud_rules import RULES, replacing, rule_problems
from tests.sdk_schema import UNKNOWN, is_list, resource_schema

GROUP = resource_schema("alicloud:ess/scalingGroup:ScalingGroup")
TEMPLATE = resource_schema("alicloud:ecs/ecsLaunchTemplate:EcsLaunchTemplate")


class TestValues:
    def test_what_is_right_passes(self):
        values = {"minSize": 0.0, "maxSize": 4.0, "multiAzPolicy": "COST_OPTIMIZED", "healthCheckTypes": ["ECS"]}
        assert rule_problems(GROUP, values) == []

    @pytest.mark.parametrize(
        ("schema", "values", "problem"),
        [
            (GROUP, {"maxSize": 2001.0}, "maxSize is 2001 and not between 0 and 2000"),
            (GROUP, {"multiAzPolicy": "cost_optimized"}, "multiAzPolicy is none of"),
            (GROUP, {"removalPolicies": ["a", "b", "c"]}, "removalPolicies has 3 items; 2 is the most"),
            (TEMPLATE, {"name": "nodes"}, "name is deprecated"),
            (TEMPLATE, {"systemDisk": {"category": "cloud_magic"}}, "systemDisk.category is none of"),
            (
                resource_schema("alicloud:ram/role:Role"),
                {"assumeRolePolicyDocument": "{"},
                "assumeRolePolicyDocument is no JSON",
            ),
        ],
    )
    def test_what_is_wrong_is_named(self, schema, values, problem):
        ((name, text),) = rule_problems(schema, values)
        assert text.startswith(schema.token)
        assert problem in text
        assert name in values

    def test_what_excludes_each_other_is_named_on_both_sides(self):
        kinds = {"instanceType": "ecs.gn6i-c4g1.xlarge", "instanceTypes": ["ecs.gn6i-c4g1.xlarge"]}
        problems = rule_problems(resource_schema("alicloud:ess/scalingConfiguration:ScalingConfiguration"), kinds)
        assert [text.partition(": ")[2] for _, text in problems] == [
            "instanceType cannot stand beside instanceTypes",
            "instanceTypes cannot stand beside instanceType",
        ]

    def test_what_is_not_known_yet_passes(self):
        assert rule_problems(GROUP, {"multiAzPolicy": UNKNOWN, "healthCheckTypes": [UNKNOWN], "maxSize": UNKNOWN}) == []

    def test_a_text_is_not_shown_for_it_may_be_a_secret(self):
        hushed = rule_problems(TEMPLATE, {"systemDisk": {"category": "hush"}, "userData": "hush" * 100_000})
        assert hushed
        assert "hush" not in str(hushed)

    def test_a_type_that_is_not_listed_is_refused(self):
        ((_, text),) = rule_problems(resource_schema("alicloud:rds/instance:Instance"), {})
        assert "says nothing of alicloud:rds/instance:Instance" in text


class TestReplacements:
    def test_they_are_the_providers(self):
        assert replacing("alicloud:vpc/switch:Switch") >= {"cidrBlock", "vpcId", "zoneId"}
        assert "maxSize" not in replacing(GROUP.token)
        assert "launchTemplateVersion" not in replacing(GROUP.token)

    @pytest.mark.parametrize("token", RULES)
    def test_every_rule_is_of_a_property_that_the_sdk_has(self, token: str):
        known = resource_schema(token).inputs
        assert RULES[token].keys() <= known.keys()
        for name, rule in RULES[token].items():
            if "most" in rule:
                assert is_list(known[name].type), name
