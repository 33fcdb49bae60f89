"""Settings of an AWS stack, and one part of it registered without an engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
from pulumi.runtime import config, mocks, settings, stack

from components.settings import AwsSettings, load
from tests.recorder import Recorder

KEY = "k" * 40
# The smallest stack that is one: the others' defaults, nothing to look up, no domain.
LEAST: Mapping[str, Any] = {
    "target": "aws",
    "apiKeys": {"studio": KEY},
    "access": {"allowedCidrs": ["203.0.113.0/24"]},
    "zones": ["us-west-2a", "us-west-2b"],
    "ami": "ami-0123456789abcdef0",
    "checks": False,
}


def as_config(**values: Any) -> dict[str, str]:
    """`LEAST` with `values`, as the CLI passes it."""
    return {
        f"indextts2:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in {**LEAST, **values}.items()
    }


def aws_settings(**values: Any) -> AwsSettings:
    """The settings of `LEAST` with `values`."""
    found = load("test", as_config(**values), is_secret=lambda _key: True)
    assert isinstance(found, AwsSettings)
    return found


def register(
    make: Callable[[], Mapping[str, Any]],
    *,
    preview: bool = False,
    calls: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Recorder, dict[str, Any]]:
    """What `make` registers, and the values of the outputs that it returns; a secret one as {"secret": value}."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        settings.reset_options()
        config.set_all_config({}, [])
        recorder = Recorder({}, calls or {})
        mocks.set_mocks(recorder.mocks, project="indextts2", stack="test", preview=preview, monitor=recorder)
        made: dict[str, Any] = {}

        async def program() -> dict[str, Any]:
            await stack.run_pulumi_func(lambda: made.update(make()))
            return {name: await _value(output) for name, output in made.items()}

        values = loop.run_until_complete(program())
    finally:
        loop.close()
        asyncio.set_event_loop(None)
    assert not recorder.refused, recorder.refused
    return recorder, values


async def _value(output: Any) -> Any:
    if not isinstance(output, pulumi.Output):
        return output
    value = await output.future()
    return {"secret": value} if await output.is_secret() else value
