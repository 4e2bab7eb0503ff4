"""The same server on other event loops: asyncio's and uvloop's. The server's own loop is then nested in theirs."""

from __future__ import annotations

import hashlib

import pytest
from support.checks import body, literal, script_request, start, still_serves
from support.wire import request_bytes

MB = 1 << 20


@pytest.fixture(params=["auto", "asyncio", "uvloop"])
def server(shared, request):
    return shared("apps.scenarios:app", "--loop", request.param)


def test_one_connection_alone(server):
    """Nothing else wakes the loop: each request must by itself."""
    with server.connect() as connection:
        for number in range(200):
            assert literal(connection.get(f"/echo/{number}"))["path"] == f"/echo/{number}"


def test_timers_and_sleeping_applications(server):
    with server.connect() as connection:
        report = literal(connection.get("/surroundings"))
    assert report["slept"] is True
    assert report["task"] is True
    assert report["loop"] == report["lifespan_loop"]


def test_wake_up_from_another_thread(server, tag):
    """The gate is opened by a thread (``call_soon_threadsafe``) while the loop sleeps."""
    for number in range(20):
        with server.connect() as connection:
            connection.request("GET", f"/waits?{tag}{number}")
            server.probe.expect("called", f"{tag}{number}")
            server.probe.open(f"{tag}{number}.go")
            assert connection.response().body == b"waited"


def test_upload_and_download(server):
    data = bytes(range(256)) * 4096 * 4
    with server.connect() as connection:
        seen = literal(connection.ask("POST", "/digest", body=data))
        assert seen["sha256"] == hashlib.sha256(data).hexdigest()
        assert len(connection.get(f"/large/{8 * MB}").body) == 8 * MB


def test_back_pressure_both_ways(server, tag):
    with server.connect(receive_buffer=4096) as connection:
        connection.request("GET", f"/chunked_flood/{16 * MB}?{tag}")
        assert len(connection.response().body) == 16 * MB
        assert server.probe.expect("flood_ended", tag)["taken"] == 16 * MB


def test_streams_are_flushed(server, tag):
    with server.connect() as connection:
        steps = [step for number in range(10) for step in (f"gate:{number}", body(b"%d" % number, more=True))]
        connection.send(script_request(tag, start(), *steps, body(b"")))
        for number in range(10):
            server.probe.open(f"{tag}.{number}")
            if number == 0:
                connection.head()
            assert connection.read_chunk() == b"%d" % number


@pytest.mark.parametrize("how", ["close", "reset"])
def test_disconnect(server, tag, how):
    with server.connect() as connection:
        connection.request("GET", f"/waits_for_disconnect?{tag}")
        server.probe.expect("waiting", tag)
        getattr(connection, how)()
        assert server.probe.expect("received_again", tag)["types"] == ["http.disconnect"] * 2
    still_serves(server)


def test_pipelining_and_many_connections(server):
    connections = [server.connect() for _ in range(50)]
    for connection in connections:
        connection.send(request_bytes("GET", "/hello") * 20)
    for connection in connections:
        for _ in range(20):
            assert connection.response().body == b"Hello, World!"
        connection.close()


def test_exception_is_500(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, "raise"))
        assert connection.response().status == 500
    server.expect_log(f"deliberate {tag}")


@pytest.mark.parametrize("loop", ["auto", "asyncio", "uvloop"])
def test_clean_stop(serve, loop):
    server = serve("apps.lifespans:plain", "--loop", loop)
    with server.connect() as idle:
        assert idle.get("/").body == b"served"
        server.terminate()
        idle.expect_end()
    assert server.probe.order()[-1] == "shutdown"
