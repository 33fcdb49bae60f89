"""The load balancer on AWS."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components import contracts
from components.aws.bucket import private_bucket
from components.aws.certificate import issued_certificate
from components.aws.fleet import GpuFleet
from components.aws.iam import access_log_statements
from components.aws.network import Network
from components.aws.timing import (
    DEREGISTRATION_SECONDS,
    HEALTH_INTERVAL_SECONDS,
    HEALTH_TIMEOUT_SECONDS,
    HEALTHY_AFTER,
    IDLE_TIMEOUT_SECONDS,
    UNHEALTHY_AFTER,
)
from components.contracts import SERVER_PORT, LoadBalancerArgs
from components.lifecycle import LifecycleRule
from components.no_key import NO_KEY
from components.settings import AwsSettings

HEALTH_PATH = "/readyz"
PUBLIC_PATHS = ("/healthz", "/readyz")
# TLS 1.3 and 1.2 with forward secrecy and authenticated ciphers only:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"


class LoadBalancer(contracts.LoadBalancer):
    """- An access log, and an Application Load Balancer that writes it.
    - A target group that sends a request to the node with the fewest, asks each whether it is ready, and lets a
      leaving one finish; the fleet's group is attached to it.
    - With a domain: TLS by the given certificate or by one issued and proved in the hosted zone, port 80 sent there,
      and the domain's record. Without: plain HTTP, for the addresses that the settings allow.
    - Requests without a key, which a public address gets all day long, end here: they would keep GPUs awake.
    """

    def __init__(self, name: str, args: LoadBalancerArgs[AwsSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:aws:LoadBalancer", name, {}, opts)
        settings, access = args.settings, args.settings.access
        assert isinstance(args.network, Network)
        assert isinstance(args.fleet, GpuFleet)
        child = pulumi.ResourceOptions(parent=self)

        log, may_write = private_bucket(
            f"{name}-access-log",
            [LifecycleRule("access-log", "", settings.storage.log_days, noncurrent=1)],
            child,
            force_destroy=settings.storage.force_destroy,
            statements=access_log_statements(),
        )
        balancer = aws.lb.LoadBalancer(
            f"{name}-lb",
            load_balancer_type="application",
            internal=False,
            security_groups=[args.network.load_balancer_security_group_id],
            subnets=args.network.load_balancer_subnet_ids,
            idle_timeout=IDLE_TIMEOUT_SECONDS,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_http2=True,
            enable_deletion_protection=settings.protect,
            access_logs=aws.lb.LoadBalancerAccessLogsArgs(bucket=log.bucket, enabled=True),
            # AWS refuses a load balancer whose network has no way in, or whose log it may not write.
            opts=pulumi.ResourceOptions(parent=self, protect=settings.protect, depends_on=[may_write, args.network]),
        )
        nodes = aws.lb.TargetGroup(
            f"{name}-tg",
            vpc_id=args.network.vpc_id,
            port=SERVER_PORT,
            protocol="HTTP",
            target_type="instance",
            load_balancing_algorithm_type="least_outstanding_requests",
            deregistration_delay=DEREGISTRATION_SECONDS,
            health_check=aws.lb.TargetGroupHealthCheckArgs(
                path=HEALTH_PATH,
                matcher="200",
                interval=HEALTH_INTERVAL_SECONDS,
                timeout=HEALTH_TIMEOUT_SECONDS,
                healthy_threshold=HEALTHY_AFTER,
                unhealthy_threshold=UNHEALTHY_AFTER,
            ),
            opts=child,
        )
        aws.autoscaling.Attachment(
            f"{name}-nodes",
            autoscaling_group_name=args.fleet.label,
            lb_target_group_arn=nodes.arn,
            opts=child,
        )

        if access.domain:
            listener = _tls_listeners(name, settings, balancer, access.domain, child)
            self.url = pulumi.Output.from_input(f"https://{access.domain}")
        else:
            listener = aws.lb.Listener(
                f"{name}-http",
                load_balancer_arn=balancer.arn,
                port=80,
                protocol="HTTP",
                default_actions=[_refuse()],
                opts=child,
            )
            self.url = pulumi.Output.concat("http://", balancer.dns_name)
        _forward(f"{name}-keyed", listener, 10, _with_key(), nodes, child)
        _forward(f"{name}-health", listener, 20, _public_pages(), nodes, child)

        self.health_url = pulumi.Output.concat(self.url, HEALTH_PATH)
        self.dns_name = balancer.dns_name
        self.arn_suffix = balancer.arn_suffix
        self.target_group_suffix = nodes.arn_suffix
        self.register_outputs({"url": self.url, "healthUrl": self.health_url})


def _tls_listeners(
    name: str,
    settings: AwsSettings,
    balancer: aws.lb.LoadBalancer,
    domain: str,
    opts: pulumi.ResourceOptions,
) -> aws.lb.Listener:
    """Port 443, port 80 that sends there, and the domain's record where the zone is known."""
    access = settings.access
    certificate: pulumi.Input[str]
    if access.certificate:
        certificate = access.certificate
    else:
        assert access.hosted_zone is not None
        certificate = issued_certificate(name, domain, access.hosted_zone, opts)
    if access.hosted_zone:
        aws.route53.Record(
            f"{name}-domain",
            zone_id=access.hosted_zone,
            name=domain,
            type="A",
            aliases=[
                aws.route53.RecordAliasArgs(
                    name=balancer.dns_name, zone_id=balancer.zone_id, evaluate_target_health=False
                )
            ],
            opts=opts,
        )
    aws.lb.Listener(
        f"{name}-http",
        load_balancer_arn=balancer.arn,
        port=80,
        protocol="HTTP",
        default_actions=[
            aws.lb.ListenerDefaultActionArgs(
                type="redirect",
                redirect=aws.lb.ListenerDefaultActionRedirectArgs(protocol="HTTPS", port="443", status_code="HTTP_301"),
            )
        ],
        opts=opts,
    )
    return aws.lb.Listener(
        f"{name}-https",
        load_balancer_arn=balancer.arn,
        port=443,
        protocol="HTTPS",
        ssl_policy=TLS_POLICY,
        certificate_arn=certificate,
        routing_http_response_server_enabled=False,
        routing_http_response_strict_transport_security_header_value="max-age=31536000",
        default_actions=[_refuse()],
        opts=opts,
    )


