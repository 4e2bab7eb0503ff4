"""What each member of ``fasterapi.WebSocket`` promises: steps that a handler performs, and how each went."""

from __future__ import annotations

import pytest
from support.websocket import RESERVED_1, WebSocket
from support.websocket_client import TIMEOUT, opened, target
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.frames import Opcode

CLOSED = "RuntimeError: WebSocket connection is closed"
GONE = "WebSocketDisconnect: WebSocket connection closed while waiting for message"
NO_PINGS = "needs fasterapi's server: this one gives no access to pings"
NOT_ACCEPTED = "RuntimeError: WebSocket connection is not accepted: await accept() first"


@pytest.fixture(params=["", "/wrapped"], ids=["direct", "wrapped"])
def client(shared, request):
    yield from opened(shared("apps.websocket_class:app"), request.param)


@pytest.fixture
def perform(client, tag):
    """``perform(*steps)`` opens a connection whose handler performs them; ``outcomes()`` waits until it has."""

    def perform(*steps, path="/script", **options):
        return client(target(list(steps), tag, path), **options)

    return perform


@pytest.fixture
def outcomes(client, tag):
    return lambda: client.server.probe.expect("outcomes", tag)["outcomes"]


class TestHandshake:
    def test_accept_with_a_subprotocol_and_headers(self, perform, outcomes):
        connection = perform(
            ["accept", ["chat.v2", [("X-One", "1"), (b"x-two", b"2")]]],
            ["get", ["subprotocols", "is_open"]],
            ["accept"],
            subprotocols=["chat.v1", "chat.v2"],
        )
        assert connection.subprotocol == "chat.v2"
        assert (connection.response.headers["x-one"], connection.response.headers["x-two"]) == ("1", "2")
        assert outcomes() == [
            None,
            [["chat.v1", "chat.v2"], True],
            "RuntimeError: WebSocket connection was accepted already",
        ]

    def test_without_accept_nothing_else_goes(self, perform, outcomes):
        with perform(
            *(["send", ["x"]], ["receive"], ["get", ["is_open"]], ["accept"], ["send", ["x"]]),
            path="/explicit",
        ) as connection:
            assert connection.recv(TIMEOUT) == "x"
        assert outcomes() == [NOT_ACCEPTED, NOT_ACCEPTED, False, None, None]

    @pytest.mark.parametrize("path", ["/script", "/explicit"])
    def test_a_denial_is_an_http_response(self, perform, outcomes, path):
        with pytest.raises(InvalidStatus) as refused:
            perform(
                ["send_denial_response", [401, "no entry é", [("X-Why", "because")]]],
                *(["get", ["state"]], ["send", ["x"]], ["accept"], ["close"]),
                path=path,
            )
        response = refused.value.response
        assert (response.status_code, response.body) == (401, "no entry é".encode())
        assert response.headers["x-why"] == "because"
        assert outcomes() == [None, "DISCONNECTED", CLOSED, CLOSED, None]

    def test_close_refuses_where_nothing_accepts_by_itself(self, perform, outcomes):
        with pytest.raises(InvalidStatus) as refused:
            perform(["close"], ["accept"], path="/explicit")
        assert refused.value.response.status_code == 403
        assert outcomes() == [None, CLOSED]

    @pytest.mark.parametrize("path", ["returning", "doing_nothing"])
    def test_a_handler_that_returns_closes_normally(self, client, path):
        connection = client(f"/{path}")
        assert list(connection) == (["bye"] if path == "returning" else [])
        assert connection.close_code == 1000

    def test_what_the_scope_says(self, client, perform, outcomes):
        names = ["url", "path_params", "cookies", "client", "headers", "query_params", "state"]
        connection = perform(
            *(["get", [name]] for name in names),
            ["send", ["x"]],
            *(["get", ["state"]], ["receive"]),
            additional_headers=[
                ("Cookie", 'a=1; b="two"; =; c'),
                ("X-Mixed", "grüße"),
            ],
        )
        local, sent = connection.local_address, connection.request.headers
        connection.close()
        url, params, cookies, address, headers, query, *states, _ = outcomes()
        assert url.startswith(client.url("/script?"))
        assert params == {"rest": []}
        assert cookies == {"a": "1", "b": "two"}
        assert address == local
        # Before its 17th release, websockets sends headers in UTF-8, since then in ISO-8859-1.
        assert f"X-Mixed: {headers['x-mixed']}\r\n".encode("latin-1") in sent.serialize()
        assert len(query) == 2
        assert states == ["CONNECTING", None, "CONNECTED"]


