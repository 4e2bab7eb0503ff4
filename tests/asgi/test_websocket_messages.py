"""Rows W30–W43, W61–W62b, W76–W81: messages in both directions, and what send() refuses."""

from __future__ import annotations

import os

import pytest
from support.checks import raised, taken_until_blocked
from support.measure import push_until_blocked
from support.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    RESERVED_1,
    TEXT,
    Frame,
    WebSocket,
    frame_bytes,
    outcomes,
    scripted,
)

ACCEPT = {"type": "websocket.accept"}
OPEN = ("receive", ACCEPT)
FLOOD, MOST = 64 << 20, 32 << 20


def send(**values):
    return {"type": "websocket.send", **values}


@pytest.fixture
def echo(server):
    with WebSocket(server.address, "/websocket_echo") as peer:
        peer.opened()
        yield peer


@pytest.mark.parametrize("message", ["text é€🐍", b"\x00\xff bytes", "", b""])
def test_W30_received_message(server, tag, message):
    with scripted(server, tag, *OPEN, "receive") as peer:
        peer.opened()
        peer.say(message)
        event = outcomes(server, tag)[-1]
    key, other = ("text", "bytes") if isinstance(message, str) else ("bytes", "text")
    assert event["type"] == "websocket.receive"
    assert type(event[key]) is type(message)
    assert event[key] == message
    assert event.get(other) is None


@pytest.mark.parametrize("message", ["text", b"bytes"])
def test_received_message_leaves_the_other_key_out(server, tag, message):
    with scripted(server, tag, *OPEN, "receive") as peer:
        peer.opened()
        peer.say(message)
        assert len(outcomes(server, tag)[-1]) == 2


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_W32_fragments_with_a_ping_between_them(server, tag, opcode):
    """Cut inside a character; the answer to the ping does not wait for the message's end."""
    data = "fragmented é€".encode()
    with scripted(server, tag, *OPEN, "receive", "say:received", "gate:go") as peer:
        peer.opened()
        peer.frame(opcode, data[:12], final=False)
        peer.frame(PING, b"between")
        assert peer.read_frame() == Frame(PONG, b"between")
        peer.frame(CONTINUATION, b"", final=False)
        peer.frame(CONTINUATION, data[12:])
        server.probe.expect("received", tag)
        server.probe.open(f"{tag}.go")
        event = outcomes(server, tag)[-1]
    assert event.get("text" if opcode == TEXT else "bytes") == (data.decode() if opcode == TEXT else data)


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(125))], ids=len)
def test_W34_ping_is_answered_unseen(server, tag, payload):
    with scripted(server, tag, *OPEN, "receive") as peer:
        peer.opened()
        peer.frame(PONG, b"nobody asked")
        peer.frame(PING, payload)
        assert peer.read_frame() == Frame(PONG, payload)
        peer.say("seen")
        assert outcomes(server, tag)[-1].get("text") == "seen"


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        (send(text="é"), Frame(TEXT, "é".encode())),
        (send(bytes=b"\xff"), Frame(BINARY, b"\xff")),
        (send(text="x", bytes=None), Frame(TEXT, b"x")),
        (send(bytes=b"x", text=None), Frame(BINARY, b"x")),
        (send(text=""), Frame(TEXT)),
        (send(bytes=b""), Frame(BINARY)),
    ],
)
def test_W35_sent_message(server, tag, event, frame):
    with scripted(server, tag, *OPEN, event) as peer:
        peer.opened()
        assert peer.read_data_frame() == frame
        assert outcomes(server, tag)[-1] is None


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(send(), id="W37_neither"),
        pytest.param(send(text=None, bytes=None), id="W37_both_None"),
        pytest.param(send(text="x", bytes=b"x"), id="W37b_both"),
        pytest.param(send(text=b"x"), id="W37c_text_as_bytes"),
        pytest.param(send(text=7), id="W37c_text_as_int"),
        pytest.param(send(bytes="x"), id="W37c_bytes_as_text"),
        pytest.param(send(text="\ud800"), id="W37c_text_of_a_surrogate"),
        pytest.param({"type": "websocket.nonsense"}, id="W37c_unknown_event"),
        pytest.param({"type": "websocket.receive", "text": "x"}, id="W37c_event_of_the_server"),
        pytest.param({"text": "x"}, id="W37c_no_type"),
        pytest.param(ACCEPT, id="W62_second_accept"),
        pytest.param({"type": "http.response.start", "status": 200, "headers": []}, id="W62b_http_start"),
        pytest.param({"type": "http.response.body", "body": b"x"}, id="W62b_http_body"),
        pytest.param(
            {"type": "websocket.http.response.start", "status": 403, "headers": []},
            id="denial_after_the_accept",
        ),
    ],
)
def test_W37_W62_wrong_event_raises_and_nothing_is_sent(server, tag, event):
    with scripted(server, tag, *OPEN, event, send(text="after")) as peer:
        peer.opened()
        answered = peer.read_data_frame()
        assert answered.opcode == CLOSE or answered == Frame(TEXT, b"after")
        assert raised(outcomes(server, tag)[2]), f"send({event}) was accepted"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(send(text="early"), id="W61_text"),
        pytest.param(send(bytes=b"early"), id="W61_bytes"),
        pytest.param({"type": "http.response.start", "status": 200, "headers": []}, id="W62b_http_start"),
    ],
)
def test_W61_W62b_wrong_event_before_the_accept_raises(server, tag, event):
    with scripted(server, tag, "receive", event, ACCEPT) as peer:
        assert raised(outcomes(server, tag)[1]), f"send({event}) was accepted"
        assert peer.head().status in (101, 500, 403)


