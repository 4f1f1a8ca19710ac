"""How the loop's bridge finishes a step: at once, or in a coroutine once it has to wait."""

from __future__ import annotations

import asyncio
from types import CoroutineType
from typing import Any

import pytest

from carboy.bridges import INLINE_BRIDGE, LOOP_BRIDGE, WSGI_BRIDGE, surely


async def value() -> str:
    return "value"


async def late() -> str:
    await asyncio.sleep(0)
    return "late"


async def failing() -> str:
    await asyncio.sleep(0)
    raise KeyError("late")


async def handing_on() -> Any:
    return value()


@pytest.mark.parametrize("bridge", [LOOP_BRIDGE, INLINE_BRIDGE])
def test_a_step_that_waits_for_nothing_gives_its_value(bridge: Any) -> None:
    assert bridge.finish(value()) == "value"


def test_a_step_that_waits_gives_a_coroutine() -> None:
    async def run() -> None:
        rest = LOOP_BRIDGE.finish(late())
        assert type(rest) is CoroutineType
        assert await rest == "late"
        with pytest.raises(KeyError, match="late"):
            await LOOP_BRIDGE.finish(failing())

    asyncio.run(run())


def test_a_coroutine_as_a_value_is_no_step() -> None:
    """It is given as it is, to be refused by whoever looks at values."""

    async def run() -> None:
        given = await LOOP_BRIDGE.finish(handing_on())
        assert type(given) is CoroutineType
        given.close()

    asyncio.run(run())


def test_other_awaitables_are_awaited() -> None:
    async def run() -> None:
        future = asyncio.get_running_loop().create_future()
        future.set_result("done")
        assert await LOOP_BRIDGE.finish(future) == "done"

    asyncio.run(run())


def test_under_wsgi_a_step_has_ended() -> None:
    assert WSGI_BRIDGE.finish(late()) == "late"
    with pytest.raises(KeyError, match="late"):
        WSGI_BRIDGE.finish(failing())


def test_a_waiting_step_is_cancelled_with_its_task() -> None:
    seen: list[str] = []

    async def step() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def run() -> None:
        task = asyncio.ensure_future(LOOP_BRIDGE.finish(step()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert seen == ["cancelled"]


def test_a_step_at_the_end_is_begun_only_if_it_cannot_wait() -> None:
    """Another one goes into a task of its own, which its timeouts have to find from the start."""

    async def with_timeout() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "never"

    async def looping() -> None:
        async for _ in asyncio.StreamReader():
            pass

    async def run() -> None:
        assert LOOP_BRIDGE.conclude(value()) == "value"
        for function in (late, with_timeout, looping):
            step = function()
            assert LOOP_BRIDGE.conclude(step) is step
            if function is with_timeout:
                assert await surely(step) == "timed out"
            else:
                step.close()

    asyncio.run(run())
