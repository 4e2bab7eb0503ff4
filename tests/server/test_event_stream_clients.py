"""The extension ``fasterapi.sse`` (docs/sse.md), over real connections: clients that leave, wait or do not read."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import math
import socket
import threading
import time

import pytest
from support.events import END, HEAD, INTERVAL, LEFT, PING, leave, outcome

from fasterapi import open_event_stream

# --- The client leaves -------------------------------------------------------------------------

LOOPS = pytest.mark.parametrize("loop", ["auto", "asyncio"])


@LOOPS
@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
def test_the_callback_comes_once_by_the_loop_without_a_send(events, how, early, loop):
    where = contextvars.ContextVar("where", default="nowhere")

    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        over = asyncio.Event()

        def called(number):
            in_step = asyncio.current_task() is not None
            self.tell((number, where.get(), threading.current_thread() is thread, in_step))
            over.set()

        thread = threading.current_thread()
        where.set("handler")
        stream.on_disconnect(lambda: self.tell("replaced"))
        if early:
            stream.on_disconnect(functools.partial(called, 1))
        await send(HEAD)
        self.tell("begun")
        if early:
            await over.wait()
        else:
            assert (await receive())["type"] == "http.request"
            assert (await receive())["type"] == "http.disconnect"
            self.tell("disconnected")
        stream.on_disconnect(functools.partial(called, 2))
        self.tell("registered")
        self.tell(await outcome(stream.send("nobody")))
        self.tell(await outcome(send({"type": "http.response.body", "body": b"", "more_body": True})))
        stream.on_disconnect(None)

    served = events(handler, loop=loop)
    connection = served.begin()
    assert served.hear() == "begun"
    leave(connection, how)
    first = [(1, "handler", True, False)] if early else ["replaced", "disconnected"]
    expected = [*first, "registered", LEFT, LEFT, (2, "handler", True, False)]
    assert sorted(str(served.hear()) for _ in expected) == sorted(map(str, expected))
    served.open()
    assert served.told.empty()


def test_a_client_that_ends_only_its_side_has_left(events):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        over = asyncio.Event()
        stream.on_disconnect(over.set)
        await send(HEAD)
        await stream.send("first")
        await over.wait()
        self.tell(await outcome(stream.send("nobody")))

    served = events(handler)
    with served.begin() as connection:
        assert connection.read_chunk() == b"data: first\n\n"
        connection.finish_writing()
        assert served.hear() == LEFT
        assert connection.read_to_end() == b""


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_nobody_is_called_for_an_answer_that_was_whole(events, how):
    async def handler(self, scope, receive, send):
        open_event_stream(send).on_disconnect(functools.partial(self.tell, "called"))
        await send(HEAD)
        await send(END)
        self.tell((await receive())["type"])

    served = events(handler)
    with served.server.connect() as connection:
        connection.get("/")
        assert served.hear() == "http.disconnect"
        leave(connection, how)
    served.open()
    assert served.told.empty()


def test_a_callback_that_raises_goes_to_the_loops_handler(events):
    async def handler(self, scope, receive, send):
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: self.tell(repr(context["exception"]))
        )
        stream = open_event_stream(send)
        stream.on_disconnect(lambda: 1 / 0)
        await send(HEAD)
        self.tell("begun")
        await self.opened()

    served = events(handler)
    connection = served.begin()
    assert served.hear() == "begun"
    connection.close()
    assert served.hear() == "ZeroDivisionError('division by zero')"
    served.open()
    served.handler = lambda self, scope, receive, send: self.pings(open_event_stream(send), send)
    assert served.whole() == PING * 3


def test_a_callback_may_use_the_stream(events):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        over = asyncio.Event()

        def called():
            stream.keep_alive(INTERVAL)
            self.tell(stream.statistics()["events_sent"])
            stream.on_disconnect(over.set)

        stream.on_disconnect(called)
        await send(HEAD)
        self.tell("begun")
        await over.wait()
        self.tell("over")

    served = events(handler)
    connection = served.begin()
    assert served.hear() == "begun"
    connection.close()
    assert [served.hear(), served.hear()] == [0, "over"]


@pytest.mark.parametrize("method", ["on_disconnect", "on_shutdown"])
@pytest.mark.parametrize("callback", ["text", 1, object()])
def test_a_callback_must_be_callable(events, method, callback):
    async def handler(self, scope, receive, send):
        try:
            getattr(open_event_stream(send), method)(callback)
        except TypeError as error:
            self.tell(str(error))
        await send(HEAD)
        await send(END)

    served = events(handler)
    served.whole()
    assert served.hear() == f"callback must be callable or None, not {type(callback).__name__}"


# --- Idleness ----------------------------------------------------------------------------------


@LOOPS
def test_pings_come_only_when_nothing_was_sent_for_so_long(events, loop):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        stream.keep_alive(INTERVAL)
        await send(HEAD)
        begun = time.monotonic()
        times = []
        while time.monotonic() < begun + 4 * INTERVAL:
            times.append(time.monotonic())
            kind = len(times) % 3
            if kind == 0:
                await stream.send("event")
            elif kind == 1:
                await stream.comment("event")
            else:
                await send({"type": "http.response.body", "body": b"event\n\n", "more_body": True})
            await asyncio.sleep(INTERVAL / 20)
        self.tell(times)
        await self.opened()
        await send(END)

    served = events(handler, loop=loop)
    with served.begin() as connection:
        times = served.hear()
        pieces = []
        while len(pieces) < len(times) or pieces[-2:] != [PING, PING]:
            pieces.append(connection.read_chunk())
        served.open()
        while piece := connection.read_chunk():
            assert piece == PING
    sent = 0
    for piece in pieces:
        if piece != PING:
            sent += 1
        elif 0 < sent < len(times):  # one before the last event: the machine stood still meanwhile
            assert times[sent] - times[sent - 1] >= INTERVAL
    assert sent == len(times)


def test_no_more_pings_when_they_are_stopped_or_before_the_start(events):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        stream.keep_alive(INTERVAL)
        await self.opened()
        self.tell(stream.statistics()["bytes_sent"])
        await send(HEAD)
        stream.keep_alive(0)
        await self.opened()
        await stream.send("good")
        await send(END)

    served = events(handler)
    with served.server.connect() as connection:
        connection.request("GET", "/")
        served.wait_for_pings()
        served.open()
        assert served.hear() == 0
        served.wait_for_pings()
        served.open()
        assert connection.response().body == b"data: good\n\n"


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (math.nan, "ValueError"),
        (math.inf, "ValueError"),
        (-1, "ValueError"),
        (-1e-9, "ValueError"),
        (1e300, "ValueError"),
        (10**400, "OverflowError"),
        ("1", "TypeError"),
        (None, "TypeError"),
    ],
)
def test_the_interval_is_a_number_of_seconds_up_to_a_year(events, seconds, error):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        await send(HEAD)
        try:
            stream.keep_alive(seconds)
        except Exception as raised:
            self.tell(type(raised).__name__)
        for good in (31_536_000, 1e-9, 0.0, False):
            stream.keep_alive(good)
        await send(END)

    served = events(handler)
    assert served.whole() == b""
    assert served.hear() == error


# --- A client that does not read ---------------------------------------------------------------

EVENT = "x" * 10_000


async def fill(stream):
    """Sends until a send waits; returns that one, as a task."""
    while True:
        task = asyncio.ensure_future(stream.send(EVENT))
        for _ in range(5):
            await asyncio.sleep(0)
        if not task.done():
            return task


def test_send_waits_while_the_client_does_not_read(events):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        await send(HEAD)
        task = await fill(stream)
        self.tell(stream.statistics())
        stream.keep_alive(INTERVAL)
        await self.opened()
        self.tell(stream.statistics())
        self.tell(task.done())
        stream.keep_alive(0)
        await task
        await send(END)

    served = events(handler)
    with served.begin(receive_buffer=1 << 14) as connection:
        before = served.hear()
        served.wait_for_pings()
        served.open()
        assert served.hear() == before
        assert served.hear() is False
        assert len(EVENT) < before["queued"] < (1 << 16) + 2 * len(EVENT)
        body = read_chunks(connection)
    assert body == f"data: {EVENT}\n\n".encode() * before["events_sent"]


def read_chunks(connection):
    return b"".join(iter(connection.read_chunk, b""))


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_send_that_waits_ends_with_the_client(events, how):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        await send(HEAD)
        task = await fill(stream)
        self.tell("full")
        self.tell(await outcome(task))

    served = events(handler)
    connection = served.begin(receive_buffer=1 << 14)
    assert served.hear() == "full"
    if how == "fin":  # without the reset that closing before all is read would be
        connection.socket.shutdown(socket.SHUT_WR)
    else:
        connection.reset()
    assert served.hear() == LEFT
    connection.close()


def test_a_client_that_reads_nothing_is_cut_although_pings_are_due(events):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        over = asyncio.Event()
        stream.on_disconnect(over.set)
        stream.keep_alive(INTERVAL)
        await send(HEAD)
        task = await fill(stream)
        await over.wait()
        self.tell(await outcome(task))

    served = events(handler, timeout_write=4 * INTERVAL)
    with served.begin(receive_buffer=1 << 14):
        assert served.hear() == LEFT