def test_W38_empty_messages(echo):
    for message in ("", b"", "", b""):
        echo.say(message)
        assert echo.message() == message


@pytest.mark.parametrize("size", [125, 126, 127, 65535, 65536, 1 << 20])
def test_W39_long_messages(echo, size):
    for message in (os.urandom(size), "x" * size):
        echo.say(message)
        assert echo.message() == message


def test_W39_many_messages_keep_their_order(echo):
    echo.send(b"".join(frame_bytes(TEXT, b"%d" % number) for number in range(200)))
    assert [echo.message() for _ in range(200)] == [str(number) for number in range(200)]


def test_messages_in_pieces_of_any_size(echo):
    """Frames are cut by the network wherever it likes."""
    whole = b"".join(frame_bytes(opcode, b"data " * 60) for opcode in (TEXT, BINARY, TEXT))
    for step in (1, 2, 3, 7, 61, 299):
        for start in range(0, len(whole), step):
            echo.send(whole[start : start + step])
        assert [echo.message() for _ in range(3)] == ["data " * 60, b"data " * 60, "data " * 60]


def test_W76_both_sides_speak_at_once_on_many_sockets(server, tag):
    count, numbers = 20, [str(number) for number in range(100)]
    peers = [
        WebSocket(server.address, f"/websocket_duplex/{len(numbers)}?{tag}{number}")
        for number in range(count)
    ]
    try:
        for peer in peers:
            peer.opened()
        for text in numbers:
            for peer in peers:
                peer.say(text)
        for number, peer in enumerate(peers):
            assert [peer.message() for _ in numbers] == numbers
            assert server.probe.expect("received", f"{tag}{number}")["texts"] == numbers
    finally:
        for peer in peers:
            peer.close()