def _refuse() -> aws.lb.ListenerDefaultActionArgs:
    return aws.lb.ListenerDefaultActionArgs(
        type="fixed-response",
        fixed_response=aws.lb.ListenerDefaultActionFixedResponseArgs(
            content_type="application/json", status_code="401", message_body=NO_KEY
        ),
    )


def _with_key() -> aws.lb.ListenerRuleConditionArgs:
    """A header that names a key; whether it is a client's the server says."""
    return aws.lb.ListenerRuleConditionArgs(
        http_header=aws.lb.ListenerRuleConditionHttpHeaderArgs(http_header_name="Authorization", values=["Bearer ?*"])
    )


def _public_pages() -> aws.lb.ListenerRuleConditionArgs:
    return aws.lb.ListenerRuleConditionArgs(
        path_pattern=aws.lb.ListenerRuleConditionPathPatternArgs(values=list(PUBLIC_PATHS))
    )


def _forward(
    name: str,
    listener: aws.lb.Listener,
    priority: int,
    condition: aws.lb.ListenerRuleConditionArgs,
    nodes: aws.lb.TargetGroup,
    opts: pulumi.ResourceOptions,
) -> None:
    aws.lb.ListenerRule(
        name,
        listener_arn=listener.arn,
        priority=priority,
        conditions=[condition],
        actions=[aws.lb.ListenerRuleActionArgs(type="forward", target_group_arn=nodes.arn)],
        opts=opts,
    )
