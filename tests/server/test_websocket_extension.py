"""``scope["extensions"]["fasterapi.websocket"]`` (docs/websocket.md), by the client of ``websockets``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.frames import Opcode
from websockets.sync.client import ClientConnection, connect

TIMEOUT = 20


class Client:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def ask(self, *command: Any) -> Any:
        self.tell(*command)
        return json.loads(self.connection.recv(TIMEOUT))

    def tell(self, *command: Any) -> None:
        self.connection.send(json.dumps(command))


@pytest.fixture
def server(shared):
    return shared("apps.websocket_extension:app")


@pytest.fixture
def client(server) -> Iterator[Callable[..., Client]]:
    with ExitStack() as stack:

        def open_one(path: str = "/", **options: Any) -> Client:
            url = f"ws://127.0.0.1:{server.address[1]}{path}"
            return Client(stack.enter_context(connect(url, proxy=None, open_timeout=TIMEOUT, **options)))

        yield open_one


def ignoring_pings(answering: Callable[..., None]) -> Callable[..., None]:
    return lambda frame: None if frame.opcode is Opcode.PING else answering(frame)


def test_a_ping_is_awaited_for_the_seconds_until_its_pong(client):
    one = client()
    [seconds] = one.ask("ping", "")
    assert 0 < seconds < TIMEOUT
    assert all(0 < each < TIMEOUT for each in one.ask("ping", "a", "b"))


def test_a_ping_that_cannot_be_sent_says_why(client):
    one = client()
    assert one.ask("ping", "x" * 126).startswith("ValueError: ")
    assert (
        one.ask("ping", "same", "same") == "ValueError: a ping with this payload waits for its pong already"
    )


def test_a_ping_that_is_never_answered_ends_with_the_connection(client, server):
    one = client()
    one.connection.protocol.recv_frame = ignoring_pings(one.connection.protocol.recv_frame)
    one.tell("ping_later")
    one.ask("statistics")
    one.connection.close(4000, "bye")
    for told in (
        "ping: the WebSocket was closed before the pong came",
        "closed: 4000 bye 2",
        "receive_data: the client has disconnected",
        "send_text: the client has disconnected",
    ):
        assert server.output.wait(lambda lines, told=told: f"{told}\n" in lines, TIMEOUT), server.output.items


def test_a_ping_that_was_given_up_leaves_nothing_behind(client):
    one = client()
    one.connection.protocol.recv_frame = ignoring_pings(one.connection.protocol.recv_frame)
    assert [one.ask("ping_given_up", "same") for _ in range(3)] == [True] * 3


def test_pongs_are_events_where_they_are_asked_for(client):
    one = client()
    one.connection.pong(b"silent")
    assert one.ask("pong_events", True) is True
    one.connection.pong(b"unasked")
    assert one.connection.recv(TIMEOUT) == b"unasked"
    assert one.ask("pong_events", False) is False


@pytest.mark.parametrize("compress", [(), (True,), (False,)])
def test_messages_without_dictionaries_are_the_same_messages(client, compress):
    one = client()
    one.tell("echo", *compress)
    messages = ["", "grüße 漢字 😀\0", b"", b"\0\xff", "x" * 70_000, bytes(range(256)) * 300, "x" * 1_000_000]
    for message in messages:
        one.connection.send(message)
    assert [one.connection.recv(TIMEOUT) for _ in messages] == messages
    one.connection.send("over")
    assert [one.connection.recv(TIMEOUT) for _ in range(3)] == [
        "TypeError",
        "TypeError",
        "UnicodeEncodeError",
    ]
    told = one.ask("statistics")
    assert (told["messages_received"], told["messages_sent"]) == (len(messages) + 3, len(messages) + 3)


def test_no_message_goes_either_way_before_the_accept(client):
    one = client("/early")
    refused = "the WebSocket was not accepted"
    assert json.loads(one.connection.recv(TIMEOUT)) == [
        f"send_text: {refused}",
        f"send_bytes: {refused}",
        f"receive_data: {refused}",
    ]


def test_a_pong_is_sent_unasked(client):
    one = client()
    seen = []
    protocol = one.connection.protocol
    taking = protocol.recv_frame
    protocol.recv_frame = lambda frame: (
        seen.append(frame.data) if frame.opcode is Opcode.PONG else taking(frame)
    )
    assert one.ask("pong", "beat") is None
    assert one.ask("pong", "x" * 126).startswith("ValueError: ")
    assert seen == [b"beat"]


def test_statistics_count_messages_and_their_bytes(client):
    one = client(compression=None)
    one.tell("plain", "x" * 100)
    one.connection.recv(TIMEOUT)
    told = one.ask("statistics")
    sent = len(json.dumps(["plain", "x" * 100])) + len(json.dumps(["statistics"]))
    assert told == {
        "messages_received": 2,
        "messages_sent": 1,
        "bytes_received": sent,
        "bytes_sent": 100,
        "messages_dropped": 0,
        "queued": 0,
        "deflates": False,
        "latency": None,
    }
    assert client().ask("statistics")["deflates"] is True


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_what_is_published_goes_to_every_subscriber_once(client, compression):
    ones = [client(compression=compression) for _ in range(3)]
    other = client()
    for one in [*ones, other]:
        assert one.ask("subscribe", "news") is True
        assert one.ask("subscribe", "news") is False
    assert other.ask("subscribe", "more") is True
    assert other.ask("unsubscribe", "news") is True
    assert other.ask("unsubscribe", "news") is False
    for data in ("short", "long " * 1000, "grüße"):
        assert other.ask("publish", "news", "text", data) == 3
        assert [one.connection.recv(TIMEOUT) for one in ones] == [data] * 3
        # Deflate's contexts are still those of both sides.
        assert [one.ask("subscribe", "news") for one in ones] == [False] * 3
    assert other.ask("publish", "news", "bytes", "data") == 3
    assert [one.connection.recv(TIMEOUT) for one in ones] == [b"data"] * 3
    ones[0].connection.close()
    while other.ask("publish", "news", "text", "again") != 2:
        pass
    assert ones[2].connection.recv(TIMEOUT) == "again"


def test_a_topic_without_subscribers_takes_nobody(client):
    one = client()
    assert one.ask("publish", "nobody's", "text", "x") == 0
    assert one.ask("publish", "nobody's", "other", "x").startswith("TypeError: ")
    assert one.ask("subscribe", 5).startswith("TypeError: ")
