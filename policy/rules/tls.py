"""TLS: a production service answers nothing without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rules.rule import UNKNOWN, Resource, ResourceRule, Stack, StackRule, is_production

_AWS_LISTENER = "aws:lb/listener:Listener"
_ALB_LISTENER = "alicloud:alb/listener:Listener"
_AWS_RULE = "aws:lb/listenerRule:ListenerRule"
_ALB_RULE = "alicloud:alb/rule:Rule"
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
_AWS_OLD = ("ELBSecurityPolicy-2016-08", "ELBSecurityPolicy-2015-05")
_OLD_PARTS = ("TLS-1-0", "TLS-1-1")
# https://www.alibabacloud.com/help/en/slb/application-load-balancer/user-guide/tls-security-policies
_ALB_OLD = ("tls_cipher_policy_1_0", "tls_cipher_policy_1_1")


def no_tls(resource: Resource, stack: str) -> Iterator[str]:
    """A listener that does more without TLS than to send on to it, or takes a TLS older than 1.2."""
    if not is_production(stack):
        return
    if resource.type == _AWS_LISTENER:
        protocol, policy = resource.get("protocol"), resource.get("sslPolicy")
        actions = [_aws_redirects(action) for action in resource.items("defaultActions")]
        old = isinstance(policy, str) and (policy in _AWS_OLD or any(part in policy for part in _OLD_PARTS))
        # A listener that names no policy gets the vendor's oldest.
        old = old or (protocol in ("HTTPS", "TLS") and policy is None)
    elif resource.type == _ALB_LISTENER:
        # Its default action can only forward; the rule that redirects is looked for in `forward_without_tls`.
        protocol, policy = resource.get("listenerProtocol"), resource.get("securityPolicyId")
        actions = [True]
        # And here too: https://www.alibabacloud.com/help/en/slb/application-load-balancer/developer-reference/api-alb-2020-06-16-createlistener
        old = protocol == "HTTPS" and (policy is None or policy in _ALB_OLD)
    else:
        return
    if protocol is UNKNOWN:
        return
    if protocol not in ("HTTPS", "TLS", "QUIC") and not (actions and all(actions)):
        yield f"answers {protocol} without TLS; redirect it to HTTPS, with a certificate there"
    if old:
        yield f"takes TLS older than 1.2 (policy {policy!r}); use one of TLS 1.2 or newer"


def forward_without_tls(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """A rule that forwards from a listener without TLS, past its redirect, or a listener of Alibaba Cloud's without a
    rule that redirects everything."""
    if not is_production(stack.name):
        return
    for listener in stack.of_type(_ALB_LISTENER):
        rules = [one for one in stack.of_type(_ALB_RULE) if listener.urn in one.sources.get("listenerId", ())]
        if listener.get("listenerProtocol") == "HTTP" and not any(map(_redirects_everything, rules)):
            yield listener, "answers HTTP without TLS; give it a rule that redirects every path to HTTPS"
    for listeners, protocol, rules, source, actions, kinds in (
        (_AWS_LISTENER, "protocol", _AWS_RULE, "listenerArn", "actions", ("forward",)),
        (_ALB_LISTENER, "listenerProtocol", _ALB_RULE, "listenerId", "ruleActions", ("ForwardGroup",)),
    ):
        plain = {one.urn for one in stack.of_type(listeners) if one.get(protocol) == "HTTP"}
        for rule in stack.of_type(rules):
            if not plain & set(rule.sources.get(source, ())):
                continue
            if any(action.get("type") in kinds for action in rule.items(actions)):
                yield rule, "forwards to the nodes from a listener without TLS; hang it on the HTTPS one"


def _aws_redirects(action: Any) -> bool:
    return action.get("type") == "redirect" and (action.get("redirect") or {}).get("protocol") == "HTTPS"


def _redirects_everything(rule: Resource) -> bool:
    conditions = rule.items("ruleConditions")
    paths = [(one.get("pathConfig") or {}).get("values") or [] for one in conditions if one.get("type") == "Path"]
    if len(conditions) != 1 or not paths or "/*" not in paths[0]:
        return False
    actions = rule.items("ruleActions")
    return bool(actions) and all(
        # Without a protocol the vendor's default is HTTPS.
        action.get("type") == "Redirect" and (action.get("redirectConfig") or {}).get("protocol") in (None, "HTTPS")
        for action in actions
    )


NO_TLS = ResourceRule("no-tls", "Production answers over TLS 1.2 or newer alone.", no_tls)
FORWARD_WITHOUT_TLS = StackRule(
    "forward-without-tls", "Nothing is forwarded from a production listener without TLS.", forward_without_tls
)
