"""What resources are called, where Alibaba Cloud gives them no name by itself."""

from __future__ import annotations

import hashlib
import re

from components.settings import AlicloudSettings

# Of a bucket and of a log project, the two that are unique across all accounts and the strictest:
# https://www.alibabacloud.com/help/en/oss/user-guide/bucket-naming-conventions
# https://www.alibabacloud.com/help/en/sls/developer-reference/api-createproject
LONGEST = 63
_DIGEST = 8


def resource_name(settings: AlicloudSettings, stack: str, label: str) -> str:
    """`speech-STACK-LABEL-DIGEST`: 3 to 63 lower-case letters, digits and hyphens, a letter first.

    The digest is of account, region and stack: the same name never means two things, in no account and in no region,
    so that what a stack makes in another region does not wait for what it leaves behind. A long stack is cut short.
    Raises ValueError for a label that leaves no room.
    """
    digest = hashlib.sha256(f"{settings.account}\0{settings.region}\0{stack}".encode()).hexdigest()[:_DIGEST]
    room = LONGEST - len(f"speech---{label}{digest}")
    if room < 1 or not re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", label):
        raise ValueError(f"{label!r} is no label of a resource")
    own = re.sub(r"[^a-z0-9]+", "-", stack.lower())[:room].strip("-") or "stack"[:room]
    return f"speech-{own}-{label}-{digest}"
