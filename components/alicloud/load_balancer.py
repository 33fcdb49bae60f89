"""The load balancer on Alibaba Cloud."""

from __future__ import annotations

import pulumi
from pulumi_alicloud import alb, dns, ess

from components import contracts
from components.alicloud.fleet import GpuFleet
from components.alicloud.logs import ACCESS_LOG, log_store
from components.alicloud.names import resource_name
from components.alicloud.network import Network
from components.alicloud.provider import all_tags
from components.alicloud.timing import (
    DRAIN_CONNECTIONS_SECONDS,
    HEALTH_INTERVAL_SECONDS,
    HEALTH_TIMEOUT_SECONDS,
    HEALTHY_AFTER,
    IDLE_TIMEOUT_SECONDS,
    REQUEST_TIMEOUT_SECONDS,
    UNHEALTHY_AFTER,
)
from components.contracts import SERVER_PORT, LoadBalancerArgs
from components.no_key import NO_KEY
from components.settings import AlicloudSettings

HEALTH_PATH = "/readyz"
PUBLIC_PATHS = ("/healthz", "/readyz")
# TLS 1.3 and 1.2 with forward secrecy only:
# https://www.alibabacloud.com/help/en/slb/application-load-balancer/user-guide/tls-security-policies
TLS_POLICY = "tls_cipher_policy_1_2_strict_with_1_3"
# 443 and 80 alike; the group's nodes have no other.
WEIGHT = 100


