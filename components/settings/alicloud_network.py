"""The network of a service on Alibaba Cloud."""

from __future__ import annotations

from typing import Annotated

from components.settings.cloud import CloudNetworkSettings, matching
from components.settings.model import Given, Items

VpcId = Annotated[str, matching(r"vpc-[a-z0-9]{10,30}", "is no VPC's id; it looks like vpc-bp1m7v25emi1h5mtc****")]
VSwitchId = Annotated[str, matching(r"vsw-[a-z0-9]{10,30}", "is no vSwitch's id; it looks like vsw-bp1s5fnvk4gn****")]


class NetworkSettings(CloudNetworkSettings):
    """The vSwitches of an existing network are given zone by zone, in the order of the stack's `zones`."""

    subnets = "vSwitches"

    vpc_id: Given[VpcId]
    subnet_ids: Items[VSwitchId]
    load_balancer_subnet_ids: Items[VSwitchId]
