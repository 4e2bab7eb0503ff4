"""Every limit at its option: what just fits is served, what does not is answered with its status (S3, C10, U04)."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path

import pytest
from support.checks import still_serves
from support.wire import LAST_CHUNK, Truncated, chunk, request_bytes

from fasterapi import Config
from fasterapi.limits import LIMITS, WEBSOCKET_LIMITS

SETTINGS = Path(__file__).parents[2] / "server" / "base" / "settings.h"
SMALL = (
    *("--limit-request-line", "100", "--limit-request-head", "400", "--limit-request-fields", "5"),
    *("--limit-body-size", "1000"),
)
HURRIED = ("--timeout-request-head", "1", "--timeout-request-body", "1", "--timeout-write", "1")
CHUNKED = [("Transfer-Encoding", "chunked")]


@pytest.fixture
def small(shared):
    return shared("apps.scenarios:app", *SMALL)


@pytest.fixture
def hurried(shared):
    return shared("apps.scenarios:app", *HURRIED)


def test_defaults_are_those_of_the_native_settings():
    text = SETTINGS.read_text()
    for limit in (*LIMITS, *WEBSOCKET_LIMITS):
        kind = "(?:std::size_t|int)" if limit.whole else "Milliseconds"
        match = re.search(rf"{kind} {limit.setting}(?: = |\{{)([^;}}]+)", text)
        assert match is not None, limit.setting
        default = getattr(Config, limit.name)
        if match[1] == "kUnlimited":
            assert default is None
        else:
            value = eval(match[1].replace("'", "_"))
            assert default == (value if limit.whole else value / 1000), limit.name


def refused(server, wire):
    with server.connect() as connection:
        connection.send(wire)
        response = connection.response()
        assert response.header("connection") == b"close"
        connection.expect_end()
    still_serves_small(server)
    return response.status


def still_serves_small(server):
    assert server.get("/hello").body == b"Hello, World!"


def test_414_request_line(small):
    fits = "/hello?" + "q" * (100 - len("GET /hello? HTTP/1.1"))
    assert small.get(fits).status == 200
    assert refused(small, request_bytes("GET", fits + "q")) == 414


def test_431_request_head(small):
    room = 400 - len(request_bytes("GET", "/hello", [("X", "")]))
    with small.connect() as connection:
        assert connection.get("/hello", [("X", "v" * room)]).status == 200
    assert refused(small, request_bytes("GET", "/hello", [("X", "v" * (room + 1))])) == 431


def test_431_request_fields(small):
    with small.connect() as connection:
        assert connection.get("/hello", [("X", "v")] * 4).status == 200
    assert refused(small, request_bytes("GET", "/hello", [("X", "v")] * 5)) == 431


def test_413_announced_body(small, tag):
    """Answered before the application is called."""
    with small.connect() as connection:
        assert connection.ask("POST", "/echo_body", body=b"b" * 1000).body == b"b" * 1000
    assert refused(small, request_bytes("POST", f"/events?{tag}", body=b"b" * 1001)) == 413
    assert small.probe.seen("received", tag) == []


def test_413_announced_body_before_100_Continue(small, tag):
    head = [("Content-Length", "1001"), ("Expect", "100-continue")]
    with small.connect() as connection:
        response = connection.ask("POST", f"/events?{tag}", head)
        assert (response.status, response.interim) == (413, [])
        connection.expect_end()
    assert small.probe.seen("received", tag) == []


def test_413_chunked_body(small, tag):
    """The application has been called; it gets a disconnect, and no end of the body."""
    with small.connect() as connection:
        connection.request("POST", f"/events?{tag}", CHUNKED)
        connection.send(chunk(b"b" * 600))
        assert small.probe.expect("received", tag)["message"]["body"] == b"b" * 600
        connection.send(chunk(b"b" * 600) + LAST_CHUNK)
        assert connection.response().status == 413
        connection.expect_end()
    assert small.probe.expect("received", tag, count=2)["message"] == {"type": "http.disconnect"}


def test_413_chunked_body_that_just_fits(small):
    with small.connect() as connection:
        connection.send(
            request_bytes("POST", "/echo_body", CHUNKED) + chunk(b"b" * 500) + chunk(b"b" * 500) + LAST_CHUNK
        )
        assert connection.response().body == b"b" * 1000


def test_413_is_seen_by_a_client_that_sends_all_first(serve, tag):
    """Of what is behind the refused head 256 KiB are swallowed; the connection's end comes behind the answer."""
    server = serve("apps.scenarios:app", env={"FASTERAPI_LIMIT_BODY_SIZE": "1000"})
    with server.connect() as connection:
        with contextlib.suppress(OSError):  # it ends in the middle
            connection.request("POST", f"/events?{tag}", body=bytes(64 << 20))
        assert connection.response().status == 413
    still_serves(server)