class LoadBalancer(contracts.LoadBalancer):
    """- A store of the fleet's log project for the access log, and an Application Load Balancer that writes it.
    - A server group that sends a request to the node with the fewest, asks each whether it is ready, and lets a leaving
      one finish; the fleet's group is attached to it and alone says who is in it.
    - With a domain: TLS with the given certificate, port 80 sent there, and the domain's record where Alibaba Cloud DNS
      has the domain. Without: plain HTTP, for the addresses that the settings allow.
    - The addresses that may reach the listeners, where the settings name some.
    - Requests without a key, which a public address gets all day long, end here: they would keep GPUs awake.
    """

    def __init__(self, name: str, args: LoadBalancerArgs[AlicloudSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:alicloud:LoadBalancer", name, {}, opts)
        settings, access = args.settings, args.settings.access
        network, fleet = args.network, args.fleet
        assert isinstance(network, Network)
        assert isinstance(fleet, GpuFleet)
        child = pulumi.ResourceOptions(parent=self)
        self._settings, self._tags = settings, all_tags(settings, pulumi.get_stack())

        log = log_store(f"{name}-access-log", fleet.logs, ACCESS_LOG, settings.storage.log_days, child)
        balancer = self._balancer(name, network, fleet, log.logstore_name)
        nodes = self._nodes(name, network)
        ess.AlbServerGroupAttachment(
            f"{name}-nodes",
            scaling_group_id=fleet.group_id,
            alb_server_group_id=nodes.id,
            port=SERVER_PORT,
            weight=WEIGHT,
            # Nodes that are there already go in too.
            force_attach=True,
            opts=child,
        )

        if access.domain:
            listener = self._listener(f"{name}-https", balancer, nodes, 443, access.certificate)
            http = self._listener(f"{name}-http", balancer, nodes, 80, None)
            _rule(f"{name}-redirect", http, 10, _paths(["/*"]), _to_tls(), child)
            listeners = {"https": listener, "http": http}
            self.url = pulumi.Output.from_input(f"https://{access.domain}")
            self._record(name, balancer)
        else:
            listener = self._listener(f"{name}-http", balancer, nodes, 80, None)
            listeners = {"http": listener}
            self.url = pulumi.Output.concat("http://", balancer.dns_name)
        _rule(f"{name}-keyed", listener, 10, _with_key(), _to(nodes), child)
        _rule(f"{name}-health", listener, 20, _paths(PUBLIC_PATHS), _to(nodes), child)
        # A listener's own action can only forward, so that what no rule took is refused by one more.
        _rule(f"{name}-refuse", listener, 1000, _paths(["/*"]), _refuse(), child)
        self._only_from(name, listeners)

        self.health_url = pulumi.Output.concat(self.url, HEALTH_PATH)
        self.dns_name = balancer.dns_name
        self.balancer_id = balancer.id
        self.access_log = log.logstore_name
        self.register_outputs({"url": self.url, "healthUrl": self.health_url})

    def _balancer(self, name: str, network: Network, fleet: GpuFleet, log: pulumi.Input[str]) -> alb.LoadBalancer:
        protect = self._settings.protect
        return alb.LoadBalancer(
            f"{name}-lb",
            load_balancer_name=resource_name(self._settings, pulumi.get_stack(), "lb"),
            address_type="Internet",
            # Basic has no rules on headers and no drain.
            load_balancer_edition="Standard",
            load_balancer_billing_config=alb.LoadBalancerLoadBalancerBillingConfigArgs(pay_type="PayAsYouGo"),
            vpc_id=network.vpc_id,
            zone_mappings=[
                alb.LoadBalancerZoneMappingArgs(zone_id=zone, vswitch_id=vswitch)
                for zone, vswitch in network.load_balancer_vswitch_ids.items()
            ],
            access_log_config=alb.LoadBalancerAccessLogConfigArgs(log_project=fleet.logs.project_name, log_store=log),
            deletion_protection_config=alb.LoadBalancerDeletionProtectionConfigArgs(enabled=protect),
            tags=self._tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=protect,
                depends_on=[network],
                # The provider reads back what the service chose, and would make another one because none is asked for.
                ignore_changes=["addressAllocatedMode", "bandwidthPackageId"],
            ),
        )

    def _nodes(self, name: str, network: Network) -> alb.ServerGroup:
        return alb.ServerGroup(
            f"{name}-nodes",
            server_group_name=resource_name(self._settings, pulumi.get_stack(), "nodes"),
            server_group_type="Instance",
            vpc_id=network.vpc_id,
            protocol="HTTP",
            scheduler="Wlc",
            health_check_config=alb.ServerGroupHealthCheckConfigArgs(
                health_check_enabled=True,
                health_check_protocol="HTTP",
                health_check_method="GET",
                health_check_path=HEALTH_PATH,
                health_check_codes=["http_2xx"],
                health_check_interval=HEALTH_INTERVAL_SECONDS,
                health_check_timeout=HEALTH_TIMEOUT_SECONDS,
                healthy_threshold=HEALTHY_AFTER,
                unhealthy_threshold=UNHEALTHY_AFTER,
            ),
            connection_drain_config=alb.ServerGroupConnectionDrainConfigArgs(
                connection_drain_enabled=True, connection_drain_timeout=DRAIN_CONNECTIONS_SECONDS
            ),
            sticky_session_config=alb.ServerGroupStickySessionConfigArgs(sticky_session_enabled=False),
            tags=self._tags,
            # The scaling group says who is in it; an update that knew of none would empty it:
            # https://github.com/aliyun/terraform-provider-alicloud/issues/5671
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["servers"]),
        )

    def _listener(
        self, name: str, balancer: alb.LoadBalancer, nodes: alb.ServerGroup, port: int, certificate: str | None
    ) -> alb.Listener:
        """One that forwards; its rules come first."""
        return alb.Listener(
            name,
            load_balancer_id=balancer.id,
            listener_port=port,
            listener_protocol="HTTPS" if certificate else "HTTP",
            certificates=alb.ListenerCertificatesArgs(certificate_id=certificate) if certificate else None,
            security_policy_id=TLS_POLICY if certificate else None,
            request_timeout=REQUEST_TIMEOUT_SECONDS,
            idle_timeout=IDLE_TIMEOUT_SECONDS,
            # Audio is packed already, and a stream must not wait for a packer.
            gzip_enabled=False,
            x_forwarded_for_config=alb.ListenerXForwardedForConfigArgs(
                x_forwarded_for_enabled=True, x_forwarded_for_proto_enabled=True
            ),
            default_actions=[
                alb.ListenerDefaultActionArgs(
                    type="ForwardGroup",
                    forward_group_config=alb.ListenerDefaultActionForwardGroupConfigArgs(
                        server_group_tuples=[
                            alb.ListenerDefaultActionForwardGroupConfigServerGroupTupleArgs(server_group_id=nodes.id)
                        ]
                    ),
                )
            ],
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _record(self, name: str, balancer: alb.LoadBalancer) -> None:
        access = self._settings.access
        if access.hosted_zone is None or access.record_name is None:
            return
        dns.AlidnsRecord(
            f"{name}-domain",
            domain_name=access.hosted_zone,
            rr=access.record_name,
            type="CNAME",
            value=balancer.dns_name,
            # The shortest that a domain without a paid edition has.
            ttl=600,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _only_from(self, name: str, listeners: dict[str, alb.Listener]) -> None:
        """The listeners are open to `allowed_cidrs` alone; to everybody where none is named."""
        allowed = self._settings.access.allowed_cidrs
        if not allowed:
            return
        acl = alb.Acl(
            f"{name}-clients",
            acl_name=resource_name(self._settings, pulumi.get_stack(), "clients"),
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        entries = [
            alb.AclEntryAttachment(
                f"{name}-client-{cidr.replace('/', '-').replace('.', '-')}",
                acl_id=acl.id,
                entry=cidr,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for cidr in allowed
        ]
        for label, listener in listeners.items():
            alb.ListenerAclAttachment(
                f"{name}-{label}-clients",
                acl_id=acl.id,
                acl_type="White",
                listener_id=listener.id,
                # An empty list of those allowed lets everybody in.
                opts=pulumi.ResourceOptions(parent=self, depends_on=entries),
            )


def _with_key() -> alb.RuleRuleConditionArgs:
    """A header that names a key; whether it is a client's the server says."""
    return alb.RuleRuleConditionArgs(
        type="Header",
        header_config=alb.RuleRuleConditionHeaderConfigArgs(key="Authorization", values=["Bearer ?*"]),
    )


def _paths(paths: tuple[str, ...] | list[str]) -> alb.RuleRuleConditionArgs:
    return alb.RuleRuleConditionArgs(type="Path", path_config=alb.RuleRuleConditionPathConfigArgs(values=list(paths)))


def _to(nodes: alb.ServerGroup) -> alb.RuleRuleActionArgs:
    return alb.RuleRuleActionArgs(
        type="ForwardGroup",
        order=1,
        forward_group_config=alb.RuleRuleActionForwardGroupConfigArgs(
            server_group_tuples=[
                alb.RuleRuleActionForwardGroupConfigServerGroupTupleArgs(server_group_id=nodes.id, weight=WEIGHT)
            ]
        ),
    )


def _to_tls() -> alb.RuleRuleActionArgs:
    return alb.RuleRuleActionArgs(
        type="Redirect",
        order=1,
        redirect_config=alb.RuleRuleActionRedirectConfigArgs(protocol="HTTPS", port="443", http_code="301"),
    )


def _refuse() -> alb.RuleRuleActionArgs:
    return alb.RuleRuleActionArgs(
        type="FixedResponse",
        order=1,
        fixed_response_config=alb.RuleRuleActionFixedResponseConfigArgs(
            content=NO_KEY, content_type="application/json", http_code="401"
        ),
    )


def _rule(
    name: str,
    listener: alb.Listener,
    priority: int,
    condition: alb.RuleRuleConditionArgs,
    action: alb.RuleRuleActionArgs,
    opts: pulumi.ResourceOptions,
) -> None:
    alb.Rule(
        name,
        listener_id=listener.id,
        rule_name=name,
        priority=priority,
        rule_conditions=[condition],
        rule_actions=[action],
        opts=opts,
    )
