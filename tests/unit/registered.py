"""One part of any target registered without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
from pulumi.runtime import config, mocks, settings, stack

from tests.recorder import Recorder


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
