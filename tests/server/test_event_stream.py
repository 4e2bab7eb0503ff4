"""The extension ``fasterapi.sse`` (docs/sse.md), over real connections: what is sent, and whose the stream is."""

from __future__ import annotations

import asyncio
import functools
import gc
import weakref

import pytest
from support.events import END, HEAD, INTERVAL, PING, outcome
from support.wire import Truncated

from fasterapi import open_event_stream

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


def test_open_knows_only_the_servers_own_calls_of_a_request_that_goes_on(events):
    kept = []

    async def handler(self, scope, receive, send):
        async def wrapped(message):
            await send(message)

        self.tell(
            [
                open_event_stream(other)
                for other in (wrapped, functools.partial(receive), functools.partial(send), None, len, *kept)
            ]
        )
        stream = open_event_stream(receive)
        self.tell((type(stream).__name__, stream is open_event_stream(send)))
        await send(HEAD)
        await send(END)
        self.tell(open_event_stream(send) or open_event_stream(receive))
        kept.extend((send, receive))

    served = events(handler)
    for others in (5, 7):
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
