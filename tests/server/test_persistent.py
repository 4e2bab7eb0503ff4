"""Persistent connections: pipelining, closing, HTTP/1.0 and the keep-alive time-out."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from support.checks import body, literal, script_request, start, still_serves
from support.measure import push_until_blocked
from support.wire import LAST_CHUNK, Silence, chunk, request_bytes


def test_hundred_requests_in_one_write_are_answered_in_order(server):
    with server.connect() as connection:
        connection.send(b"".join(request_bytes("GET", f"/echo/{number}") for number in range(100)))
        paths = [literal(connection.response())["path"] for _ in range(100)]
    assert paths == [f"/echo/{number}" for number in range(100)]


def test_hundred_posts_in_one_write_are_answered_in_order(server):
    with server.connect() as connection:
        connection.send(b"".join(request_bytes("POST", "/echo_body", body=b"%d" % n * n) for n in range(100)))
        assert [connection.response().body for _ in range(100)] == [b"%d" % n * n for n in range(100)]


def test_hundred_chunked_posts_in_one_write_are_answered_in_order(server):
    one = request_bytes("POST", "/echo_body", [("Transfer-Encoding", "chunked")])
    with server.connect() as connection:
        connection.send(b"".join(one + chunk(b"number %d" % number) + LAST_CHUNK for number in range(100)))
        assert [connection.response().body for _ in range(100)] == [b"number %d" % n for n in range(100)]


def test_mixed_pipeline_in_odd_pieces(server):
    """GET, HEAD, POST and chunked POST in one stream of bytes, cut every 37 bytes."""
    posted = request_bytes("POST", "/echo_body", body=b"posted")
    chunked = (
        request_bytes("POST", "/echo_body", [("Transfer-Encoding", "chunked")])
        + chunk(b"chunked")
        + LAST_CHUNK
    )
    wire = (request_bytes("GET", "/hello") + request_bytes("HEAD", "/hello") + posted + chunked) * 10
    with server.connect() as connection:
        for at in range(0, len(wire), 37):
            connection.send(wire[at : at + 37])
        for _ in range(10):
            assert connection.response().body == b"Hello, World!"
            assert connection.response("HEAD").header("content-length") == b"13"
            assert connection.response().body == b"posted"
            assert connection.response().body == b"chunked"


def test_pipelined_requests_run_one_after_another(server, tag):
    """The second is not called before the first has been answered."""
    with server.connect() as connection:
        first = script_request(tag, "gate:go", start(), body(b"first"))
        connection.send(first + script_request(tag + "2", start(), body(b"second")))
        server.probe.expect("called", tag)
        still_serves(server)
        assert server.probe.seen("called", tag + "2") == []
        server.probe.open(f"{tag}.go")
        assert connection.response().body == b"first"
        assert connection.response().body == b"second"


def test_pipelining_that_outruns_the_application_is_bounded(server, tag):
    """A client that writes requests and reads nothing is stopped; then all are answered."""
    one = request_bytes("GET", "/hello")
    with server.connect() as connection:
        connection.request("GET", f"/waits?{tag}")
        server.probe.expect("called", tag)
        at = push_until_blocked(connection.socket, one * 1000, 64 << 20)
        assert at < 64 << 20
        connection.socket.settimeout(30)
        rest = -at % len(one)
        count = (at + rest) // len(one)
        writer = threading.Thread(target=connection.send, args=(one[len(one) - rest :],))
        writer.start()
        server.probe.open(f"{tag}.go")
        assert connection.response().body == b"waited"
        for _ in range(count):
            connection.head()
            assert connection.read_exactly(13) == b"Hello, World!"
        writer.join()


def test_thousand_requests_one_after_another(server):
    with server.connect() as connection:
        for _ in range(1000):
            assert connection.get("/hello").body == b"Hello, World!"


def test_two_hundred_connections_at_once(server):
    connections = [server.connect() for _ in range(200)]
    for number, connection in enumerate(connections):
        connection.request("GET", f"/echo/{number}")
    for number, connection in reversed(list(enumerate(connections))):
        assert literal(connection.response())["path"] == f"/echo/{number}"
        connection.close()


def test_requests_byte_by_byte(server):
    wire = request_bytes("POST", "/echo_body", [("X-A", "b")], body=b"slowly") + request_bytes(
        "GET", "/hello"
    )
    with server.connect() as connection:
        for at in range(len(wire)):
            connection.send(wire[at : at + 1])
        assert connection.response().body == b"slowly"
        assert connection.response().body == b"Hello, World!"


@pytest.mark.parametrize("before", [b"\r\n", b"\r\n\r\n"])
def test_empty_lines_before_a_request_are_ignored(server, before):
    """RFC 9112 2.2: at least one empty line before the request line should be ignored."""
    with server.connect() as connection:
        connection.send(before[:2] + request_bytes("GET", "/hello"))
        assert connection.response().body == b"Hello, World!"
        connection.send(before + request_bytes("GET", "/hello"))
        assert connection.response().body == b"Hello, World!"


def test_HTTP_1_0_closes(server):
    with server.connect() as connection:
        response = connection.ask("GET", "/hello", version="1.0")
        assert response.body == b"Hello, World!"
        connection.expect_end()


def test_HTTP_1_0_without_a_host(server):
    with server.connect() as connection:
        assert connection.ask("GET", "/hello", version="1.0", host=None).body == b"Hello, World!"
        connection.expect_end()


def test_HTTP_1_0_keep_alive_is_announced_and_kept(server):
    """apachebench and old proxies rely on it."""
    with server.connect() as connection:
        for _ in range(5):
            response = connection.ask("GET", "/hello", [("Connection", "keep-alive")], version="1.0")
            assert response.body == b"Hello, World!"
            assert (response.header("connection") or b"").lower() == b"keep-alive"
        assert connection.ask("GET", "/hello", version="1.0").body == b"Hello, World!"
        connection.expect_end()


def test_HTTP_1_0_keep_alive_with_a_body_of_unknown_length_closes(server, tag):
    with server.connect() as connection:
        headers = [("Connection", "keep-alive")]
        events = [start(), body(b"one", more=True), body(b"two")]
        connection.send(script_request(tag, *events, version="1.0", headers=headers))
        response = connection.response()
        assert (response.framing, response.body) == ("close", b"onetwo")
        assert (response.header("connection") or b"close").lower() == b"close"
        connection.expect_end()


def test_HTTP_1_1_keep_alive_is_the_default(server):
    with server.connect() as connection:
        response = connection.get("/hello")
        assert (response.header("connection") or b"keep-alive").lower() == b"keep-alive"
        assert connection.get("/hello").status == 200


@pytest.fixture
def impatient(shared):
    return shared("apps.scenarios:app", "--timeout-keep-alive", "1")


def test_U03_idle_connection_is_closed(impatient):
    with impatient.connect() as connection:
        assert connection.get("/hello").status == 200
        connection.expect_end()


def test_connection_that_never_asks_is_not_served_for_ever(impatient):
    """Whether by this limit or that of the head: it ends (S3, no bytes)."""
    with impatient.connect(timeout=30) as connection:
        connection.expect_end()


def test_U03_not_while_a_request_runs(impatient, tag):
    with impatient.connect() as connection, impatient.connect() as idle:
        assert connection.get("/hello").status == 200
        connection.request("GET", f"/waits?{tag}")
        assert idle.get("/hello").status == 200
        idle.expect_end()
        # The idle one, which began later, has run into the limit; this one must not.
        impatient.probe.open(f"{tag}.go")
        assert connection.response().body == b"waited"
        assert connection.get("/hello").status == 200


def test_U03_each_request_starts_the_limit_anew(impatient):
    with impatient.connect() as connection, impatient.connect() as idle:
        assert idle.get("/hello").status == 200
        connection.get("/hello")
        idle.socket.settimeout(0.2)
        ended = False
        while not ended:
            try:
                idle.expect_end()
                ended = True
            except Silence:
                assert connection.get("/hello").status == 200
        assert connection.get("/hello").status == 200


def test_keep_alive_time_is_not_for_a_request_that_came_while_the_loop_stood_still(impatient, tag):
    """Its bytes have waited in the socket for longer than the limit: that was not the client's doing."""
    with impatient.connect() as connection, impatient.connect() as blocker:
        assert connection.get("/hello").status == 200
        blocker.request("GET", f"/stands_still/2?{tag}")
        impatient.probe.expect("called", tag)
        connection.request("GET", "/hello")
        time.sleep(1.5)  # nothing happens meanwhile that could be waited for
        impatient.probe.open(f"{tag}.go")
        assert connection.response().status == 200
        assert blocker.response().status == 200


def test_U03_not_while_a_body_is_sent_slowly(impatient):
    with impatient.connect() as connection, impatient.connect() as idle:
        connection.send(request_bytes("POST", "/echo_body", [("Content-Length", "4")]) + b"ab")
        idle.get("/hello")
        idle.expect_end()
        connection.send(b"cd")
        assert connection.response().body == b"abcd"


def test_connection_closed_by_the_client_between_requests(server):
    for _ in range(50):
        with server.connect() as connection:
            connection.get("/hello")
            connection.socket.shutdown(socket.SHUT_RDWR)
    still_serves(server)
