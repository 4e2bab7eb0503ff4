"""``fasterapi.Server`` in a thread: when it has stopped, no native object may be left, whatever went before."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading

import pytest
from support.wire import LAST_CHUNK, Truncated, chunk, request_bytes

import fasterapi
from fasterapi import _native
from fasterapi.loop import new_event_loop

MB = 1 << 20


async def hello(scope, receive, send):
    """Reads the body, greets; takes part in the lifespan."""
    if scope["type"] == "lifespan":
        await take_part(receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    await answer(send, b"Hello, World!")


async def take_part(receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def answer(send, data):
    length = [(b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": data})


def only_http(function):
    """An application of which only the HTTP part is interesting."""

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await take_part(receive, send)
        else:
            await function(scope, receive, send)

    return app


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("how", ["abandoned", "cancelled", "forced"])
def test_nothing_lives_when_the_loop_is_closed_under_requests(how):
    """Nobody cancels their tasks, as asyncio.run() would."""

    called = asyncio.Event()

    @only_http
    async def hangs(scope, receive, send):
        called.set()
        await receive()
        await asyncio.Event().wait()

    async def main():
        server = fasterapi.Server(fasterapi.Config(hangs, port=0, log_config=None, access_log=False))
        serving = asyncio.ensure_future(server.serve())
        while not server.started:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
        client = socket.create_connection(server.servers[0].sockets[0].getsockname())
        client.sendall(request_bytes("GET", "/"))
        await called.wait()
        if how == "cancelled":
            serving.cancel()
        if how == "forced":
            server.force_exit = server.should_exit = True
        if how != "abandoned":
            await asyncio.wait([serving], timeout=10)
        return client

    def run_and_close():
        loop = new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)  # "Task was destroyed but it is pending!"
        client = loop.run_until_complete(main())
        loop.close()
        client.close()

    # Not in the main thread, whose signals a serve() that never ends would keep.
    thread = threading.Thread(target=run_and_close)
    thread.start()
    thread.join()
    gc.collect()
    assert _native.live_objects() == {}


def greets(connection):
    assert connection.get("/").body == b"Hello, World!"


def test_served_and_stopped(in_process):
    server = in_process(hello)
    with server.connect() as connection:
        greets(connection)


def test_stopped_without_a_request(in_process):
    in_process(hello).stop_after_start()


def test_two_servers_at_once_and_one_after_the_other(in_process):
    first, second = in_process(hello), in_process(hello)
    with first.connect() as one, second.connect() as two:
        greets(one)
        greets(two)
        first.stop()
        one.expect_end()
        greets(two)
    with in_process(hello).connect() as three:
        greets(three)


def test_keep_alive_and_pipelined_requests(in_process):
    server = in_process(hello)
    with server.connect() as connection:
        for _ in range(200):
            greets(connection)
        connection.send(request_bytes("GET", "/") * 100)
        for _ in range(100):
            assert connection.response().body == b"Hello, World!"


def test_pipelined_bodies(in_process):
    server = in_process(hello)
    one = request_bytes("POST", "/", [("Transfer-Encoding", "chunked")]) + chunk(b"x" * 5000) + LAST_CHUNK
    with server.connect() as connection:
        connection.send((one + request_bytes("POST", "/", body=b"y" * 5000)) * 20)
        for _ in range(40):
            assert connection.response().body == b"Hello, World!"


def test_connections_open_at_the_stop(in_process):
    server = in_process(hello)
    connections = [server.connect() for _ in range(20)]
    for connection in connections[::2]:
        greets(connection)
    server.stop()
    for connection in connections:
        connection.expect_end()
        connection.close()


def test_half_a_head_and_half_a_body_at_the_stop(in_process):
    server = in_process(hello, timeout_graceful_shutdown=1)
    with server.connect() as head, server.connect() as body:
        head.send(b"GET / HTTP/1.1\r\nHos")
        body.send(request_bytes("POST", "/", [("Content-Length", "10")]) + b"half")
        greets_another(server)
        server.stop()
        head.read_to_end()
        body.read_to_end()


def greets_another(server):
    with server.connect() as other:
        greets(other)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_gone_in_every_phase(in_process, how):
    server = in_process(hello)
    wires = [
        b"",
        b"GET / HT",
        request_bytes("POST", "/", [("Content-Length", "10")]) + b"half",
        request_bytes("POST", "/", [("Transfer-Encoding", "chunked")]) + b"5\r\nab",
        request_bytes("GET", "/"),
        request_bytes("GET", "/") * 10 + b"GET",
        b"\x00\r\n\r\n",
    ]
    for wire in wires * 20:
        with server.connect() as connection:
            connection.send(wire)
            getattr(connection, how)()
    greets_another(server)


def test_application_that_fails_in_every_phase(in_process, caplog):
    async def fails(scope, receive, send):
        where = scope["path"]
        if where == "/first":
            raise RuntimeError("deliberate")
        if where == "/nothing":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if where == "/started":
            raise RuntimeError("deliberate")
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        if where == "/unfinished":
            return
        raise RuntimeError("deliberate")

    server = in_process(only_http(fails))
    for path in ["/first", "/nothing", "/started", "/unfinished", "/part"] * 10:
        with server.connect() as connection:
            connection.request("GET", path, [("Connection", "close")])
            try:
                assert connection.response().status == 500
            except Truncated:
                assert path not in ("/first", "/nothing")
    assert caplog.text.count("RuntimeError: deliberate") == 30
    caplog.clear()  # its records hold tracebacks, and those the application's frames


def test_wrong_messages(in_process):
    wrong = [
        {"type": "nonsense"},
        {"type": "http.response.start", "status": "200"},
        {"type": "http.response.start", "status": 200, "headers": [("a", "b")]},
        {"type": "http.response.start", "status": 200, "headers": [(b"a\r\n", b"b")]},
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b", b"c")]},
        {"type": "http.response.start", "status": 10**30},
        {"type": "http.response.body", "body": "text"},
        {},
        None,
        [],
        "text",
        7,
    ]
    raised = []

    async def sends(scope, receive, send):
        if scope["path"] == "/after":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        for message in wrong:
            try:
                await send(message)
            except Exception as error:
                raised.append((message, type(error)))

    server = in_process(only_http(sends))
    for path in ("/before", "/after"):
        with server.connect() as connection:
            connection.request("GET", path, [("Connection", "close")])
            connection.read_to_end()
    server.stop()
    assert [message for message, _ in raised] == wrong + wrong
    raised.clear()


def test_tasks_that_outlive_their_request(in_process):
    """They hold receive and send; using them later is harmless."""
    finished = threading.Event()
    outcomes = []

    async def leaves_a_task(scope, receive, send):
        async def later():
            await asyncio.sleep(0.05)
            outcomes.append((await receive())["type"])
            try:
                await send({"type": "http.response.body", "body": b"late"})
            except Exception as error:
                outcomes.append(error)
            finished.set()

        tasks.append(asyncio.ensure_future(later()))
        await answer(send, b"early")

    tasks = []
    server = in_process(only_http(leaves_a_task))
    with server.connect() as connection:
        assert connection.get("/").body == b"early"
        assert finished.wait(10)
    assert outcomes[0] == "http.disconnect"
    tasks.clear()


def test_scope_receive_and_send_kept_by_the_application(in_process):
    """Whoever keeps them keeps no connection; they end with the application's own references."""
    kept = []

    async def keeps(scope, receive, send):
        kept.append((scope, receive, send))
        await answer(send, b"kept")

    server = in_process(only_http(keeps))
    for _ in range(10):
        with server.connect() as connection:
            assert connection.get("/").body == b"kept"
    server.stop()
    assert len(kept) == 10
    kept.clear()