def test_408_half_a_head(hurried):
    with hurried.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: loc")
        assert connection.response().status == 408
        connection.expect_end()


def test_no_byte_of_a_head_is_closed_silently(hurried):
    with hurried.connect() as connection:
        connection.expect_end()


@pytest.mark.parametrize("how", ["silent", "drips"])
def test_408_half_a_body(hurried, tag, how):
    answered = threading.Event()
    with hurried.connect() as connection:
        connection.send(request_bytes("POST", f"/events?{tag}", [("Content-Length", "9999")]) + b"half")
        assert hurried.probe.expect("received", tag)["message"]["body"] == b"half"

        def drip():
            with contextlib.suppress(OSError):
                while not answered.wait(0.05):
                    connection.send(b".")

        dripping = threading.Thread(target=drip)
        if how == "drips":
            dripping.start()
        try:
            assert connection.response().status == 408
        finally:
            answered.set()
            if how == "drips":
                dripping.join()
    last = hurried.probe.events.wait(lambda _: disconnected(hurried, tag), 10)
    assert last, "the application was not told"
    still_serves(hurried)


def disconnected(server, tag):
    return any(
        item["message"] == {"type": "http.disconnect"}
        for item in server.probe.events.items
        if (item["event"], item["tag"]) == ("received", tag)
    )


def test_an_answer_that_nobody_reads_ends(hurried, tag):
    with hurried.connect(receive_buffer=4096) as connection:
        connection.request("GET", f"/chunked_flood/{1 << 32}?{tag}")
        connection.head()
        assert hurried.probe.expect("flood_ended", tag)["error"] == "ClientDisconnected"
        with pytest.raises(Truncated):
            connection.read_exactly(1 << 32)
    still_serves(hurried)


def test_limit_concurrency_connections(serve):
    """As uvicorn counts: the connection that asks is one of them."""
    server = serve("apps.scenarios:app", "--limit-concurrency", "2")
    with server.connect() as first:
        assert first.get("/hello").status == 200
        with server.connect() as second:
            response = second.get("/hello")
            assert (response.status, response.body) == (503, b"Service Unavailable")
            assert response.header("content-type") == b"text/plain; charset=utf-8"
            assert response.header("connection") == b"close"
            second.expect_end()
        server.expect_log(r"WARNING: +Exceeded concurrency limit\.$")
        assert first.get("/hello").status == 200


def test_limit_concurrency_requests_at_work(serve, tag):
    """Also those whose client has gone."""
    server = serve("apps.scenarios:app", "--limit-concurrency", "3")
    for number in range(3):
        with server.connect() as connection:
            connection.request("GET", f"/waits?{tag}")
            server.probe.expect("called", tag, count=number + 1)
            connection.reset()
    with server.connect() as connection:
        assert connection.get("/hello").status == 503
    server.probe.open(f"{tag}.go")
    still_serves_again(server)


def still_serves_again(server):
    """Once the requests at work have ended."""
    for _ in range(1000):
        if server.get("/hello").status == 200:
            return
    raise AssertionError("503 although nothing is at work")


def test_limit_connections(serve):
    """Those beyond it wait, and are served when others have gone."""
    server = serve("apps.scenarios:app", "--limit-connections", "3", "--timeout-keep-alive", "60")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(6)]
        for client in clients[:3]:
            assert client.get("/hello").status == 200
        for client in clients[3:]:
            client.request("GET", "/hello")
        server.expect_log(
            r"WARNING: +New connections wait: the limit of 3 is reached, with 3 connections open$"
        )
        for client in clients[:3]:
            assert client.get("/hello").status == 200
            client.close()
        for client in clients[3:]:
            assert client.response().body == b"Hello, World!"
