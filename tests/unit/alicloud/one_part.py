"""Settings of an Alibaba Cloud stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from components.settings import AlicloudSettings, load
from tests.unit.registered import register

__all__ = [
    "ACCOUNT",
    "DIGEST",
    "ENTERPRISE",
    "KEY",
    "LEAST",
    "PERSONAL",
    "alicloud_settings",
    "as_config",
    "register",
]

KEY = "k" * 40
ACCOUNT = "1234567890123456"
DIGEST = "sha256:" + "0" * 64
# The smallest stack that is one: the others' defaults, nothing to look up, no domain, a ready image.
LEAST: Mapping[str, Any] = {
    "target": "alicloud",
    "region": "cn-hangzhou",
    "accountId": ACCOUNT,
    "apiKeys": {"studio": KEY},
    "access": {"allowedCidrs": ["203.0.113.0/24"]},
    "zones": ["cn-hangzhou-h", "cn-hangzhou-i"],
    "instanceTypes": ["ecs.gn6i-c4g1.xlarge"],
    "image": f"registry.example.com/speech/server@{DIGEST}",
    "systemImage": "ubuntu_22_04_x64_100G_with_gpu_driver_and_cuda_alibase_20260101.vhd",
    "checks": False,
}
# A registry that an image can be built for.
ENTERPRISE: dict[str, str] = {
    "kind": "enterprise",
    "instanceId": "cri-0123456789abcdef",
    "host": "studio-registry.cn-hangzhou.cr.aliyuncs.com",
    "nodeHost": "studio-registry-vpc.cn-hangzhou.cr.aliyuncs.com",
    "namespace": "speech",
    "repository": "server",
}
PERSONAL: dict[str, str] = {
    "kind": "personal",
    "host": "registry.cn-hangzhou.aliyuncs.com",
    "namespace": "speech",
    "repository": "server",
    "user": "studio@example",
}


def as_config(**values: Any) -> dict[str, str]:
    """`LEAST` with `values`, as the CLI passes it."""
    return {
        f"indextts2:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in {**LEAST, **values}.items()
    }


def alicloud_settings(**values: Any) -> AlicloudSettings:
    """The settings of `LEAST` with `values`."""
    found = load("test", as_config(**values), is_secret=lambda _key: True)
    assert isinstance(found, AlicloudSettings)
    return found
