"""Names that Alibaba Cloud does not give by itself: within its limits, and of one stack, account and region alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.alicloud.names import LONGEST, resource_name
from tests.unit.alicloud.one_part import alicloud_settings

SETTINGS = alicloud_settings()


class TestNames:
    @given(stack=st.text(alphabet=st.characters(codec="ascii"), min_size=1, max_size=100))
    def test_every_stack_gets_one_that_a_bucket_and_a_log_project_can_have(self, stack):
        name = resource_name(SETTINGS, stack, "registry-password")
        assert re.fullmatch(r"[a-z0-9](-?[a-z0-9])*", name)
        assert 3 <= len(name) <= LONGEST

    def test_it_can_be_read(self):
        assert re.fullmatch(r"speech-prod-cn-objects-[0-9a-f]{8}", resource_name(SETTINGS, "prod-cn", "objects"))

    def test_it_stays_the_same(self):
        assert resource_name(SETTINGS, "a", "jobs") == resource_name(alicloud_settings(), "a", "jobs")

    def test_another_account_region_stack_or_label_has_another(self):
        there = alicloud_settings(region="cn-shanghai", zones=["cn-shanghai-a", "cn-shanghai-b"])
        found = [
            resource_name(SETTINGS, "a", "jobs"),
            resource_name(SETTINGS, "a", "dead-jobs"),
            resource_name(SETTINGS, "b", "jobs"),
            resource_name(SETTINGS, "x" * 90, "jobs"),
            resource_name(SETTINGS, "x" * 91, "jobs"),
            resource_name(SETTINGS, "A", "jobs"),
            resource_name(there, "a", "jobs"),
            resource_name(alicloud_settings(accountId="6543210987654321"), "a", "jobs"),
        ]
        assert len(set(found)) == len(found)

    @pytest.mark.parametrize("label", ["", "Jobs", "jobs-", "x" * 60])
    def test_what_is_no_label_is_refused(self, label):
        with pytest.raises(ValueError, match="is no label of a resource"):
            resource_name(SETTINGS, "a", label)
