"""An event stream on plain ASGI, by a server that is slow to let go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fasterapi.sse.wire import PlainEventStream


def test_nothing_runs_when_it_has_stopped(run: Callable[..., Any]) -> None:
    """Not even a ping that was stopped before, in the middle of being sent. ``run`` looks for tasks."""

    async def main() -> None:
        sending = asyncio.Event()

        async def send(message: Any) -> None:
            sending.set()
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(50):
                    await asyncio.sleep(0)

        async def receive() -> Any:
            await asyncio.Event().wait()

        stream = PlainEventStream(receive, send)
        stream.on_disconnect(sending.clear)
        stream.keep_alive(0.001)
        await sending.wait()
        stream.keep_alive(0)
        await stream.stop()
        assert sending.is_set()

    run(main())