def test_reference_cycles_through_send(in_process):
    async def cycles(scope, receive, send):
        loop = [scope, receive, send]
        loop.append(loop)
        scope["me"] = loop
        await answer(send, b"round")

    server = in_process(only_http(cycles))
    with server.connect() as connection:
        for _ in range(20):
            assert connection.get("/").body == b"round"


def test_cancelled_and_waiting_calls(in_process):
    """receive() and a blocked send() that are given up leave nothing behind."""

    async def gives_up(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        for _ in range(10):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(receive(), 0.005)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            try:
                message = {"type": "http.response.body", "body": bytes(MB), "more_body": True}
                await asyncio.wait_for(send(message), 0.05)
            except asyncio.TimeoutError:
                blocked.set()
                return

    blocked = threading.Event()
    server = in_process(only_http(gives_up))
    with server.connect() as connection:
        connection.request("GET", "/")
        assert blocked.wait(20)
        connection.reset()
    greets_or_fails(server)


def greets_or_fails(server):
    with server.connect() as connection:
        connection.reset()


def test_request_in_flight_at_a_forced_stop(in_process):
    """The graceful time is over; the application is cancelled or cut off, and lets go."""
    called = threading.Event()

    async def never_answers(scope, receive, send):
        called.set()
        await asyncio.sleep(3600)

    server = in_process(only_http(never_answers), timeout_graceful_shutdown=1)
    with server.connect() as connection:
        connection.request("GET", "/")
        assert called.wait(10)
        server.stop()
        connection.read_to_end()


def test_application_that_waits_in_receive_at_a_forced_stop(in_process):
    ended = threading.Event()

    async def waits(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        ended.set()

    server = in_process(only_http(waits), timeout_graceful_shutdown=1)
    with server.connect() as connection:
        connection.request("GET", "/")
        server.stop()
        connection.read_to_end()


def test_answer_not_read_at_the_stop(in_process):
    async def large(scope, receive, send):
        await answer(send, bytes(64 * MB))

    server = in_process(only_http(large), timeout_graceful_shutdown=1)
    with server.connect(receive_buffer=4096) as connection:
        connection.request("GET", "/")
        assert connection.head().status == 200
        server.stop()


def test_lifespan_that_fails(in_process):
    async def fails(scope, receive, send):
        if scope["type"] == "lifespan":
            raise RuntimeError("deliberate")
        await answer(send, b"Hello, World!")

    with in_process(fails).connect() as connection:
        greets(connection)
