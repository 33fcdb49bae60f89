"""The policy pack: hands what the engine is about to deploy to the rules, and their findings back.

A rule that says nothing of a value which a preview does not know yet is asked again when the update knows it, before
that resource is made. A rule that fails stops the preview or update.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from rules import RESOURCE_RULES, STACK_RULES
from rules.rule import UNKNOWN, Resource, ResourceRule, Stack, StackRule


def plain(value: Any) -> Any:
    """The engine's value with UNKNOWN for what is not known yet."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN


def check_resource(rule: ResourceRule, args: ResourceValidationArgs, report: ReportViolation) -> None:
    for problem in rule.check(Resource(args.resource_type, args.name, args.urn, plain(args.props)), stack_name()):
        report(f"{args.name}: {problem}", args.urn)


def check_stack(rule: StackRule, args: StackValidationArgs, report: ReportViolation) -> None:
    resources = tuple(
        Resource(
            one.resource_type,
            one.name,
            one.urn,
            plain(one.props),
            {name: tuple(other.urn for other in others) for name, others in one.property_dependencies.items()},
        )
        for one in args.resources
    )
    for resource, problem in rule.check(Stack(stack_name(), resources)):
        report(f"{resource.name}: {problem}" if resource else problem, resource.urn if resource else None)


def stack_name() -> str:
    """The stack that is analyzed. Known once the engine has configured the pack, so it is asked with each check."""
    return pulumi.get_stack()


PolicyPack(
    "indextts2",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        *(
            ResourceValidationPolicy(
                name=rule.name, description=rule.description, validate=partial(check_resource, rule)
            )
            for rule in RESOURCE_RULES
        ),
        *(
            StackValidationPolicy(name=rule.name, description=rule.description, validate=partial(check_stack, rule))
            for rule in STACK_RULES
        ),
    ],
)
