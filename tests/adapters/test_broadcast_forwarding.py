"""Channels forwarded to WebSockets, by clients of ``websockets``: on this server by its topics, on others by a task."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

TIMEOUT = 20


@pytest.fixture
def server(shared):
    return shared("apps.broadcasting:app")


@pytest.fixture
def client() -> Iterator[Callable[..., ClientConnection]]:
    with ExitStack() as stack:

        def open_one(server: Any, target: str = "/chat", **options: Any) -> ClientConnection:
            url = f"ws://127.0.0.1:{server.address[1]}{target}"
            return stack.enter_context(connect(url, proxy=None, open_timeout=TIMEOUT, **options))

        yield open_one


def publish(server: Any, data: bytes) -> dict[str, Any]:
    with server.connect() as connection:
        answer = connection.ask("POST", "/publish", [("Connection", "close")], data)
    return json.loads(answer.body)


def test_what_one_says_all_get_in_order(client, server, server_name):
    clients = [client(server, compression=None if number % 2 else "deflate") for number in range(20)]
    ways = {each.recv(TIMEOUT).split()[1] for each in clients}
    assert ways == {"native" if server_name == "fasterapi" else "pump"}
    messages = ["text é" * 100, b"\x00\xff", *map(str, range(100))]
    for message in messages:
        clients[3].send(message)
    for each in clients:
        assert [each.recv(TIMEOUT) for _ in messages] == messages


def test_forwarding_ends_with_its_body_and_the_websocket_goes_on(client, server):
    stays, leaves = client(server), client(server)
    stays.recv(TIMEOUT), leaves.recv(TIMEOUT)
    leaves.send("leave")
    assert leaves.recv(TIMEOUT) == "no more"
    stays.send("hello")
    assert stays.recv(TIMEOUT) == "hello"
    leaves.close()
    with pytest.raises(ConnectionClosed):
        leaves.recv(TIMEOUT)


def test_a_client_that_leaves_takes_its_forwarding_along(client, serve):
    server = serve("apps.broadcasting:app")
    for target in ("/chat", "/listen", "/listen?policy=disconnect"):
        one = client(server, target)
        one.recv(TIMEOUT)
        one.send("ignored by a listener")
        if target == "/chat":
            one.recv(TIMEOUT)  # else its way back may cross the close
        one.close()
    assert server.output.wait(lambda lines: lines.count("listener left\n") == 2, TIMEOUT), server.stdout
    assert server.output.wait(lambda lines: lines.count("left: NoneType\n") == 1, TIMEOUT), server.stdout
    assert publish(server, b"x") == {"channels": 0}


def test_forwarding_to_a_client_that_has_left_leaves_nothing(client, serve):
    server = serve("apps.broadcasting:app")
    client(server, "/late").close()
    assert server.output.wait(lambda lines: "late listener left\n" in lines, TIMEOUT), server.stdout
    assert publish(server, b"x") == {"channels": 0}
    assert "late\n" in server.stdout


def test_a_client_that_is_too_slow_is_closed_by_policy_and_the_others_go_on(client, serve, server_name):
    server = serve("apps.broadcasting:app")
    quick = client(server, max_queue=None, max_size=None)
    quick.recv(TIMEOUT)
    with socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect(("127.0.0.1", server.address[1]))
        slow = client(server, "/listen?policy=disconnect&limit=8", sock=narrow, max_queue=1, compression=None)
        slow.recv(TIMEOUT)
        size, count = 100_000, 200
        for _ in range(count):
            publish(server, bytes(size))
            assert len(quick.recv(TIMEOUT)) == size
        assert server.output.wait(lambda lines: "listener left\n" in lines, TIMEOUT), server.stdout
        # What it takes now was sent before; the close is behind that.
        got = []
        with pytest.raises(ConnectionClosedError) as closed:
            got.extend(len(message) for message in slow)
        # uvicorn's close() waits until the client reads, which nobody waits for.
        if server_name == "fasterapi":
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1013, "too slow")
        assert got == [size] * len(got)
        assert 0 < len(got) < count


def test_servers_of_one_host_share_a_channel(client, serve, meeting_place):
    servers = [serve("apps.broadcasting:app", env={"BROADCAST": "host://forwarding"}) for _ in range(3)]
    clients = [client(server, "/chat?lost=something") for server in servers]
    assert len({each.recv(TIMEOUT).split()[0] for each in clients}) == 3
    clients[1].send("to all")
    assert [each.recv(TIMEOUT) for each in clients] == ["to all"] * 3
    servers[0].kill()
    assert [each.recv(TIMEOUT) for each in clients[1:]] == ["something"] * 2
    publish(servers[1], b"the relay has gone")
    assert [each.recv(TIMEOUT) for each in clients[1:]] == [b"the relay has gone"] * 2