class TestSending:
    def test_after_a_close_everything_raises(self, perform, outcomes):
        steps = [
            ["send", ["x"]],
            ["send_text", ["x"]],
            ["send_bytes", [b"x"]],
            ["send_json", [{}]],
            ["receive"],
            ["receive_text"],
            ["receive_bytes"],
            ["receive_json"],
            ["ping"],
            ["pong"],
            ["accept"],
        ]
        connection = perform(
            ["send", ["last"]], ["close"], *steps, ["close"], ["close", [1002, "again"]], ["get", ["is_open"]]
        )
        assert list(connection) == ["last"]
        assert connection.close_code == 1000
        assert outcomes() == [None, None, *[CLOSED] * len(steps), None, None, False]

    @pytest.mark.parametrize(
        "code", [1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 1014, 3000, 4000, 4999]
    )
    def test_close_codes(self, perform, code):
        connection = perform(["close", [code, "grüße"]])
        with pytest.raises(ConnectionClosed):
            connection.recv(TIMEOUT)
        assert (connection.close_code, connection.close_reason) == (code, "grüße")

    def test_codes_and_reasons_that_may_not_be_sent(self, perform, outcomes):
        wrong = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536, -1]
        connection = perform(
            *(["close", [code]] for code in wrong),
            *(
                ["close", [1000, "x" * 124]],
                ["close", [1000, "ü" * 62]],
                ["get", ["is_open"]],
                ["send", ["open"]],
            ),
            ["close", [4000, "ü" * 61 + "x"]],
        )
        assert connection.recv(TIMEOUT) == "open"
        told = outcomes()
        assert told[:11] == [f"ValueError: close code {code} may not be sent" for code in wrong]
        assert told[11:13] == ["ValueError: a close reason has at most 123 bytes of UTF-8"] * 2
        with pytest.raises(ConnectionClosedError):
            connection.recv(TIMEOUT)
        assert connection.close_reason == "ü" * 61 + "x"

    def test_what_is_of_no_type_is_a_type_error_and_nothing_is_sent(self, perform, outcomes):
        wrong = [
            *(["close", [code]] for code in (1000.5, "1000", None)),
            *(["close", [1000, reason]] for reason in (None, b"x", 5)),
            *([method, [payload]] for method in ("ping", "pong") for payload in (5, [1], True)),
            *([method, [5]] for method in ("send", "send_text", "send_bytes")),
            *([method, [None]] for method in ("send", "send_text", "send_bytes")),
        ]
        connection = perform(["accept"], *wrong, ["get", ["is_open"]], ["send", ["open"]])
        assert connection.recv(TIMEOUT) == "open"
        told = outcomes()
        assert [each.split(":")[0] for each in told[1:-2]] == ["TypeError"] * len(wrong)
        assert told[-2] is True

    def test_what_has_no_utf8_is_a_value_error_and_nothing_is_sent(self, perform, outcomes):
        connection = perform(
            ["send", ["first"]], ["send", ["\ud800"]], ["send_json", ["\ud800"]], ["send", ["last"]]
        )
        assert list(connection) == ["first", '"\\ud800"', "last"]
        assert outcomes()[1].startswith("UnicodeEncodeError: ")

    def test_compression_by_message(self, client, tag, outcomes, server_name):
        text = "much of the same " * 20
        steps = [
            *(["send_text", [text], {"compress": compress}] for compress in (True, False, None)),
            *(["send_bytes", [text.encode()], {"compress": compress}] for compress in (True, False)),
            ["send_json", [[text]], {"compress": False}],
        ]
        deflate = ("Sec-WebSocket-Extensions", "permessage-deflate")
        with WebSocket(client.server.address, client.prefix + target(steps, tag), [deflate]) as connection:
            connection.opened()
            frames = [connection.read_frame() for _ in steps]
        deflated = [True, False, True, True, False, False] if server_name == "fasterapi" else [True] * 6
        assert [frame.reserved == RESERVED_1 for frame in frames] == deflated
        assert outcomes() == [None] * 6

    def test_messages_and_bytes_are_counted(self, perform, outcomes):
        counters = ["messages_sent", "bytes_sent", "messages_received", "bytes_received"]
        connection = perform(
            *(["get", counters], ["send", ["grüße"]], ["send", [b"123"]], ["get", counters]),
            *(["receive"], ["receive"], ["get", counters], ["receive"], ["get", counters], ["ping"]),
        )
        connection.send("ü")
        connection.send(b"x" * 200)
        assert [connection.recv(TIMEOUT) for _ in range(2)] == ["grüße", b"123"]
        connection.close(4000)
        told = outcomes()
        assert told[0] == [0, 0, 0, 0]
        assert told[3] == [2, 10, 0, 0]
        assert told[6] == told[8] == [2, 10, 2, 202]

    def test_connections_have_numbers_of_their_own(self, client):
        numbers = set()
        for number in range(3):
            mark = f"{client.server.pid}-{number}-{client.prefix[1:]}"
            with client(target([["get", ["connection_id"]]], mark)):
                [told] = client.server.probe.expect("outcomes", mark)["outcomes"]
            numbers.add(told)
        assert len(numbers) == 3


