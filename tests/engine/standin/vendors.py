"""Which vendor's resource a token names."""

from __future__ import annotations

from collections.abc import Mapping

from tests.engine.standin.alicloud import ALICLOUD
from tests.engine.standin.aws import AWS
from tests.engine.standin.vendor import Vendor

VENDORS: Mapping[str, Vendor] = {
    "aws": AWS,
    "alicloud": ALICLOUD,
    # An image belongs to no region, and every change of it is a push to the same name.
    "docker": Vendor(
        replacing={"docker:index/image:Image": frozenset()},
        regional=lambda _schema: False,
        moving={"docker:index/image:Image": ("repoDigest",)},
    ),
}


def vendor_of(token: str) -> Vendor:
    return VENDORS[token.partition(":")[0]]
