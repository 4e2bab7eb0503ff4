"""Rows H50–H61: how a request's body reaches the application."""

from __future__ import annotations

import hashlib
import random
import socket

import pytest
from support.checks import body, literal, next_is_right_or_closed, script_request, start, still_serves
from support.measure import push_until_blocked
from support.wire import LAST_CHUNK, TIMEOUT, Silence, chunk, request_bytes

MB = 1 << 20
SMUGGLED = request_bytes("GET", "/script?smuggled", [("x-script", "[]")])


def random_bytes(size, seed=1):
    return random.Random(seed).randbytes(size)


def received(server, tag, count):
    return server.probe.expect("received", tag, count=count)["message"]


def chunked_head(target, *headers):
    return request_bytes("POST", target, [("Transfer-Encoding", "chunked"), *headers])


def quiet(connection, seconds=0.2):
    """Nothing arrives for a while."""
    connection.socket.settimeout(seconds)
    with pytest.raises(Silence):
        connection.read_exactly(1)
    connection.socket.settimeout(TIMEOUT)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_H50_first_event_without_a_body(server, tag, method):
    with server.connect() as connection:
        assert connection.ask(method, f"/events?{tag}").body == b""
    still_serves(server)
    events = [record["message"] for record in server.probe.seen("received", tag)]
    assert len(events) == 1
    assert events[0]["type"] == "http.request"
    assert events[0].get("body", b"") == b""
    assert events[0].get("more_body", False) is False


def test_H50_content_length_0(server, tag):
    with server.connect() as connection:
        assert connection.ask("POST", f"/events?{tag}", body=b"").body == b""
    still_serves(server)
    assert len(server.probe.seen("received", tag)) == 1


def test_H50b_types_of_the_event(server, tag):
    with server.connect() as connection:
        connection.ask("POST", f"/events?{tag}", body=b"some")
    still_serves(server)
    for record in server.probe.seen("received", tag):
        assert type(record["message"]) is dict
        assert type(record["message"].get("body", b"")) is bytes
        assert type(record["message"].get("more_body", False)) is bool
        assert set(record["message"]) <= {"type", "body", "more_body"}


@pytest.mark.parametrize("size", [1, 100, 65535, 65536, 65537, 300_000])
def test_H51_content_length_body(server, size):
    data = random_bytes(size)
    with server.connect() as connection:
        assert connection.ask("POST", "/echo_body", body=data).body == data


def test_H52_two_megabytes_arrive_whole(server):
    data = random_bytes(2 * MB)
    with server.connect() as connection:
        seen = literal(connection.ask("POST", "/digest", body=data))
    assert seen["size"] == len(data)
    assert seen["sha256"] == hashlib.sha256(data).hexdigest()
    assert seen["flags"][-1] is False
    assert all(flag is True for flag in seen["flags"][:-1])


def test_H53_slow_body_is_streamed(server, tag):
    with server.connect() as connection:
        connection.send(request_bytes("POST", f"/events?{tag}", [("Content-Length", "9")]) + b"one")
        assert received(server, tag, 1) == {"type": "http.request", "body": b"one", "more_body": True}
        connection.send(b"two")
        assert received(server, tag, 2) == {"type": "http.request", "body": b"two", "more_body": True}
        connection.send(b"end")
        assert connection.response().body == b"onetwoend"
    still_serves(server)
    assert server.probe.seen("received", tag)[-1]["message"].get("more_body", False) is False


def test_H53_head_alone_starts_the_application(server, tag):
    with server.connect() as connection:
        connection.send(request_bytes("POST", f"/never_reads?{tag}", [("Content-Length", "3")]))
        server.probe.expect("called", tag)
        server.probe.open(f"{tag}.go")
        connection.send(b"abc")
        assert connection.response().body == b"never read"


