"""How events reach the client: the server's own event stream where it has one, else plain ASGI. Chosen once for each connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from fasterapi._native import open_event_stream
from fasterapi.connection_scope import Receive, Scope, Send
from fasterapi.sse.encoder import encode_comment, encode_event

EXTENSION = "fasterapi.sse"
PIECES_PER_TURN = 64
"""A server may take any number of pieces without waiting, also for a client that has left (uvicorn): after so many
the loop runs once, so that the watcher hears of it and other tasks are not starved."""


class EventStream(Protocol):
    """The body of one response. Its methods may be used from ``http.response.start`` on, ``on_disconnect`` and ``on_shutdown`` before."""

    def send(
        self, data: str | None, event: str | None, id: str | None, retry: int | None, /
    ) -> Awaitable[None]:
        """Writes an event, and waits while too much is queued for the client. Without data it only sets id and retry."""

    def comment(self, text: str, /) -> Awaitable[None]:
        """Writes comment lines."""

    def keep_alive(self, seconds: float, /) -> None:
        """From now on a ``: ping`` whenever nothing was sent for so long; 0 for none."""

    def on_disconnect(self, callback: Callable[[], None], /) -> None:
        """``callback`` is called once when the client has left."""

    def on_shutdown(self, callback: Callable[[], None], /) -> None:
        """``callback`` is called once when the server begins to stop, if it says so."""

    def statistics(self) -> dict[str, int]:
        """``events_sent``, ``bytes_sent`` (of events and comments)."""


def native_stream(scope: Scope, call: Send | Receive) -> EventStream | None:
    """This server's own, unless ``call`` is a middleware's, which is to see the messages."""
    return open_event_stream(call) if EXTENSION in (scope.get("extensions") or {}) else None


class PlainEventStream:
    """An ``EventStream`` on any ASGI server: a task watches for ``http.disconnect``, another one sends pings.

    ``stop()`` must be awaited in the end.

    Args:
        heard: this server's own, where a middleware sees what is sent but not what is received (Starlette's always do): it
            tells of the client's leaving without a task, and of the server's stop.
    """

    def __init__(self, receive: Receive, send: Send, heard: EventStream | None = None) -> None:
        self._heard = heard
        self._receive = receive
        self._send = send
        self._sending = asyncio.Lock()
        self._last_sent = 0.0
        self._pieces = 0
        self._events_sent = 0
        self._bytes_sent = 0
        self._tasks: set[asyncio.Task[None]] = set()  # also one that was cancelled and has not ended yet
        self._pinger: asyncio.Task[None] | None = None

    async def send(self, data: str | None, event: str | None, id: str | None, retry: int | None, /) -> None:
        await self.write(encode_event(data, event, id, retry))
        self._events_sent += 1

    async def comment(self, text: str, /) -> None:
        await self.write(encode_comment(text))

    async def write(self, body: bytes, more_body: bool = True) -> None:
        """One piece of the body. Pieces leave in the order of the calls."""
        async with self._sending:
            await self._send({"type": "http.response.body", "body": body, "more_body": more_body})
        self._bytes_sent += len(body)
        self._last_sent = asyncio.get_running_loop().time()
        self._pieces += 1
        if self._pieces % PIECES_PER_TURN == 0:
            await asyncio.sleep(0)

    def keep_alive(self, seconds: float, /) -> None:
        if self._pinger is not None:
            self._pinger.cancel()
        self._last_sent = asyncio.get_running_loop().time()
        self._pinger = self._begin(self._ping_when_idle(seconds)) if seconds else None

    def on_disconnect(self, callback: Callable[[], None], /) -> None:
        if self._heard is not None:
            self._heard.on_disconnect(callback)
        else:
            self._begin(self._watch(callback))

    def on_shutdown(self, callback: Callable[[], None], /) -> None:
        if self._heard is not None:  # ASGI has no message for it
            self._heard.on_shutdown(callback)

    def statistics(self) -> dict[str, int]:
        return {"events_sent": self._events_sent, "bytes_sent": self._bytes_sent}

    async def stop(self) -> None:
        """Returns when no task runs any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watch(self, callback: Callable[[], None]) -> None:
        # What is left of the request's body comes first.
        while (await self._receive())["type"] != "http.disconnect":
            pass
        callback()

    async def _ping_when_idle(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                silent = loop.time() - self._last_sent
                if silent < seconds:
                    await asyncio.sleep(seconds - silent)
                elif self._sending.locked():  # a slow client has enough to read
                    await asyncio.sleep(seconds)
                else:
                    await self.comment("ping")
        except OSError:
            pass
