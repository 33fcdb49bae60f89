"""Whether an update changed anything, read from the summary that Pulumi prints."""

from __future__ import annotations

import re
from collections.abc import Sequence

_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def nothing_changed(lines: Sequence[str]) -> bool:
    """True when the last "Resources:" block counts unchanged resources and nothing else.

    The block looks like this, with the counts that are not zero:
    Resources:
        + 1 created
        3 unchanged
    """
    plain = [_COLOR.sub("", line).rstrip() for line in lines]
    starts = [index for index, line in enumerate(plain) if line == "Resources:"]
    if not starts:
        return False
    counts = []
    for line in plain[starts[-1] + 1 :]:
        if not line.startswith("    "):
            break
        counts.append(line.strip())
    return len(counts) == 1 and re.fullmatch(r"\d+ unchanged", counts[0]) is not None