def test_H54_chunked_body_is_streamed_and_ends(server, tag):
    with server.connect() as connection:
        connection.send(chunked_head(f"/events?{tag}") + chunk(b"one"))
        assert received(server, tag, 1) == {"type": "http.request", "body": b"one", "more_body": True}
        connection.send(chunk(b"two"))
        assert received(server, tag, 2) == {"type": "http.request", "body": b"two", "more_body": True}
        connection.send(LAST_CHUNK)
        assert connection.response().body == b"onetwo"


def test_H54_extensions_and_trailers_do_not_reach_the_body(server):
    wire = (
        chunk(b"Wiki", b";name=value")
        + chunk(b"pedia", b';q="a b;c\\" ";r')
        + b"0;last\r\nX-Trailer: not body\r\nX-More:\r\n\r\n"
    )
    with server.connect() as connection:
        connection.send(chunked_head("/echo_body") + wire)
        assert connection.response().body == b"Wikipedia"
        assert connection.get("/hello").body == b"Hello, World!"


def test_trailers_do_not_become_headers_of_this_or_the_next_request(server):
    with server.connect() as connection:
        connection.send(chunked_head("/echo") + chunk(b"x") + b"0\r\nX-Trailer: y\r\n\r\n")
        first = literal(connection.response())
        second = literal(connection.get("/echo"))
    assert b"x-trailer" not in dict(first["headers"])
    assert b"x-trailer" not in dict(second["headers"])


@pytest.mark.parametrize("piece", [1, 2, 7])
def test_H54_chunked_body_in_small_pieces(server, piece):
    wire = (
        chunked_head("/echo_body")
        + chunk(b"a" * 26, b";x=y")
        + chunk(b"\r\n0\r\n\r\n")
        + b"0\r\nT: v\r\n\r\n"
    )
    with server.connect() as connection:
        for at in range(0, len(wire), piece):
            connection.send(wire[at : at + piece])
        assert connection.response().body == b"a" * 26 + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", [b"5", b"05", b"0000000005"])
def test_H54_chunk_sizes_with_leading_zeros(server, size):
    with server.connect() as connection:
        connection.send(chunked_head("/echo_body") + size + b"\r\nhello\r\n" + LAST_CHUNK)
        assert connection.response().body == b"hello"