class TestReceiving:
    def test_the_wrong_kind_stays_the_next_message(self, perform, outcomes):
        connection = perform(
            *(
                ["receive_text"],
                ["receive_json"],
                ["receive_bytes"],
                ["receive_bytes"],
                ["receive_json", ["binary"]],
            ),
            *(["receive_json"], ["receive_text"], ["receive"], ["receive_json", ["other"]]),
        )
        for message in (b"one", "two", "[3]", b"four"):
            connection.send(message)
        connection.close()
        got, wanted_text = outcomes(), "TypeError: Expected text message, got <class 'bytes'>"
        wanted_bytes = "TypeError: Expected binary message, got <class 'str'>"
        assert got[:5] == [wanted_text, wanted_text, b"one", wanted_bytes, wanted_bytes]
        assert got[5].startswith("JSONDecodeError: ")
        assert got[6:8] == ["[3]", b"four"]
        assert got[8] == "ValueError: mode must be 'text' or 'binary', not 'other'"

    def test_json_in_both_kinds(self, perform, outcomes):
        connection = perform(["receive_json"], ["receive_json", ["binary"]], ["receive_json"], ["receive"])
        for message in ('{"a": [1, "é"]}', b'{"b": null}', "not json", "next"):
            connection.send(message)
        connection.close()
        told = outcomes()
        assert told[:2] == [{"a": [1, "é"]}, {"b": None}]
        assert told[2].startswith("JSONDecodeError: ")
        assert told[3] == "next"

    @pytest.mark.parametrize(("code", "reason"), [(1000, "bye"), (4321, "grüße"), (1011, "")])
    def test_what_came_before_the_disconnect_is_received_first(self, client, tag, outcomes, code, reason):
        steps = [["receive"], ["gate", [tag]], *[["receive"]] * 4, ["send", ["x"]], ["get", ["is_open"]]]
        with WebSocket(client.server.address, client.prefix + target(steps, tag)) as connection:
            connection.opened()
            for message in ("one", "two", b"three"):
                connection.say(message)
            connection.close_with(code, reason)
            client.server.probe.open(tag)
            end = f"{GONE} ({code} {reason}".rstrip() + ")"
            assert outcomes() == ["one", None, "two", b"three", end, end, end, False]

    @pytest.mark.parametrize("iterator", ["iter_text", "__aiter__"])
    @pytest.mark.parametrize("code", [1000, 1001, None, 4000])
    def test_iterators_end_quietly_on_a_normal_disconnect(self, client, tag, outcomes, iterator, code):
        steps = [["list", [iterator]]]
        with WebSocket(client.server.address, client.prefix + target(steps, tag)) as connection:
            connection.opened()
            connection.say("one")
            connection.say("two")
            connection.close_with(code)
            assert outcomes() == [["one", "two"] if code != 4000 else f"{GONE} (4000)"]

    def test_iterators_of_bytes_and_json(self, perform, outcomes):
        connection = perform(["list", ["iter_bytes"]], ["list", ["iter_json"]])
        connection.send(b"one")
        connection.send('{"two": 2}')
        connection.close()
        told = outcomes()
        assert told[0] == "TypeError: Expected binary message, got <class 'str'>"
        assert told[1] == [{"two": 2}]

    def test_an_iterator_ends_with_the_applications_close(self, perform, outcomes):
        connection = perform(["together", [["list", ["iter_text"]], ["receive_text"], ["close"]]])
        assert list(connection) == []
        assert outcomes() == [[[], CLOSED, None]]

    def test_a_receive_that_is_cancelled_loses_nothing(self, perform, outcomes, client, tag):
        connection = perform(["send", ["ready"]], ["cancelled", [["receive"]]], ["receive"], ["receive"])
        assert connection.recv(TIMEOUT) == "ready"
        connection.send("one")
        connection.send("two")
        assert outcomes() == [None, True, "one", "two"]

    def test_bytes_that_are_no_utf8_end_the_connection(self, perform, outcomes):
        connection = perform(["receive"], ["receive"])
        connection.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosedError):
            connection.recv(TIMEOUT)
        assert connection.close_code == 1007
        assert [each.split(":")[0] for each in outcomes()] == ["WebSocketDisconnect"] * 2


