"""What must never be deployed from this program, for every cloud that it knows.

A rule is a pure function of plain data: a resource's inputs, or all resources of the stack. Which cloud a resource is
of its type says.
"""

from rules import buckets, budget, disks, gpus, permissions, ports, public_policies, tls
from rules.rule import ResourceRule, StackRule

RESOURCE_RULES: tuple[ResourceRule, ...] = (
    buckets.PUBLIC_BUCKET,
    public_policies.PUBLIC_POLICY,
    ports.OPEN_PORT,
    tls.NO_TLS,
    disks.UNENCRYPTED_DISK,
    permissions.WILDCARD_PERMISSION,
)
STACK_RULES: tuple[StackRule, ...] = (
    buckets.UNGUARDED_BUCKET,
    tls.FORWARD_WITHOUT_TLS,
    budget.NO_BUDGET,
    gpus.GPU_WITHOUT_END,
)
