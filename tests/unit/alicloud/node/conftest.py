"""A node and the cloud that it is in."""

import pytest

from components.alicloud.ram import group_policy, node_policy
from tests.alicloud_for_nodes import ACCOUNT, GROUP, REGION, Cloud, serving
from tests.unit.alicloud.boot import ACCESS
from tests.unit.alicloud.node.shipped import Shipped


@pytest.fixture
def cloud():
    """What the node's own policies allow it, and no more."""
    with serving(Cloud([node_policy(ACCESS), group_policy(REGION, ACCOUNT, GROUP)])) as running:
        yield running


@pytest.fixture
def node(tmp_path, cloud):
    return Shipped(tmp_path, cloud.url)
