"""Cancellations of a handler: by the client's leaving, by the server's stop, and in which order they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fasterapi.sse.departure import Departure


async def begin(
    cleaning_up: asyncio.Event, may_end: asyncio.Event, grace: float
) -> tuple[asyncio.Task[str], Departure]:
    """A handler that takes its time to clean up once it is cancelled."""

    async def handler() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cleaning_up.set()
            await may_end.wait()
        return "cleaned up"

    task = asyncio.create_task(handler())
    await asyncio.sleep(0)
    return task, Departure(task, grace)


@pytest.mark.parametrize("first", ["client", "server"])
def test_who_comes_second_does_not_cut_the_cleaning_up_short(run: Callable[..., Any], first: str) -> None:
    async def main() -> str:
        cleaning_up, may_end = asyncio.Event(), asyncio.Event()
        task, departure = await begin(cleaning_up, may_end, grace=3600)
        steps = [departure.client_left, lambda: departure.server_stops(0)]
        for step in steps if first == "client" else reversed(steps):
            step()
            await cleaning_up.wait()
        assert departure.left
        may_end.set()
        try:
            return await task
        finally:
            departure.end()

    assert run(main()) == "cleaned up"


def test_one_that_goes_on_after_its_grace_is_cancelled_again(run: Callable[..., Any]) -> None:
    async def main() -> bool:
        cleaning_up, never = asyncio.Event(), asyncio.Event()
        task, departure = await begin(cleaning_up, never, grace=0)
        departure.client_left()
        await asyncio.wait([task])
        departure.end()
        return cleaning_up.is_set() and task.cancelled()

    assert run(main())