def test_W77_send_waits_for_a_client_that_does_not_read(server, tag):
    with WebSocket(server.address, f"/websocket_flood/{FLOOD}?{tag}", receive_buffer=4096) as peer:
        peer.opened()
        assert taken_until_blocked(server, tag) < MOST
        assert sum(len(peer.message()) for _ in range(FLOOD // 65536)) == FLOOD


def test_W77b_application_that_does_not_receive_stops_the_client(server, tag):
    with scripted(server, tag, *OPEN, "gate:go", "receive") as peer:
        peer.opened()
        assert push_until_blocked(peer.socket, frame_bytes(BINARY, bytes(65536)), FLOOD) < MOST
        server.probe.open(f"{tag}.go")
        assert outcomes(server, tag)[-1].get("bytes") == bytes(65536)


OFFERS = [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9, permessage-deflate",
    "x-unknown; a=1, permessage-deflate",
]


@pytest.mark.parametrize("offer", OFFERS)
def test_W80_permessage_deflate(server, offer):
    """Twice, so that kept contexts are used; each side's, and pieces of one message."""
    with WebSocket(server.address, "/websocket_echo", [("Sec-WebSocket-Extensions", offer)]) as peer:
        peer.opened()
        assert peer.inflater is not None, "declined"
        for message in ("compress me " * 1000, os.urandom(5000), "", "é", b"", bytes(100_000)) * 2:
            peer.say(message)
            assert peer.message() == message


def test_compressible_messages_are_sent_compressed(server):
    with WebSocket(server.address, "/websocket_echo", [("Sec-WebSocket-Extensions", OFFERS[0])]) as peer:
        peer.opened()
        peer.say("compress me " * 1000)
        frame = peer.read_data_frame()
        assert frame.reserved == RESERVED_1
        assert len(frame.data) < 500


def test_W80_compressed_message_in_fragments(server):
    """Only the first has the bit (RFC 7692 section 6.1)."""
    with WebSocket(server.address, "/websocket_echo", [("Sec-WebSocket-Extensions", OFFERS[0])]) as peer:
        peer.opened()
        packed = peer.deflater.compress(b"compress me " * 50) + peer.deflater.flush(2)
        peer.frame(TEXT, packed[:3], final=False, reserved=RESERVED_1)
        peer.frame(PING)
        peer.frame(CONTINUATION, packed[3:-4])
        assert peer.message() == "compress me " * 50


def test_W80_message_may_stay_uncompressed(server):
    with WebSocket(server.address, "/websocket_echo", [("Sec-WebSocket-Extensions", OFFERS[0])]) as peer:
        peer.opened()
        peer.frame(TEXT, b"plain")
        assert peer.message() == "plain"


@pytest.mark.parametrize("offer", [None, "x-unknown; a=1", "permessage-deflate; nonsense=1"])
def test_W80b_no_extension_without_a_known_offer(server, offer):
    headers = [] if offer is None else [("Sec-WebSocket-Extensions", offer)]
    with WebSocket(server.address, "/websocket_echo", headers) as peer:
        assert peer.opened().header("sec-websocket-extensions") is None
        peer.say("plain")
        assert peer.message() == "plain"


@pytest.mark.parametrize(
    "frames", [[("size", 1001)], [("part", 600), ("rest", 401)]], ids=["one_frame", "two_frames"]
)
def test_W81_message_that_is_too_long(shared, tag, frames):
    server = shared("apps.scenarios:app", "--ws-max-size", "1000")
    with WebSocket(server.address, f"/websocket_echo?{tag}") as peer:
        peer.opened()
        peer.say(b"x" * 1000)
        assert peer.message() == b"x" * 1000
        for kind, size in frames:
            peer.frame(CONTINUATION if kind == "rest" else BINARY, b"x" * size, final=kind != "part")
        told = peer.ended_by()
        assert told[0] == 1009
    assert server.probe.expect("left", tag)["message"]["type"] == "websocket.disconnect"


def test_inflated_message_that_is_too_long(shared, tag):
    """The limit is of what comes out of the compression."""
    server = shared("apps.scenarios:app", "--ws-max-size", "1000")
    headers = [("Sec-WebSocket-Extensions", OFFERS[0])]
    with WebSocket(server.address, f"/websocket_echo?{tag}", headers) as peer:
        peer.opened()
        peer.say(bytes(50_000_000))
        told = peer.ended_by()
        assert told[0] == 1009
    assert server.probe.expect("left", tag)["message"]["code"] == 1009
