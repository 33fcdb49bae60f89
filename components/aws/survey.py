"""Asks the account whether it can carry the stack, and fills in what the stack leaves open."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.account_question import ask, in_brief
from components.aws import account
from components.aws.quotas import needs, quota_problems
from components.aws.zones import Offers, choose_zones, existing_zones
from components.settings import AwsSettings, SettingsError


def survey(settings: AwsSettings, providers: Sequence[pulumi.ProviderResource]) -> AwsSettings:
    """The settings with `zones`, `ami` and the id of `access.hosted_zone` filled in.

    Raises `SettingsError` with everything that is wrong: a type that is not sold, too small a quota, an image of
    another architecture, a zone that does not hold the domain. What may not be asked is a warning if the stack can do
    without the answer, and a problem that names the key to set if it cannot.
    """
    opts = pulumi.InvokeOptions(provider=providers[0])
    try:
        account.account_id(opts)
    except Exception as error:
        raise SettingsError([_not_the_account(settings, error)]) from None

    zones, problems = _zones(settings, opts)
    ami, more = _ami(settings, opts)
    problems += more
    hosted_zone, more = _hosted_zone(settings, opts)
    problems += more + _quotas(settings, opts)
    if problems:
        raise SettingsError(problems)
    return settings.model_copy(
        update={
            "zones": zones,
            "ami": ami,
            "access": settings.access.model_copy(update={"hosted_zone": hosted_zone}),
        }
    )


def _not_the_account(settings: AwsSettings, error: Exception) -> str:
    if settings.account_id:
        return (
            f"indextts2:accountId: {settings.account_id!r}: the credentials in use are not of this account, or not "
            f"valid: {in_brief(error)}"
        )
    return f"indextts2:target: 'aws': the credentials in use are not valid in {settings.region}: {in_brief(error)}"


def _zones(settings: AwsSettings, opts: pulumi.InvokeOptions) -> tuple[tuple[str, ...], list[str]]:
    offers, refused = ask(account.gpu_offers, opts)
    if offers is None and not settings.zones:
        return (), [f"indextts2:zones: []: cannot be looked up, give two or more: {refused}"]
    if offers is None:
        pulumi.log.warn(f"indextts2:zones: whether they sell the instance types is not known: {refused}")
        return settings.zones, []
    if settings.network.vpc_id is None:
        return choose_zones(settings, offers)
    return _existing(settings, offers, opts)


def _existing(settings: AwsSettings, offers: Offers, opts: pulumi.InvokeOptions) -> tuple[tuple[str, ...], list[str]]:
    network = settings.network
    asked = {
        subnet: ask(account.subnet_place, subnet, opts)
        for subnet in dict.fromkeys((*network.subnet_ids, *network.load_balancer_subnet_ids))
    }
    problems = [
        f"indextts2:network.subnetIds: {subnet!r}: cannot be found in {settings.region}: {refused}"
        for subnet, (place, refused) in asked.items()
        if place is None
    ]
    if problems:
        return settings.zones, problems
    return existing_zones(settings, {subnet: place for subnet, (place, _) in asked.items() if place}, offers)


def _ami(settings: AwsSettings, opts: pulumi.InvokeOptions) -> tuple[str | None, list[str]]:
    if settings.ami is None:
        newest, refused = ask(account.newest_gpu_image, opts)
        return newest, [f"indextts2:ami: '': cannot be looked up, give an image's id: {refused}"] if refused else []
    architecture, refused = ask(account.image_architecture, settings.ami, opts)
    if refused:
        return settings.ami, [f"indextts2:ami: {settings.ami!r}: cannot be found in {settings.region}: {refused}"]
    if architecture != "x86_64":
        problem = f"indextts2:ami: {settings.ami!r}: is for {architecture}, and the nodes are x86_64; use another image"
        return settings.ami, [problem]
    return settings.ami, []


def _hosted_zone(settings: AwsSettings, opts: pulumi.InvokeOptions) -> tuple[str | None, list[str]]:
    access = settings.access
    if access.hosted_zone is None or access.domain is None:
        return access.hosted_zone, []
    found, refused = ask(account.public_zone, access.hosted_zone, access.hosted_zone_is_id, opts)
    key = f"indextts2:access.hostedZone: {access.hosted_zone!r}"
    if found is None:
        return None, [f"{key}: cannot be found among the account's public zones: {refused}"]
    zone_id, name = found
    if access.domain != name and not access.domain.endswith(f".{name}"):
        return zone_id, [f"{key}: is {name} and does not hold access.domain, {access.domain}; give the domain's zone"]
    return zone_id, []


def _quotas(settings: AwsSettings, opts: pulumi.InvokeOptions) -> list[str]:
    limits: dict[str, float] = {}
    for need in needs(settings):
        limit, refused = ask(account.vcpu_quota, need.quota.code, opts)
        if limit is None:
            pulumi.log.warn(
                f"indextts2:nodes.max: {settings.nodes.max}: whether the account's quota {need.quota.name!r} "
                f"({need.quota.code}) covers {need.vcpus} vCPUs is not known: {refused}"
            )
        else:
            limits[need.quota.code] = limit
    return quota_problems(settings, limits)
