"""Clients that vanish in the middle of each call of ``fasterapi.WebSocket``; floods; rooms with slow members."""

from __future__ import annotations

import json

import pytest
from support.websocket import PING, WebSocket
from support.websocket_client import TIMEOUT, opened, target

GONE = "WebSocketDisconnect: WebSocket connection closed while waiting for message"
CODES = {"fasterapi": 1006, "uvicorn": 1005}
"""What ``websocket.disconnect`` has where no Close came; RFC 6455 7.1.5 says 1006."""


@pytest.fixture(params=["", "/wrapped"], ids=["direct", "wrapped"])
def client(shared, request):
    yield from opened(shared("apps.websocket_class:app"), request.param)


@pytest.fixture(params=["close", "reset"])
def vanish(request):
    """By a FIN without a Close, or by a reset."""
    return lambda connection: getattr(connection, request.param)()


CALLS = [
    *(["receive"], ["receive_text"], ["receive_bytes"], ["receive_json"], ["list", ["iter_text"]]),
    *(["list", [iterator]] for iterator in ("__aiter__", "iter_bytes", "iter_json")),
]


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_client_that_vanishes_ends_what_receives(client, tag, vanish, call, server_name):
    steps = [
        ["send", ["ready"]],
        call,
        ["get", ["is_open"]],
        call,
        ["send", ["x"]],
        ["close"],
        ["get", ["state"]],
    ]
    connection = WebSocket(client.server.address, client.prefix + target(steps, tag))
    connection.opened()
    assert connection.message() == "ready"
    vanish(connection)
    told = client.server.probe.expect("outcomes", tag)["outcomes"]
    gone = f"{GONE} ({CODES[server_name]})"
    ended = [] if call[0] == "list" and server_name == "uvicorn" else gone
    assert told == [None, ended, False, ended, gone, None, "DISCONNECTED"]


def test_a_client_that_vanishes_ends_a_ping_that_waits(client, tag, vanish, server_name):
    steps = [["send", ["ready"]], ["ping"], ["receive"]]
    connection = WebSocket(client.server.address, client.prefix + target(steps, tag))
    connection.opened()
    assert connection.message() == "ready"
    if server_name == "fasterapi":
        assert connection.read_frame().opcode == PING
    vanish(connection)
    told = client.server.probe.expect("outcomes", tag)["outcomes"]
    assert told[2] == f"{GONE} ({CODES[server_name]})"
    assert told[1] == told[2] or server_name == "uvicorn"


@pytest.fixture
def flooded(client, tag):
    """``flooded(method)``: a connection whose handler calls the method without end, and whose client does not read."""

    def flooded(method: str) -> WebSocket:
        path = f"{client.prefix}/flooding/{method}/{tag}"
        connection = WebSocket(client.server.address, path, receive_buffer=4096)
        connection.opened()
        connection.read_exactly(1000)
        return connection

    return flooded


@pytest.mark.parametrize("server_name", ["fasterapi"], indirect=True)  # on uvicorn send() waits for ever
@pytest.mark.parametrize(
    "method", ["send", "send_text", "send_bytes", "send_json", "send_personal_message", "send_personal_json"]
)
def test_a_client_that_vanishes_ends_a_send_that_waits(client, flooded, tag, vanish, method):
    vanish(flooded(method))
    told = client.server.probe.expect("flood over", tag)
    assert (told["error"], told["code"], told["open"]) == ("WebSocketDisconnect", 1006, False)


@pytest.mark.parametrize("server_name", ["fasterapi"], indirect=True)
def test_a_client_that_vanishes_ends_a_close_behind_sends_that_wait(client, flooded, tag, vanish):
    connection = flooded("close")
    client.server.probe.open(tag)
    vanish(connection)
    assert client.server.probe.expect("flood over", tag)["open"] is False


def test_all_that_sends_fails_once_the_client_has_vanished(client, tag, vanish, server_name):
    calls = [
        ["send", [{}]],
        ["send_text", ["x"]],
        ["send_bytes", [b"x"]],
        ["send_json", [1]],
        *(["ping"], ["pong"], ["accept"], ["send_denial_response"]),
    ]
    connection = WebSocket(
        client.server.address, client.prefix + target([["receive"], *calls, ["close"]], tag)
    )
    connection.opened()
    vanish(connection)
    told = client.server.probe.expect("outcomes", tag)["outcomes"]
    gone = f"{GONE} ({CODES[server_name]})"
    assert told == [*[gone] * 9, None]


@pytest.mark.parametrize("path", ["/script", "/explicit"])
def test_a_client_that_vanishes_before_the_accept(client, tag, vanish, path):
    steps = [["gate", [tag]], ["accept"], ["get", ["is_open"]], ["receive"], ["close"]]
    connection = WebSocket(client.server.address, client.prefix + target(steps, tag, path))
    vanish(connection)
    with client("/echo") as other:  # the server has seen what came before
        other.send("x")
        other.recv(TIMEOUT)
    client.server.probe.open(tag)
    told = client.server.probe.expect("outcomes", tag)["outcomes"]
    assert told[3].startswith(GONE)
    assert told[4] is None


def test_a_client_that_vanishes_before_a_denial(client, tag, vanish):
    steps = [["gate", [tag]], ["send_denial_response", [401, "no entry"]], ["get", ["state"]], ["receive"]]
    connection = WebSocket(client.server.address, client.prefix + target(steps, tag))
    vanish(connection)
    with client("/echo") as other:
        other.send("x")
        other.recv(TIMEOUT)
    client.server.probe.open(tag)
    told = client.server.probe.expect("outcomes", tag)["outcomes"]
    assert told[2] == "DISCONNECTED"
    assert told[3].startswith("RuntimeError: ")


def test_a_member_that_does_not_read_holds_nobody_up_and_misses_what_is_too_much(client):
    slow = WebSocket(client.server.address, client.prefix + "/chat/slow", receive_buffer=4096)
    slow.opened()
    assert json.loads(slow.message())["joined"] == "slow"
    ann, bob = client("/chat/ann"), client("/chat/bob")
    assert json.loads(ann.recv(TIMEOUT))["members"] == 2
    assert json.loads(ann.recv(TIMEOUT))["members"] == json.loads(bob.recv(TIMEOUT))["members"] == 3
    for number in range(200):
        text = f"{number} " + "x" * 100_000
        ann.send(text)
        assert ann.recv(TIMEOUT) == bob.recv(TIMEOUT) == f"ann: {text}"
    received = [slow.message(), slow.message()]  # ann and bob have joined
    while received[-1] != "ann: mark":
        ann.send("mark")  # which is missed until enough was read
        assert ann.recv(TIMEOUT) == "ann: mark"
        received.append(slow.message())
    numbers = [int(text.split()[1]) for text in received[2:-1]]
    assert numbers == sorted(set(numbers))
    assert 0 < len(numbers) < 200
    slow.close()
    ann.recv(TIMEOUT)


def test_members_that_vanish_are_removed_by_the_next_broadcast(client, vanish):
    gone = [WebSocket(client.server.address, client.prefix + f"/chat/gone{number}") for number in range(3)]
    for connection in gone:
        connection.opened()
        assert "joined" in json.loads(connection.message())
    ann = client("/chat/ann")
    assert json.loads(ann.recv(TIMEOUT)) == {"joined": "ann", "members": 4}
    for connection in gone:
        vanish(connection)
    left = [json.loads(ann.recv(TIMEOUT)) for _ in gone]
    assert {each["left"] for each in left} == {"gone0", "gone1", "gone2"}
    assert left[-1]["members"] == 1
