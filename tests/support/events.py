"""Requests whose handler opens an event stream, and what it told; for the tests of the extension ``fasterapi.sse``."""

from __future__ import annotations

import asyncio
import queue

from fasterapi import open_event_stream
from support.wire import TIMEOUT

INTERVAL = 0.2
PING = b": ping\n"
HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
END = {"type": "http.response.body", "body": b""}
LEFT = "ClientDisconnected: the client has disconnected"


async def outcome(awaitable):
    try:
        return await awaitable
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class Events:
    """Requests to ``/`` are answered by the handler, which goes on behind a gate when ``/open`` is asked for.

    ``/pings`` is answered when a stream of its own has had three pings: then any other had time for some.
    """

    def __init__(self, in_process, handler, **config):
        self.handler = handler
        self.told = queue.Queue()
        self.gate = None
        self.server = in_process(self.app, lifespan="off", **config)

    async def app(self, scope, receive, send):
        if self.gate is None:
            self.gate = asyncio.Semaphore(0)
        if scope["path"] == "/open":
            self.gate.release()
            await send({**HEAD, "headers": [(b"content-length", b"0")]})
            await send(END)
        elif scope["path"] == "/pings":
            await self.pings(open_event_stream(send), send)
        else:
            await self.handler(self, scope, receive, send)

    async def pings(self, stream, send):
        await send(HEAD)
        stream.keep_alive(INTERVAL)
        while stream.statistics()["bytes_sent"] < 3 * len(PING):  # noqa: ASYNC110 (pings are the server's)
            await asyncio.sleep(0.01)
        await send(END)

    async def opened(self):
        await asyncio.wait_for(self.gate.acquire(), TIMEOUT)

    def open(self):
        with self.server.connect() as connection:
            assert connection.get("/open").status == 200

    def wait_for_pings(self):
        with self.server.connect() as connection:
            assert connection.get("/pings").body == PING * 3

    def tell(self, value):
        self.told.put(value)

    def hear(self):
        return self.told.get(timeout=TIMEOUT)

    def begin(self, **options):
        """A connection on which the answer's head has come."""
        connection = self.server.connect(**options)
        connection.request("GET", "/")
        connection.head()
        return connection

    def whole(self, method="GET"):
        with self.server.connect() as connection:
            return connection.ask(method, "/").body


def leave(connection, how):
    {"fin": connection.close, "reset": connection.reset}[how]()
