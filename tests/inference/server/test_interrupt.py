"""Ending a wait from outside: in the middle, at the very end, and together with a real cancel."""

from __future__ import annotations

import asyncio

import pytest

from speech_server.interrupt import Interrupt


class TooLongError(Exception):
    pass


class TestInterrupt:
    def test_the_work_is_cancelled_and_the_reason_raised(self) -> None:
        async def scenario() -> None:
            ended = []

            async def work() -> None:
                try:
                    await asyncio.sleep(60)
                finally:
                    ended.append(True)

            interrupt = Interrupt()
            asyncio.get_running_loop().call_soon(interrupt, TooLongError())
            with pytest.raises(TooLongError):
                await interrupt.run(work())
            assert ended
            await asyncio.sleep(0)  # nothing of the cancel is left
            async with asyncio.Lock():
                await asyncio.wait_for(asyncio.sleep(0), 1)

        asyncio.run(scenario())

    def test_what_comes_in_the_last_moment_leaves_no_cancel_behind(self) -> None:
        async def scenario() -> None:
            interrupt = Interrupt()

            async def work() -> str:
                interrupt(TooLongError())
                return "done"

            with pytest.raises(TooLongError):
                await interrupt.run(work())
            await asyncio.sleep(0)

            async def fails() -> None:
                again(TooLongError())
                raise ValueError("its own")

            again = Interrupt()
            with pytest.raises(ValueError, match="its own"):
                await again.run(fails())
            await asyncio.sleep(0)

        asyncio.run(scenario())

    def test_what_comes_too_late_does_nothing(self) -> None:
        async def scenario() -> None:
            interrupt = Interrupt()
            assert await interrupt.run(asyncio.sleep(0, "done")) == "done"
            interrupt(TooLongError())
            await asyncio.sleep(0)

        asyncio.run(scenario())

    def test_a_real_cancel_stays_one(self) -> None:
        async def scenario() -> None:
            interrupt = Interrupt()
            task = asyncio.create_task(interrupt.run(asyncio.sleep(60)))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(scenario())
