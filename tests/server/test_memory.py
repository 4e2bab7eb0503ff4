"""Rows S4 and S5, and no growth over many requests: what a server holds for clients and applications that do not
keep up. Sizes are announced in full and moved only as far as the other side takes them."""

from __future__ import annotations

import os
import time

import pytest
from support.checks import still_serves
from support.measure import Queues, push_until_blocked, queues, resident_bytes
from support.wire import TIMEOUT, request_bytes

KB = 1 << 10
MB = 1 << 20
GB = 1 << 30
MANY_REQUESTS = 100_000


@pytest.fixture
def quiet_server(serve):
    """Without an access log, so that a run of many requests measures the server."""
    return serve("apps.scenarios:app", "--no-access-log")


def settle(server):
    """Returns once the server has turned a few times, with nothing left to do at once."""
    for _ in range(5):
        still_serves(server)


def growth(server, before):
    settle(server)
    return resident_bytes(server.pid) - before


def upload(server, tag, coding):
    """A connection whose head is sent and whose application has been called; then the bytes to push."""
    connection = server.connect(timeout=30)
    if coding == "length":
        head, block = [("Content-Length", str(2 * GB))], bytes(MB)
    else:
        head, block = [("Transfer-Encoding", "chunked")], b"10000\r\n" + bytes(64 * KB) + b"\r\n"
    connection.send(request_bytes("POST", f"/never_reads?{tag}", head))
    server.probe.expect("called", tag)
    return connection, block


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_S4_upload_of_2_GB_that_nobody_reads(quiet_server, tag, coding):
    server = quiet_server
    warm, block = upload(server, tag + "warm", coding)
    with warm:
        push_until_blocked(warm.socket, block, 256 * MB, quiet=0.3)
        server.probe.open(f"{tag}warm.go")
    settle(server)
    before = resident_bytes(server.pid)
    connection, block = upload(server, tag, coding)
    with connection:
        sent = push_until_blocked(connection.socket, block, 256 * MB)
        assert sent < 256 * MB, "the server goes on taking what nobody reads"
        assert growth(server, before) < MB
        in_kernel = kernel_holds(server, connection)
        taken = sent - in_kernel.unsent - in_kernel.unread
        assert taken <= 256 * KB, f"{taken} bytes were taken from the kernel"
        connection.close()
    server.probe.open(f"{tag}.go")
    still_serves(server)
    assert growth(server, before) < MB


def kernel_holds(server, connection):
    """Bytes on their way to the server: not yet acknowledged by its kernel, and acknowledged but not read."""
    return Queues(
        queues(connection.port, server.address[1]).unsent, queues(server.address[1], connection.port).unread
    )


@pytest.mark.parametrize("scenario", ["flood", "chunked_flood"])
def test_S5_response_of_10_GB_that_nobody_takes(quiet_server, tag, scenario):
    server = quiet_server
    with server.connect() as warm:
        warm.request("GET", f"/{scenario}/{10 * GB}?{tag}warm")
        warm.read_exactly(MB)
    server.probe.expect("flood_ended", tag + "warm", limit=60)
    settle(server)
    before = resident_bytes(server.pid)
    with server.connect() as connection:
        connection.request("GET", f"/{scenario}/{10 * GB}?{tag}")
        assert connection.head().status == 200
        taken = blocked_at(server, tag)
        assert taken < GB
        assert growth(server, before) < MB
        assert server.probe.seen("flood_ended", tag) == []
    server.probe.expect("flood_ended", tag, limit=60)
    assert growth(server, before) < MB


@pytest.mark.parametrize("scenario", ["flood", "chunked_flood"])
def test_S5_response_of_10_GB_taken_slowly(quiet_server, tag, scenario):
    server = quiet_server
    with server.connect(receive_buffer=64 * KB) as connection:
        connection.request("GET", f"/{scenario}/{10 * GB}?{tag}")
        connection.read_exactly(MB)
        before = resident_bytes(server.pid)
        for _ in range(200):
            connection.read_exactly(16 * KB)
            assert resident_bytes(server.pid) - before < MB
            time.sleep(0.001)
        assert server.probe.seen("flood_ended", tag) == []
    server.probe.expect("flood_ended", tag, limit=60)
    assert growth(server, before) < MB


def blocked_at(server, tag):
    """The bytes that send() had taken when it took none for 50 requests in a row."""
    last, same = -1, 0
    with server.connect() as other:
        while same < 50:
            now = int(other.get(f"/taken?{tag}").body)
            same = same + 1 if now == last and now > 0 else 0
            last = now
    return last


