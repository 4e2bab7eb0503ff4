"""The extension ``fasterapi.sse`` (docs/sse.md), over real connections."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import math
import queue
import socket
import threading
import time
import weakref

import pytest
from support.wire import TIMEOUT, Truncated

from fasterapi import open_event_stream

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


@pytest.fixture
def events(in_process):
    return functools.partial(Events, in_process)


def leave(connection, how):
    {"fin": connection.close, "reset": connection.reset}[how]()


# --- What is sent ------------------------------------------------------------------------------


def test_each_call_is_one_piece_of_the_body(events):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        await send(HEAD)
        assert await stream.send("a\r\nb", "name", "7", 250) is None
        await stream.send(data="", id="", retry=0)
        await stream.send(None, id="8")
        await stream.send("Grüße 🎉", event=None)
        await stream.comment("one\ntwo")
        self.tell(stream.statistics())
        await send(END)

    served = events(handler)
    pieces = [
        b"event: name\nid: 7\nretry: 250\ndata: a\ndata: b\n\n",
        b"id: \nretry: 0\ndata: \n\n",
        b"id: 8\n\n",
        "data: Grüße 🎉\n\n".encode(),
        b": one\n: two\n",
    ]
    with served.begin() as connection:
        assert [connection.read_chunk() for _ in pieces] == pieces
        assert connection.read_chunk() == b""
    statistics = served.hear()
    assert statistics.pop("queued") >= sum(map(len, pieces))
    assert statistics == {"events_sent": 4, "bytes_sent": sum(map(len, pieces))}


@pytest.mark.parametrize("size", [1, 16_000, 16_384, 2_000_000])
def test_events_of_any_size_arrive_whole(events, size):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        await send(HEAD)
        for character in "xyz":
            await stream.send(character * size + "\n" + "ä")
        await send(END)

    expected = "".join(f"data: {character * size}\ndata: ä\n\n" for character in "xyz")
    assert events(handler).whole() == expected.encode()


WRONG = [
    ([], {}, "TypeError"),
    (["d", None, None, None, None], {}, "TypeError"),
    (["d"], {"data": "d"}, "TypeError"),
    (["d"], {"name": "n"}, "TypeError"),
    ([b"d"], {}, "TypeError"),
    (["d", 1], {}, "TypeError"),
    (["d"], {"id": b"7"}, "TypeError"),
    (["d"], {"retry": 1.0}, "TypeError"),
    (["d"], {"retry": True}, "TypeError"),
    (["d"], {"retry": -1}, "ValueError"),
    (["d"], {"retry": 1 << 63}, "ValueError"),
    (["d"], {"retry": -(1 << 99)}, "ValueError"),
    (["d"], {"event": "a\nb"}, "ValueError"),
    (["d"], {"event": "a\r"}, "ValueError"),
    (["d"], {"id": "\n"}, "ValueError"),
    (["d"], {"id": "a\0"}, "ValueError"),
    (["\ud800"], {}, "UnicodeEncodeError"),
    (["d"], {"id": "\udfff"}, "UnicodeEncodeError"),
    (["d" * 1_000_000], {"event": "\n"}, "ValueError"),
]


def test_what_is_wrong_is_raised_at_the_await_and_writes_nothing(events):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        await send(HEAD)
        for arguments, keywords, _ in WRONG:
            self.tell(await outcome(stream.send(*arguments, **keywords)))
        self.tell(await outcome(stream.comment(b"bytes")))
        self.tell(await outcome(stream.comment("\ud800")))
        self.tell(stream.statistics()["events_sent"])
        await stream.send("good")
        await send(END)

    served = events(handler)
    assert served.whole() == b"data: good\n\n"
    expected = [error for _, _, error in WRONG] + ["TypeError", "UnicodeEncodeError"]
    assert [served.hear().partition(":")[0] for _ in expected] == expected
    assert served.hear() == 0


def test_nothing_is_sent_before_the_start_or_after_the_end(events):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        self.tell(await outcome(stream.send("early")))
        self.tell(await outcome(stream.comment("early")))
        await send(HEAD)
        await stream.send("good")
        await send(END)
        self.tell(await outcome(stream.send("late")))
        self.tell(await outcome(stream.comment("late")))
        stream.keep_alive(INTERVAL)
        self.tell(stream.statistics())

    served = events(handler)
    assert served.whole() == b"data: good\n\n"
    assert [served.hear() for _ in range(2)] == [
        "RuntimeError: the response was not begun by 'http.response.start'"
    ] * 2
    assert [served.hear() for _ in range(2)] == ["RuntimeError: the response has ended"] * 2
    assert served.hear() == {"events_sent": 1, "bytes_sent": 12, "queued": 0}


@pytest.mark.parametrize(
    ("method", "length", "body"),
    [("HEAD", None, b""), ("GET", 12, b"data: good\n\n")],
    ids=["HEAD", "length"],
)
def test_pings_and_events_respect_the_framing(events, method, length, body):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        await send(HEAD if length is None else {**HEAD, "headers": [(b"content-length", b"%d" % length)]})
        stream.keep_alive(INTERVAL)
        self.tell("begun")
        await self.opened()
        self.tell(stream.statistics()["bytes_sent"])
        if length is not None:
            self.tell(await outcome(stream.send("too long for it")))
        await stream.send("good")
        await send(END)

    served = events(handler)
    with served.server.connect() as connection:
        connection.request(method, "/")
        assert served.hear() == "begun"
        served.wait_for_pings()
        served.open()
        assert connection.response(method).body == body
        assert served.hear() == 0
        if length is not None:
            assert served.hear() == "RuntimeError: response body longer than its content-length"
        assert connection.get("/open").status == 200


def test_an_event_stream_over_HTTP_1_0_ends_with_the_connection(events):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        await send(HEAD)
        stream.keep_alive(INTERVAL)
        await stream.send("event")
        await self.opened()
        await send(END)

    served = events(handler)
    with served.server.connect() as connection:
        connection.request("GET", "/", version="1.0")
        assert connection.head().framing == "close"
        assert connection.read_until(PING) == b"data: event\n\n" + PING
        served.open()
        assert connection.read_to_end().replace(PING, b"") == b""


# --- Whose it is -------------------------------------------------------------------------------


def test_open_knows_only_the_servers_own_send_of_a_request_that_goes_on(events):
    kept = []

    async def handler(self, scope, receive, send):
        async def wrapped(message):
            await send(message)

        self.tell(
            [
                open_event_stream(other)
                for other in (wrapped, receive, functools.partial(send), None, len, *kept)
            ]
        )
        stream = open_event_stream(send)
        self.tell((type(stream).__name__, stream is open_event_stream(send)))
        await send(HEAD)
        await send(END)
        self.tell(open_event_stream(send))
        kept.append(send)

    served = events(handler)
    for others in (5, 6):
        assert served.whole() == b""
        assert served.hear() == [None] * others
        assert served.hear() == ("EventStream", True)
        assert served.hear() is None


def test_scopes_say_that_there_is_the_extension(events):
    async def handler(self, scope, receive, send):
        self.tell(dict(scope["extensions"]["fasterapi.sse"]))
        scope["extensions"]["fasterapi.sse"]["changed"] = True
        await send(HEAD)
        await send(END)

    served = events(handler)
    for _ in range(2):
        served.whole()
        assert served.hear() == {}


@pytest.mark.parametrize("waits", [False, True], ids=["in its first step", "after a wait"])
def test_a_stream_that_is_kept_never_reaches_a_later_request(events, waits):
    kept = []

    async def handler(self, scope, receive, send):
        if waits:
            await asyncio.sleep(0)
        for stream in kept:
            self.tell(await outcome(stream.send("forged")))
            stream.keep_alive(INTERVAL)
            stream.on_disconnect(functools.partial(self.tell, "called"))
            self.tell(stream.statistics())
        stream = open_event_stream(send)
        self.tell(stream in kept)
        await send(HEAD)
        await stream.send(str(len(kept)))
        for other in kept:
            self.tell(await outcome(other.send("forged")))
        kept.append(stream)
        await send(END)

    served = events(handler)
    with served.server.connect() as connection:
        assert [connection.get("/").body for _ in range(3)] == [b"data: %d\n\n" % n for n in range(3)]
        served.wait_for_pings()
    ended, sent = "RuntimeError: the response has ended", {"events_sent": 1, "bytes_sent": 9, "queued": 0}
    expected = [False, ended, sent, False, ended, ended, sent, ended, sent, False, ended, ended]
    assert [served.hear() for _ in expected] == expected
    served.open()
    assert served.told.empty()


def test_an_unfinished_answer_ends_the_stream(events):
    async def handler(self, scope, receive, send):
        self.stream = open_event_stream(send)
        await send(HEAD)
        self.stream.keep_alive(INTERVAL)
        await self.stream.send("only")

    served = events(handler)
    with served.begin() as connection:
        assert connection.read_chunk() == b"data: only\n\n"
        with pytest.raises(Truncated):
            connection.read_chunk()

    async def later(self, scope, receive, send):
        self.tell(await outcome(self.stream.send("late")))
        await send(HEAD)
        await send(END)

    served.handler = later
    served.whole()
    assert served.hear() == "RuntimeError: the response has ended"


def test_what_a_callback_holds_is_freed_with_the_request(events):
    class Holder:
        def __init__(self, stream, send):
            self.held = stream, send

        def called(self):
            pass

    freed = []

    async def handler(self, scope, receive, send):
        holder = Holder(open_event_stream(send), send)
        freed.append(weakref.ref(holder))
        holder.held[0].on_disconnect(holder.called)
        await send(HEAD)
        await send(END)

    served = events(handler)
    served.whole()
    served.open()
    gc.collect()
    assert freed[0]() is None


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


@pytest.mark.parametrize("callback", ["text", 1, object()])
def test_a_callback_must_be_callable(events, callback):
    async def handler(self, scope, receive, send):
        try:
            open_event_stream(send).on_disconnect(callback)
        except TypeError as error:
            self.tell(str(error))
        await send(HEAD)
        await send(END)

    served = events(handler)
    served.whole()
    assert served.hear().startswith("callback must be callable or None")


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