class TestControl:
    def test_a_ping_gives_the_seconds_until_its_pong(self, perform, outcomes, server_name):
        connection = perform(
            *(["get", ["latency"]], ["receive"], ["ping"], ["ping", [b"payload"]], ["ping", ["text"]]),
            *(["ping", [b"x" * 125]], ["ping", [b"x" * 126]], ["pong", ["x" * 126]], ["get", ["latency"]]),
        )
        pings = frames_of(connection, Opcode.PING)
        connection.send("go")
        told = outcomes()
        assert told[:2] == [None, "go"]
        assert told[6:8] == ["ValueError: a ping or pong has at most 125 bytes, not 126"] * 2
        if server_name == "fasterapi":
            assert all(0 < seconds < TIMEOUT for seconds in told[2:6])
            assert told[8] == told[5]
            assert pings[1:] == [b"payload", b"text", b"x" * 125]
        else:
            assert told[2:6] == [f"NotImplementedError: ping() {NO_PINGS}"] * 4
            assert told[8] is None

    def test_a_pong_unasked(self, perform, outcomes, server_name):
        connection = perform(["receive"], ["pong"], ["pong", [b"beat"]], ["send", ["done"]])
        pongs = frames_of(connection, Opcode.PONG)
        connection.send("go")
        assert connection.recv(TIMEOUT) == "done"
        native = server_name == "fasterapi"
        assert outcomes()[1:3] == [None if native else f"NotImplementedError: pong() {NO_PINGS}"] * 2
        assert pongs == ([b"", b"beat"] if native else [])

    def test_a_ping_that_waits_ends_with_the_connection(self, client, tag, outcomes, server_name):
        steps = [["together", [["send", ["pinged"]], ["ping"]]]]
        with WebSocket(client.server.address, client.prefix + target(steps, tag)) as connection:
            connection.opened()
            assert connection.message() == "pinged"
            connection.close_with(4001)
            native = server_name == "fasterapi"
            assert outcomes() == [
                [None, f"{GONE} (4001)" if native else f"NotImplementedError: ping() {NO_PINGS}"]
            ]

    def test_several_close_at_once(self, perform, outcomes):
        connection = perform(
            ["together", [["send", ["x"]], ["close", [4000]], ["close", [4001]], ["send", ["late"]]]]
        )
        assert list_until_closed(connection) == ["x"]
        assert connection.close_code == 4000
        assert outcomes() == [[None, None, None, CLOSED]]


def list_until_closed(connection):
    messages = []
    try:
        while True:
            messages.append(connection.recv(TIMEOUT))
    except ConnectionClosed:
        return messages


def frames_of(connection, opcode):
    """What frames of this kind hold, as they come from now on."""
    seen = []
    taking = connection.protocol.recv_frame

    def take(frame):
        if frame.opcode is opcode:
            seen.append(bytes(frame.data))
        taking(frame)

    connection.protocol.recv_frame = take
    return seen