def test_S5_fifty_readers_that_take_nothing(quiet_server, tag):
    """At most 64 KB for each, and as much again must not be added by a second fifty."""
    server = quiet_server
    first = fifty_readers(server, tag + "a")
    leave(server, tag + "a", first)
    settle(server)
    before = resident_bytes(server.pid)
    second = fifty_readers(server, tag + "b")
    assert growth(server, before) < 50 * 64 * KB + MB
    leave(server, tag + "b", second)
    assert growth(server, before) < MB


def fifty_readers(server, tag):
    connections = []
    for number in range(50):
        connection = server.connect()
        connection.request("GET", f"/chunked_flood/{10 * GB}?{tag}{number}")
        connection.head()
        connections.append(connection)
    blocked_at(server, tag + "49")
    return connections


def leave(server, tag, connections):
    for connection in connections:
        connection.reset()
    for number in range(len(connections)):
        server.probe.expect("flood_ended", f"{tag}{number}", limit=60)


def ask_many(server, count, batch=50):
    """``count`` keep-alive requests on one connection, ``batch`` at a time."""
    wire = request_bytes("GET", "/hello") * batch
    with server.connect(timeout=30) as connection:
        first = connection.get("/hello")
        assert first.body == b"Hello, World!"
        size = measure_answer(connection)
        for _ in range(count // batch):
            connection.send(wire)
            answers = connection.read_exactly(size * batch)
            assert answers.count(b"\r\n\r\nHello, World!") == batch


def measure_answer(connection):
    connection.request("GET", "/hello")
    return len(connection.read_until(b"\r\n\r\n")) + len(connection.read_exactly(13))


def test_many_keep_alive_requests_do_not_grow_the_server(quiet_server):
    ask_many(quiet_server, 10_000)
    settle(quiet_server)
    before, called = resident_bytes(quiet_server.pid), calls(quiet_server)
    ask_many(quiet_server, MANY_REQUESTS)
    assert calls(quiet_server) > called + MANY_REQUESTS
    assert growth(quiet_server, before) < MB


def calls(server):
    return int(server.get("/calls").body)


def test_many_connections_do_not_grow_the_server(quiet_server):
    server = quiet_server

    def connections(count):
        for _ in range(count):
            with server.connect() as connection:
                assert connection.get("/hello").status == 200

    connections(1000)
    settle(server)
    before, files = resident_bytes(server.pid), len(os.listdir(f"/proc/{server.pid}/fd"))
    connections(3000)
    assert growth(server, before) < MB
    assert len(os.listdir(f"/proc/{server.pid}/fd")) <= files + 2


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(request_bytes("POST", "/ignores_body", body=b"x" * 10_000), id="unread bodies"),
        pytest.param(request_bytes("GET", "/raises/ValueError"), id="exceptions"),
        pytest.param(
            request_bytes("POST", "/events", [("Content-Length", "99")]) + b"half", id="half bodies"
        ),
        pytest.param(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nX-A", id="half heads"),
        pytest.param(b"\x00garbage\r\n\r\n", id="bad requests"),
        pytest.param(request_bytes("GET", "/large/100000"), id="answers not read"),
    ],
)
def test_clients_and_applications_that_fail_do_not_grow_the_server(quiet_server, wire):
    server = quiet_server

    def fail(count):
        for number in range(count):
            with server.connect() as connection:
                connection.send(wire)
                if number % 2:
                    connection.reset()

    fail(1500)
    settle(server)
    before, files = resident_bytes(server.pid), len(os.listdir(f"/proc/{server.pid}/fd"))
    fail(1500)
    assert growth(server, before) < MB
    assert len(os.listdir(f"/proc/{server.pid}/fd")) <= files + 4


def test_clients_that_leave_while_they_are_answered_leave_no_connection(quiet_server):
    """A burst faster than the server: it finds each client gone at another moment of its request."""
    server = quiet_server
    still_serves(server)
    files = len(os.listdir(f"/proc/{server.pid}/fd"))
    wire = request_bytes("GET", "/large/100000")
    for _ in range(4):
        for _ in range(3000):
            with server.connect() as connection:
                connection.send(wire)
        wait_for_files(server, files + 2)
    server.terminate()


def wait_for_files(server, most):
    """Returns when the server has at most so many open; each look is a request, so it has turned."""
    deadline = time.monotonic() + TIMEOUT
    while (now := len(os.listdir(f"/proc/{server.pid}/fd"))) > most:
        assert time.monotonic() < deadline, f"{now} files are open, {most} were expected"
        still_serves(server)
