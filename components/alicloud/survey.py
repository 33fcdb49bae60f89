"""Asks the account whether it can carry the stack, and fills in what the stack leaves open."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.account_question import ask, in_brief
from components.alicloud import account
from components.alicloud.quotas import on_demand_nodes, quota_problem
from components.alicloud.zones import Offers, vswitch_problems, zone_problems
from components.settings import AlicloudSettings, SettingsError


def survey(settings: AlicloudSettings, providers: Sequence[pulumi.ProviderResource]) -> AlicloudSettings:
    """The settings with `account_id` and `system_image` filled in.

    Raises `SettingsError` with everything that is wrong: a type that a zone does not sell, a zone without a load
    balancer, too small a quota, an image that the disk is too small for, a registry or a KMS instance that is not
    there. What may not be asked is a warning if the stack can do without the answer, and a problem that names the key
    to set if it cannot.
    """
    opts = pulumi.InvokeOptions(provider=providers[0])
    found = _account(settings, opts)
    image, problems = _system_image(settings, opts)
    for question in (_zones, _vswitches, _quota, _domain, _registry, _kms):
        problems += question(settings, opts)
    if problems:
        raise SettingsError(problems)
    return settings.model_copy(update={"account_id": found, "system_image": image})


def _account(settings: AlicloudSettings, opts: pulumi.InvokeOptions) -> str:
    """Raises `SettingsError` at once where there is no account, or another: nothing else is worth asking then."""
    try:
        found = account.account_id(opts)
    except Exception as error:
        problem = f"indextts2:target: 'alicloud': the credentials in use are not valid: {in_brief(error)}"
        raise SettingsError([problem]) from None
    if settings.account_id not in (None, found):
        raise SettingsError(
            [
                f"indextts2:accountId: {settings.account_id!r}: the credentials in use are of {found}; use this "
                "account's, or correct the key"
            ]
        )
    return found


def _system_image(settings: AlicloudSettings, opts: pulumi.InvokeOptions) -> tuple[str | None, list[str]]:
    name = settings.system_image
    if name is None:
        name, refused = ask(account.newest_gpu_image, opts)
        if name is None:
            why = refused or f"{settings.region} has none; give one of your own, with an NVIDIA driver"
            return None, [f"indextts2:systemImage: '': cannot be looked up, give an image's id: {why}"]
        pulumi.log.info(f"nodes start from {name}; to stay with it: pulumi config set indextts2:systemImage {name}")
    found, refused = ask(account.image, name, opts)
    shown = f"indextts2:systemImage: {name!r}:"
    if found is None:
        return name, [f"{shown} cannot be found in {settings.region}: {refused or 'there is no such image'}"]
    if found.architecture != "x86_64":
        return name, [f"{shown} is for {found.architecture}, and the nodes are x86_64; use another image"]
    if found.gib > settings.disk.gib:
        return name, [f"{shown} needs a disk of {found.gib} GiB, and disk.gib is {settings.disk.gib}; raise disk.gib"]
    return name, []


def _zones(settings: AlicloudSettings, opts: pulumi.InvokeOptions) -> list[str]:
    sold, refused = ask(account.types_by_zone, opts)
    stock: dict[str, frozenset[str]] = {}
    for family in dict.fromkeys(_family(name) for name in settings.instance_types):
        found, refused_too = ask(account.zones_in_stock, family, opts)
        stock |= found or {}
        refused = refused or refused_too
    if refused and not settings.zones:
        return [f"indextts2:zones: []: is empty; name two zones or more that sell the instance types: {refused}"]
    if refused:
        pulumi.log.warn(f"indextts2:zones: whether they sell the instance types is not known: {refused}")
        return []
    balancers, unknown = ask(account.load_balancer_zones, opts)
    if unknown:
        pulumi.log.warn(f"indextts2:zones: whether a load balancer can be in them is not known: {unknown}")
    problems, warnings = zone_problems(settings, Offers(sold or {}, stock), balancers)
    for text in warnings:
        pulumi.log.warn(text)
    return problems


def _family(instance_type: str) -> str:
    """ecs.gn6i of ecs.gn6i-c4g1.xlarge; ecs.gn8is-2x of ecs.gn8is-2x.8xlarge."""
    stem = instance_type.rpartition(".")[0]
    return stem if "gn8is" in stem else stem.partition("-")[0]


def _vswitches(settings: AlicloudSettings, opts: pulumi.InvokeOptions) -> list[str]:
    network = settings.network
    if network.vpc_id is None:
        return []
    ids = tuple(dict.fromkeys((*network.subnet_ids, *network.load_balancer_subnet_ids)))
    places, refused = ask(account.vswitch_places, ids, opts)
    if places is None:
        return [f"indextts2:network.subnetIds: {list(network.subnet_ids)!r}: cannot be looked up: {refused}"]
    return vswitch_problems(settings, places)


def _quota(settings: AlicloudSettings, opts: pulumi.InvokeOptions) -> list[str]:
    if on_demand_nodes(settings) == 0:
        return []
    known: dict[tuple[str, str], account.Quota] = {}
    for name in settings.instance_types:
        for zone in settings.zones:
            quota, refused = ask(account.type_quota, name, zone, settings.region, opts)
            if quota is None:
                pulumi.log.warn(
                    f"indextts2:nodes: whether the account's quota of {name} in {zone} suffices is not known: "
                    f"{refused or 'Quota Center does not list it'}"
                )
                return []
            known[name, zone] = quota
    problem = quota_problem(settings, known)
    return [problem] if problem else []


def _domain(settings: AlicloudSettings, opts: pulumi.InvokeOptions) -> list[str]:
    zone = settings.access.hosted_zone
    if zone is None:
        return []
    there, refused = ask(account.public_domain, zone, opts)
    if there:
        return []
    why = refused or "the account has no such domain; add it there, or leave the key empty and make the record yourself"
    return [f"indextts2:access.hostedZone: {zone!r}: cannot be found in Alibaba Cloud DNS: {why}"]


def _registry(settings: AlicloudSettings, opts: pulumi.InvokeOptions) -> list[str]:
    registry = settings.registry
    if registry.instance_id is None:
        return []
    hosts, refused = ask(account.registry_hosts, registry.instance_id, opts)
    if refused:
        pulumi.log.warn(
            f"indextts2:registry.instanceId: whether {registry.instance_id} is there is not known: {refused}"
        )
        return []
    if hosts is None:
        return [
            f"indextts2:registry.instanceId: {registry.instance_id!r}: there is no such Enterprise instance in "
            f"{settings.region}; correct the id, or the region"
        ]
    given = {"host": registry.host, "nodeHost": registry.node_host}
    return [
        f"indextts2:registry.{key}: {host!r}: is no host of {registry.instance_id}; its enabled ones are "
        f"{', '.join(sorted(hosts)) or 'none'}"
        for key, host in given.items()
        if host is not None and host not in hosts
    ]


def _kms(settings: AlicloudSettings, opts: pulumi.InvokeOptions) -> list[str]:
    wanted = settings.secrets.kms_instance
    if wanted is None:
        return []
    there, refused = ask(account.kms_instances, opts)
    if there is None:
        pulumi.log.warn(f"indextts2:secrets.kmsInstance: whether {wanted} is there is not known: {refused}")
        return []
    if wanted in there:
        return []
    return [
        f"indextts2:secrets.kmsInstance: {wanted!r}: there is no such KMS instance in {settings.region}; correct the "
        "id, or use secrets.kind parameter"
    ]
