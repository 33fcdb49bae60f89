"""The network of a service on Alibaba Cloud."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ValidationInfo, field_validator

from components.settings import cidr
from components.settings.base import Given, Items
from components.settings.cloud import matching
from components.settings.model import Model

VpcId = Annotated[str, matching(r"vpc-[a-z0-9]{10,30}", "is no VPC's id; it looks like vpc-bp1m7v25emi1h5mtc****")]
VSwitchId = Annotated[str, matching(r"vsw-[a-z0-9]{10,30}", "is no vSwitch's id; it looks like vsw-bp1s5fnvk4gn****")]


class NetworkSettings(Model):
    """A network of the stack's own in `cidr`, or an existing one: `vpc_id` and its vSwitches, in two zones or more.

    `private`: nodes have no public address and reach out through NAT; else they have one, and still nothing reaches in.
    An existing network must have the NAT. Its vSwitches are given zone by zone, in the order of the stack's `zones`.
    `load_balancer_subnet_ids`: none stands for `subnet_ids`.
    """

    cidr: Annotated[str, AfterValidator(cidr.vpc_range)]
    private: bool
    vpc_id: Given[VpcId]
    subnet_ids: Items[VSwitchId]
    load_balancer_subnet_ids: Items[VSwitchId]

    @field_validator("subnet_ids")
    @classmethod
    def _subnets_of_a_vpc(cls, ids: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "vpc_id" not in info.data:
            return ids
        if info.data["vpc_id"] is None:
            if ids:
                raise ValueError("is of no use without network.vpcId; give the VPC, or remove the vSwitches")
            return ids
        if len(set(ids)) < 2:
            raise ValueError("has fewer than two vSwitches; give one in each of two zones or more of network.vpcId")
        return ids

    @field_validator("load_balancer_subnet_ids")
    @classmethod
    def _load_balancer_subnets(cls, ids: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if ids and info.data.get("vpc_id", "") is None:
            raise ValueError("is of no use without network.vpcId; give the VPC, or remove the vSwitches")
        if ids and len(set(ids)) < 2:
            raise ValueError("has fewer than two vSwitches; a load balancer needs one in each of two zones or more")
        return ids
