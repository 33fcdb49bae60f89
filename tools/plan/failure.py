"""Why a preview or update failed, and what to do about it."""

from __future__ import annotations

import re

# What is found in the engine's and the clouds' own words -> what it is and what to do. The first that fits counts.
_KNOWN = (
    (
        r"currently locked by",
        "The stack is locked by an update that is at work, or by one that was killed.",
        "Wait until it is done; who holds the lock is said below. If that process is gone: docs/state.md, stale lock.",
    ),
    (
        r"ExpiredToken|token included in the request is expired|SecurityTokenExpired|InvalidSecurityToken\.Expired",
        "The credentials have expired.",
        "Run the job again: it gets new ones. If they always expire before it ends, lengthen the role's session.",
    ),
    (
        r"no EC2 IMDS role found|NoCredentialProviders|[Nn]o valid credential|failed to refresh cached credentials"
        r"|Unable to locate credentials|credentials in use are not valid|can not get credential|InvalidClientTokenId"
        r"|InvalidAccessKeyId",
        "There are no valid credentials for the cloud.",
        "In a workflow: is the role's ARN set, and may this repository take it on (docs/pull-requests.md)? A fork's "
        "pull request never gets any. On your own machine: log in to the cloud, then run this again.",
    ),
    (
        r"no stack named",
        "There is no such stack where the state is kept.",
        "Make it once with `make state STACK=NAME` (docs/state.md), or choose the backend that has it.",
    ),
    (
        r"passphrase must be set|incorrect passphrase",
        "The stack's secrets cannot be opened: the passphrase is missing or wrong.",
        "Give PULUMI_CONFIG_PASSPHRASE_FILE, or move the stack to a key service with `make state` (docs/state.md).",
    ),
    (
        r"kms:Decrypt|KMS.*AccessDenied|AccessDeniedException.*[Kk][Mm][Ss]",
        "The stack's secrets cannot be opened: the key service refuses.",
        "Let the role use the stack's key, see docs/state.md.",
    ),
    (
        r"NoSuchBucket|\.pulumi/meta\.yaml",
        "The state cannot be read.",
        "Does the bucket of the state exist, and may these credentials read it? docs/state.md lists what is needed.",
    ),
    (
        r"policy pack|[Aa]nalyzer|pulumi-analyzer",
        "The policy pack could not run, so nothing was approved.",
        "Run `make policy` to see why; the rules are never skipped.",
    ),
    (
        r"settings cannot be used",
        "The stack's settings cannot be used.",
        "Correct the keys that are named below, in the stack's file.",
    ),
)


def explain(text: str) -> tuple[str, str]:
    """(what it is, what to do) of a failure's text; a general pair for one that is not known."""
    for pattern, what, remedy in _KNOWN:
        if re.search(pattern, text):
            return what, remedy
    return "The preview failed.", "What the engine said is below; `make preview STACK=NAME` shows all of it."
