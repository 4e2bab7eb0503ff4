"""The load client of the benchmarks' WebSocket rows against a server that others wrote: it counts what really came
back, and whatever is not as it must be ends it with a word about that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import Counter
from pathlib import Path

import pytest
from websockets.asyncio.server import broadcast, serve

from benchmarks.process import Failed
from benchmarks.rows import WebSocketRow
from benchmarks.websocket_load import client

BUILD = Path(__file__).resolve().parents[2] / "build" / os.environ.get("FASTERAPI_SANITIZER", "dev")
EXECUTABLE = BUILD / "benchmarks" / "fasterapi_websocket_load"
LOAD = 0.2


class Server:
    """A ``websockets`` server in a thread; ``seen`` counts messages, ``handler(server, connection)`` is its application."""

    def __init__(self, handler, **options):
        self.seen = Counter()
        self.connections = set()
        self._handler = handler
        self._options = options
        self._port = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self):
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with serve(self._connected, "127.0.0.1", 0, **self._options) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._port.set()
            await self._end.wait()

    async def _connected(self, connection):
        self.connections.add(connection)
        await self._handler(self, connection)

    def __enter__(self):
        self._thread.start()
        assert self._port.wait(10)
        return self

    def __exit__(self, *exception):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)


async def echo(server, connection):
    async for message in connection:
        server.seen["messages"] += 1
        server.seen["bytes"] += len(message)
        server.seen[type(message)] += 1
        await connection.send(message)


async def send_to_all(server, connection):
    async for message in connection:
        server.seen["messages"] += 1
        broadcast(server.connections, message)


async def send_three_times(server, connection):
    async for message in connection:
        server.seen["messages"] += 1
        for _ in range(3):
            await connection.send(message)


async def ping_then_echo(server, connection):
    async for message in connection:
        await (await connection.ping(b"are you there"))
        server.seen["pongs"] += 1
        await connection.send(message)


async def change_the_end(server, connection):
    async for message in connection:
        await connection.send(message[:-1] + "~")


async def send_in_fragments(server, connection):
    async for message in connection:
        server.seen["messages"] += 1
        await connection.send([message[:10], message[10:11], message[11:]])


async def close_at_the_first_message(server, connection):
    await connection.recv()


def row(**values):
    return WebSocketRow("", "", "", **{"size": 64, "connections": 5, **values})


@contextlib.contextmanager
def loaded(handler, load_row, **options):
    with Server(handler, **options) as server, client(EXECUTABLE, server.port, load_row, LOAD) as load:
        yield server, load


@pytest.mark.parametrize(
    ("load_row", "kind"),
    [
        (row(), str),
        (row(size=16 * 1024, kind="binary"), bytes),
        (row(size=1024 * 1024, kind="binary"), bytes),
        (row(size=1024, kind="deflate"), str),
        (row(size=64, kind="json"), str),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_counts_the_messages_that_came_back(load_row, kind):
    compression = "deflate" if load_row.kind == "deflate" else None
    with loaded(echo, load_row, compression=compression, max_size=None) as (server, load):
        messages = load.run(LOAD)["messages"]
    assert messages >= load_row.connections
    assert server.seen == {"messages": messages, "bytes": messages * load_row.size, kind: messages}


def test_each_line_is_a_load_of_its_own():
    with loaded(echo, row()) as (server, load):
        messages = [load.run(LOAD)["messages"] for _ in range(3)]
    assert min(messages) >= 5
    assert server.seen["messages"] == sum(messages)


def test_lasts_as_long_as_it_is_told_to():
    with loaded(echo, row()) as (_, load):
        assert load.run(LOAD)["duration_us"] >= LOAD * 1e6


def test_fan_out_counts_receivers():
    with loaded(send_to_all, row(fanout=True)) as (server, load):
        assert load.run(LOAD)["messages"] == 5 * server.seen["messages"] > 0


def test_copies_are_waited_for():
    with loaded(send_three_times, row(copies=3)) as (server, load):
        assert load.run(LOAD)["messages"] == 3 * server.seen["messages"] > 0


def test_pings_are_answered():
    with loaded(ping_then_echo, row()) as (server, load):
        assert load.run(LOAD)["messages"] == server.seen["pongs"] > 0


@pytest.mark.parametrize("kind", ["text", "deflate"])
def test_fragments_are_one_message(kind):
    compression = "deflate" if kind == "deflate" else None
    with loaded(send_in_fragments, row(kind=kind), compression=compression) as (server, load):
        assert load.run(LOAD)["messages"] == server.seen["messages"] > 0


@pytest.mark.parametrize(
    ("handler", "load_row", "reason"),
    [
        (change_the_end, row(), "differs"),
        (change_the_end, row(kind="deflate"), "differs"),
        (send_three_times, row(copies=2), "more messages|differs"),
        (close_at_the_first_message, row(), "closed by the server"),
    ],
)
def test_what_is_wrong_fails_the_load(handler, load_row, reason):
    with loaded(handler, load_row) as (_, load), pytest.raises(Failed, match=reason):
        load.run(LOAD)


def test_a_server_without_deflate_fails_its_row():
    with (
        pytest.raises(Failed, match="permessage-deflate is not negotiated"),
        loaded(echo, row(kind="deflate"), compression=None),
    ):
        pass
