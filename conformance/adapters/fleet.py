"""The senders and receivers of a load, as clients of one server's workers; see ``outages``."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable

from websockets.asyncio.client import ClientConnection, connect

from conformance.adapters.apps import BEGUN, LOST, SLOW
from conformance.adapters.sequences import Received, Sent
from conformance.reliability.server import Server
from fasterapi import sse_connect

WORKERS = 2
SENDERS = 2
RECEIVERS = 3
"""Of each worker, at least; receivers of events choose none."""
AT_ONCE = 40
TRIES = 50
"""How often so many connections come until each worker has taken some."""
PATIENCE = 60.0


class Fleet:
    """Owns the connections, and the tasks that read them, as long as it is entered. ``kind``: ``channel`` or ``history``."""

    def __init__(self, server: Server, kind: str) -> None:
        self._address = f"127.0.0.1:{server.port}"
        self._kind = kind
        self._stack = contextlib.AsyncExitStack()
        self._senders: dict[str, ClientConnection] = {}
        self.receivers: list[Received] = []

    async def __aenter__(self) -> Fleet:
        async with self._stack:
            if self._kind == "channel":
                streams = [
                    messages(each) for each in await self._on_every_worker(f"/subscribe?{LOST}=1", RECEIVERS)
                ]
            else:
                streams = [events(f"http://{self._address}/follow") for _ in range(WORKERS * RECEIVERS)]
            senders = await self._on_every_worker(f"/load?to={self._kind}", SENDERS)
            self._senders = {f"sender{number}": each for number, each in enumerate(senders)}
            await asyncio.gather(*(self._receive(stream) for stream in streams))
            for name, each in self._senders.items():
                await each.send(name)
            self._stack = self._stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def until(self, condition: Callable[[Received], bool], limit: float = PATIENCE) -> bool:
        """Waits for it to be true of every receiver."""
        deadline = asyncio.get_running_loop().time() + limit
        while not all(map(condition, self.receivers)):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def stop_sending(self) -> dict[str, Sent]:
        """What each sender has sent in all."""
        for each in self._senders.values():
            await each.send("stop")
        said = {name: json.loads(await each.recv()) for name, each in self._senders.items()}
        return {name: Sent(each["count"], set(each["failed"])) for name, each in said.items()}

    async def _on_every_worker(self, path: str, count: int) -> list[ClientConnection]:
        """WebSockets, so many of each worker, whose number is the first message. Many come at once, since an idle worker takes
        all that come one after the other."""
        found: list[ClientConnection] = []
        taken: Counter[str] = Counter()
        for _ in range(TRIES):
            batch = await asyncio.gather(*(self._connect(path) for _ in range(AT_ONCE)))
            surplus = []
            for one in batch:
                process = str(await one.recv())
                wanted = taken[process] < count
                taken[process] += wanted
                (found if wanted else surplus).append(one)
            await asyncio.gather(*(one.close() for one in surplus))
            if len(found) == WORKERS * count:
                return found
        raise AssertionError(f"{TRIES * AT_ONCE} connections came to the workers {dict(taken)}")

    async def _connect(self, path: str) -> ClientConnection:
        url = f"ws://{self._address}{path}"
        connection = await connect(url, proxy=None, compression=None, ping_interval=None, close_timeout=1)
        self._stack.push_async_callback(connection.close)
        return connection

    async def _receive(self, stream: AsyncGenerator[str, None]) -> None:
        """Begins to read it; returns when the stream has begun."""
        received = Received()
        self.receivers.append(received)
        assert await anext(stream) == BEGUN

        async def read() -> None:
            async for message in stream:
                if message in (LOST, SLOW):
                    received.lost(set(self._senders), by_outage=message == LOST)
                else:
                    received.message(message)

        task = asyncio.create_task(read())
        self._stack.push_async_callback(_end, task)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def messages(connection: ClientConnection) -> AsyncGenerator[str, None]:
    yield BEGUN
    async for message in connection:
        yield str(message)


async def events(url: str) -> AsyncGenerator[str, None]:
    async with sse_connect(url, retry=0.0) as source:
        async for event in source:
            yield str(event.data)
