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
    ["list", ["__aiter__"]],
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


@pytest.mark.parametrize("server_name", ["fasterapi"], indirect=True)  # on uvicorn send() waits for ever
def test_a_client_that_vanishes_ends_a_send_that_waits(client, vanish):
    connection = WebSocket(client.server.address, client.prefix + "/flooding", receive_buffer=4096)
    connection.opened()
    connection.read_exactly(1000)
    count = len(client.server.probe.seen("flood over"))
    vanish(connection)
    told = client.server.probe.expect("flood over", count=count + 1)
    assert (told["error"], told["open"]) == ("WebSocketDisconnect", False)
    assert told["code"] == 1006


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