def test_H54_two_megabytes_chunked(server):
    data = random_bytes(2 * MB, seed=2)
    sizes = random.Random(3)
    with server.connect() as connection:
        connection.send(chunked_head("/digest"))
        at = 0
        while at < len(data):
            size = sizes.choice([1, 17, 4096, 65536, 200_000])
            connection.send(chunk(data[at : at + size]))
            at += size
        connection.send(LAST_CHUNK)
        seen = literal(connection.response())
    assert (seen["size"], seen["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert seen["flags"].count(False) == 1


def test_H55_connection_alone_does_not_call_the_application(server):
    before = int(server.get("/calls").body)
    idle = [server.connect() for _ in range(5)]
    try:
        assert int(server.get("/calls").body) == before + 1
    finally:
        for connection in idle:
            connection.close()


def test_H55_half_a_head_does_not_call_the_application(server, tag):
    whole = script_request(tag, start(), body(b"now"), headers=[("X-More", "headers")])
    with server.connect() as connection:
        pieces = [whole[:5], whole[5:30], whole[30:-4], whole[-4:-1]]
        for piece in pieces:
            connection.send(piece)
            still_serves(server)
            assert server.probe.seen("called", tag) == []
        connection.send(whole[-1:])
        assert connection.response().body == b"now"
        still_serves(server)
        assert len(server.probe.seen("called", tag)) == 1


def test_H57_three_requests_on_one_connection(server):
    with server.connect() as connection:
        for number in range(3):
            scope = literal(connection.get(f"/echo/{number}?q{number}", [(f"X-{number}", "y")]))
            assert scope["path"] == f"/echo/{number}"
            assert scope["query_string"] == b"q%d" % number
            assert [name for name, _ in scope["headers"]] == [b"host", b"x-%d" % number]


def test_H57b_pipelining_keeps_order(server, tag):
    with server.connect() as connection:
        connection.send(
            request_bytes("GET", f"/waits?{tag}")
            + request_bytes("GET", "/hello")
            + request_bytes("GET", "/echo/third")
        )
        server.probe.expect("called", tag)
        still_serves(server)
        quiet(connection)
        server.probe.open(f"{tag}.go")
        assert connection.response().body == b"waited"
        assert connection.response().body == b"Hello, World!"
        assert literal(connection.response())["path"] == "/echo/third"


def test_H57b_pipelined_bodies(server):
    bodies = [random_bytes(size, size) for size in (0, 1, 5000, 70_000, 3)]
    wire = b""
    for number, data in enumerate(bodies):
        if number % 2:
            wire += chunked_head("/echo_body") + (chunk(data) if data else b"") + LAST_CHUNK
        else:
            wire += request_bytes("POST", "/echo_body", body=data)
    with server.connect() as connection:
        connection.send(wire)
        assert [connection.response().body for _ in bodies] == bodies


@pytest.mark.parametrize("size", [5, 100_000])
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_H58_unread_body_and_the_next_request(server, size, coding):
    data = (SMUGGLED * (size // len(SMUGGLED) + 1))[:size]
    if coding == "length":
        first = request_bytes("POST", "/ignores_body", body=data)
    else:
        first = chunked_head("/ignores_body") + chunk(data) + LAST_CHUNK
    with server.connect() as connection:
        connection.send(first)
        assert connection.response().body == b"not read"
        next_is_right_or_closed(connection)
    still_serves(server)
    assert server.probe.seen("called", "smuggled") == []


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_H58b_early_response_and_the_rest_of_the_body(server, tag, coding):
    rest = SMUGGLED * 20
    if coding == "length":
        head = request_bytes("POST", f"/ignores_body?{tag}", [("Content-Length", str(3 + len(rest)))])
        first, last = head + b"abc", rest
    else:
        first, last = chunked_head(f"/ignores_body?{tag}") + chunk(b"abc"), chunk(rest) + LAST_CHUNK
    with server.connect() as connection:
        connection.send(first)
        assert connection.response().body == b"not read"
        try:
            connection.send(last)
        except OSError:
            pass
        next_is_right_or_closed(connection)
    still_serves(server)
    assert server.probe.seen("called", "smuggled") == []


def test_H59_upload_back_pressure(server, tag):
    size = 15 * MB  # more than the kernel takes by itself, less than any server refuses by default
    with server.connect() as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        connection.send(request_bytes("POST", f"/reads_late?{tag}", [("Content-Length", str(size))]))
        server.probe.expect("called", tag)
        block = bytes(MB)
        taken = push_until_blocked(connection.socket, block, size)
        assert taken < size
        connection.socket.settimeout(TIMEOUT)
        server.probe.open(f"{tag}.go")
        while taken < size:
            part = block[: min(MB, size - taken)]
            connection.send(part)
            taken += len(part)
        assert connection.response().body == str(size).encode()


def test_rest_of_a_blocked_upload_is_drained_or_refused(server, tag):
    """The client has been stopped, then answered: it must not wait for ever to send what it announced."""
    size = 64 * MB
    with server.connect() as connection:
        connection.send(request_bytes("POST", f"/never_reads?{tag}", [("Content-Length", str(size))]))
        server.probe.expect("called", tag)
        taken = push_until_blocked(connection.socket, bytes(MB), size, quiet=0.3)
        server.probe.open(f"{tag}.go")
        connection.socket.settimeout(TIMEOUT)
        assert connection.response().body == b"never read"
        try:
            connection.send(bytes(size - taken))
        except TimeoutError:
            raise Silence("the server neither takes the rest of the body nor closes") from None
        except OSError:
            return
        next_is_right_or_closed(connection)


def expecting(target, *headers):
    return request_bytes("POST", target, [("Expect", "100-continue"), *headers])


@pytest.mark.parametrize("coding", ["length", "chunked"])
@pytest.mark.parametrize("asks", ["H60_at_once", "later"])
def test_100_continue_when_the_application_asks(server, tag, coding, asks):
    if coding == "length":
        head, data = expecting(f"/reads_late?{tag}", ("Content-Length", "5")), b"abcde"
    else:
        head = expecting(f"/reads_late?{tag}", ("Transfer-Encoding", "chunked"))
        data = chunk(b"abcde") + LAST_CHUNK
    with server.connect() as connection:
        connection.send(head)
        if asks == "later":
            server.probe.expect("called", tag)
            quiet(connection)
        server.probe.open(f"{tag}.go")
        interim = connection.head()
        assert interim.status == 100
        connection.send(data)
        response = connection.response()
        assert response.interim == []
        assert (response.status, response.body) == (200, b"5")
        assert connection.get("/hello").body == b"Hello, World!"


def test_H60_the_expectation_is_case_insensitive(server):
    with server.connect() as connection:
        connection.send(
            request_bytes("POST", "/echo_body", [("expect", "100-Continue"), ("Content-Length", "2")])
        )
        assert connection.head().status == 100
        connection.send(b"ok")
        assert connection.response().body == b"ok"


def test_H61_no_100_when_the_application_answers_at_once(server, tag):
    with server.connect() as connection:
        connection.send(expecting(f"/ignores_body?{tag}", ("Content-Length", "5")))
        response = connection.response()
        assert (response.status, response.body, response.interim) == (200, b"not read", [])
        # The client may now send the body or not; nobody can know, unless the connection ends.
        assert connection.buffer == b""


def test_H61_no_100_when_the_application_fails_at_once(server, tag):
    with server.connect() as connection:
        connection.send(
            script_request(
                tag, "raise", method="POST", headers=[("Expect", "100-continue"), ("Content-Length", "5")]
            )
        )
        response = connection.response()
        assert (response.status, response.interim) == (500, [])


def test_H61_what_follows_instead_of_an_unwanted_body(server, tag):
    """The client whose body was not asked for may send it, or its next request. Nobody can tell which:
    bytes of the announced length must not be run as a request."""
    with server.connect() as connection:
        connection.send(expecting(f"/ignores_body?{tag}", ("Content-Length", str(len(SMUGGLED)))))
        assert connection.response().status == 200
        try:
            connection.send(SMUGGLED)
        except OSError:
            pass
        next_is_right_or_closed(connection)
    still_serves(server)
    assert server.probe.seen("called", "smuggled") == []


def test_H51_body_that_looks_like_a_request(server):
    with server.connect() as connection:
        assert connection.ask("POST", "/echo_body", body=SMUGGLED).body == SMUGGLED
        assert connection.get("/hello").status == 200
    still_serves(server)
    assert server.probe.seen("called", "smuggled") == []


def test_H50_body_of_a_GET_is_delivered(server):
    with server.connect() as connection:
        assert connection.ask("GET", "/echo_body", body=b"a GET may have one").body == b"a GET may have one"


def test_H53_first_event_can_be_all_that_is_read(server, tag):
    with server.connect() as connection:
        connection.send(
            request_bytes("POST", f"/reads_first_event?{tag}", [("Content-Length", "6")]) + b"abc"
        )
        assert connection.response().body == b"first event"
        assert received(server, tag, 1) == {"type": "http.request", "body": b"abc", "more_body": True}
        connection.send(b"def")
        next_is_right_or_closed(connection)


def test_H51_writing_side_closed_after_the_body(server):
    """A client that has nothing more to say (``shutdown``) with its request still whole."""
    with server.connect() as connection:
        connection.send(request_bytes("POST", "/echo_body", body=b"whole"))
        assert connection.response().body == b"whole"
        connection.socket.shutdown(socket.SHUT_WR)
        connection.expect_end()
