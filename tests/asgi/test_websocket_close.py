"""Rows W42, W50–W65, W72, W80c, W84, L10c: how a WebSocket ends, and what each side learns of it."""

from __future__ import annotations

import signal

import pytest
from support.checks import raised, still_serves
from support.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    WebSocket,
    close_payload,
    outcomes,
    scripted,
)

OPEN = ("receive", {"type": "websocket.accept"})
CLOSED = {"type": "websocket.close"}


def event_after(server, tag, leave):
    """What receive() returns after ``leave(peer)``; the connection has ended then."""
    with scripted(server, tag, *OPEN, "receive") as peer:
        peer.opened()
        leave(peer)
        event = outcomes(server, tag)[-1]
    assert event["type"] == "websocket.disconnect", event
    assert type(event.get("code", 1005)) is int, event
    return event


def test_W50_code_of_the_client(server, tag):
    event = event_after(server, tag, lambda peer: peer.close_with(1000, "bye"))
    assert event.get("code", 1005) == 1000


def test_reason_of_the_client(server, tag):
    assert event_after(server, tag, lambda peer: peer.close_with(4001, "tschüß"))["reason"] == "tschüß"


def test_W51_close_without_a_code_is_1005(server, tag):
    assert event_after(server, tag, lambda peer: peer.close_with()).get("code", 1005) == 1005


@pytest.mark.parametrize("given", [(), (1000,), (1000, "bye")], ids=str)
def test_W51b_reason_is_text_or_None(server, tag, given):
    reason = event_after(server, tag, lambda peer: peer.close_with(*given)).get("reason")
    assert reason is None or type(reason) is str


@pytest.mark.parametrize("code", [3000, 3999, 4000, 4999])
def test_W52_codes_of_applications(server, tag, code):
    assert event_after(server, tag, lambda peer: peer.close_with(code))["code"] == code


def test_W53_lost_connection_is_1006(server, tag):
    assert event_after(server, tag, WebSocket.close)["code"] == 1006


def test_W53b_reset_connection_is_a_disconnect(server, tag):
    event_after(server, tag, WebSocket.reset)


def test_reset_connection_is_1006(server, tag):
    assert event_after(server, tag, WebSocket.reset)["code"] == 1006


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (CLOSED, (1000, "")),
        ({**CLOSED, "code": 1001}, (1001, "")),
        ({**CLOSED, "code": 4000, "reason": "tschüß"}, (4000, "tschüß")),
        ({**CLOSED, "code": 3000, "reason": None}, (3000, "")),
    ],
)
def test_W55_close_of_the_application(server, tag, event, told):
    with scripted(server, tag, *OPEN, event) as peer:
        peer.opened()
        assert peer.closing() == told


@pytest.mark.parametrize("by", ["application", "client"])
def test_W55b_server_ends_the_connection_after_the_close_handshake(server, tag, by):
    steps = [CLOSED] if by == "application" else ["receive"]
    with scripted(server, tag, *OPEN, *steps) as peer:
        peer.opened()
        if by == "client":
            peer.close_with(1000)
        assert peer.closing() == (1000, "")
        if by == "application":
            peer.close_with(1000)
        peer.expect_end()


def test_W56_receive_after_the_close_of_the_application(server, tag):
    with scripted(server, tag, *OPEN, {**CLOSED, "code": 4000}, "receive", "receive") as peer:
        peer.opened()
        assert peer.ended_by() == (4000, "")
        assert [event["type"] for event in outcomes(server, tag)[-2:]] == ["websocket.disconnect"] * 2


@pytest.mark.parametrize("how", ["close", "reset", "close_with"])
def test_W57c_OSError_of_a_gone_client_is_not_logged_as_an_error(serve, tag, how):
    server = serve("apps.scenarios:app")
    with WebSocket(server.address, f"/websocket_blind?{tag}") as peer:
        peer.opened()
        peer.message()
        getattr(peer, how)()
        if how == "close_with":
            assert peer.ended_by() is not None
        server.probe.expect("ended", tag, limit=60)
    still_serves(server)
    server.end()
    assert "Traceback" not in server.stderr
    assert "ERROR" not in server.stderr


@pytest.mark.parametrize("how", ["close", "reset"])
def test_send_to_a_gone_client_raises_OSError(server, tag, how):
    with WebSocket(server.address, f"/websocket_blind?{tag}") as peer:
        peer.opened()
        peer.message()
        getattr(peer, how)()
        ended = server.probe.expect("ended", tag, limit=60)
    assert ended["oserror"] is True, ended["error"]


def test_send_after_the_disconnect_raises_OSError(server, tag):
    late = {"type": "websocket.send", "text": "late"}
    with scripted(server, tag, *OPEN, "receive", late, CLOSED) as peer:
        peer.opened()
        peer.close_with(1000)
        assert peer.closing() == (1000, "")
        peer.expect_end()
        event, *after = outcomes(server, tag)[2:]
    assert event == {"type": "websocket.disconnect", "code": 1000, "reason": ""}
    assert [outcome["oserror"] for outcome in after] == [True, True]


def test_W59_return_after_the_accept_closes(server, tag):
    with scripted(server, tag, *OPEN) as peer:
        peer.opened()
        peer.ended_by()


def test_return_after_the_accept_closes_with_1000(server, tag):
    with scripted(server, tag, *OPEN) as peer:
        peer.opened()
        assert peer.ended_by() == (1000, "")


def test_W60_exception_after_the_accept_closes(server, tag):
    with scripted(server, tag, *OPEN, "raise") as peer:
        peer.opened()
        peer.ended_by()
    still_serves(server)


def test_W60b_with_code_1011(server, tag):
    with scripted(server, tag, *OPEN, "raise") as peer:
        peer.opened()
        told = peer.ended_by()
    assert told[0] == 1011
    server.expect_log(f"deliberate {tag}")


def test_W63_nothing_reaches_the_wire_after_the_close(server, tag):
    late = {"type": "websocket.send", "text": "late"}
    with scripted(server, tag, *OPEN, CLOSED, late, {**CLOSED, "code": 4000}) as peer:
        peer.opened()
        assert peer.ended_by() == (1000, "")


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_W64_close_is_answered_with_its_code(server, code):
    with WebSocket(server.address, "/websocket_echo") as peer:
        peer.opened()
        peer.close_with(code, "bye")
        assert peer.closing()[0] == code


def test_close_without_a_code_is_answered_without_one(server):
    with WebSocket(server.address, "/websocket_echo") as peer:
        peer.opened()
        peer.close_with()
        assert peer.closing() == (None, "")


@pytest.mark.parametrize("code", [1000, 4000])
def test_messages_before_the_close_are_all_delivered(server, tag, code):
    with scripted(server, tag, *OPEN, "gate:go", *["receive"] * 4) as peer:
        peer.opened()
        for text in ("one", "two", "three"):
            peer.say(text)
        peer.close_with(code)
        server.probe.open(f"{tag}.go")
        events = outcomes(server, tag)[2:]
    assert [event.get("text", event.get("code")) for event in events] == ["one", "two", "three", code]


def frames(*given):
    """The client's faults: frames as (opcode, data, options)."""

    def write(peer):
        for opcode, data, *options in given:
            peer.frame(opcode, data, **(options[0] if options else {}))

    return write


PART = {"final": False}
BAD_TEXT = {
    "byte": frames((TEXT, b"abc\xffdef")),
    "surrogate": frames((TEXT, b"\xed\xa0\x80")),
    "overlong": frames((TEXT, b"\xc0\xaf")),
    "too_high": frames((TEXT, b"\xf4\x90\x80\x80")),
    "cut_short": frames((TEXT, b"\xe2\x82")),
    "in_the_second_frame": frames((TEXT, b"fine", PART), (CONTINUATION, b"\xff")),
}
UNMASKED = {"unmasked": frames((TEXT, b"plain", {"mask": None}))}
BAD_CLOSE = {
    **{
        f"code_{code}": frames((CLOSE, close_payload(code)))
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)
    },
    "one_byte": frames((CLOSE, b"\x03")),
    "reason": frames((CLOSE, close_payload(1000, b"\xff\xfe"))),
}
BAD_FRAMES = {
    **{f"reserved_{bit}": frames((TEXT, b"x", {"reserved": bit})) for bit in (1, 2, 4)},
    **{f"opcode_{opcode}": frames((opcode, b"x")) for opcode in (3, 7, 11, 15)},
    "fragmented_ping": frames((PING, b"x", PART)),
    "fragmented_close": frames((CLOSE, close_payload(1000), PART)),
    "long_ping": frames((PING, bytes(126))),
    "long_close": frames((CLOSE, close_payload(1000, b"x" * 124))),
    "stray_continuation": frames((CONTINUATION, b"x")),
    "message_in_a_message": frames((TEXT, b"x", PART), (BINARY, b"y")),
}


def fails(server, tag, fault):
    """The connection ends and the application gets no message; the code of the close frame, if one came."""
    with scripted(server, tag, *OPEN, "receive", "receive") as peer:
        peer.opened()
        fault(peer)
        told = peer.ended_by()
        events = outcomes(server, tag)[2:]
    assert [event["type"] for event in events] == ["websocket.disconnect"] * 2
    still_serves(server)
    return told and told[0]


def each(faults):
    return pytest.mark.parametrize("fault", faults.values(), ids=faults.keys())


@each(BAD_TEXT)
def test_W42_text_that_is_no_UTF8(server, tag, fault):
    fails(server, tag, fault)


@each(BAD_TEXT)
def test_W42b_text_that_is_no_UTF8_is_1007(server, tag, fault):
    assert fails(server, tag, fault) == 1007


def test_bad_text_is_refused_before_its_message_ends(server, tag):
    assert fails(server, tag, frames((TEXT, b"fine\xff", PART))) == 1007


@each(UNMASKED)
def test_W65_frame_without_a_mask(server, tag, fault):
    fails(server, tag, fault)


@each(UNMASKED)
def test_W65b_frame_without_a_mask_is_1002(server, tag, fault):
    assert fails(server, tag, fault) == 1002


@each(BAD_CLOSE)
def test_W72_malformed_close(server, tag, fault):
    """The reader of ``ended_by`` refuses a close frame with a code that may not be sent."""
    fails(server, tag, fault)


@each(BAD_CLOSE)
def test_W72b_malformed_close_is_1002_or_1007(server, tag, fault):
    assert fails(server, tag, fault) in (1002, 1007)


@each(BAD_FRAMES)
def test_W80c_malformed_frames(server, tag, fault):
    fails(server, tag, fault)


@each({**BAD_FRAMES, **UNMASKED})
def test_application_is_told_of_a_malformed_frame_by_1002(server, tag, fault):
    event = event_after(server, tag, fault)
    assert event["code"] == 1002


@pytest.mark.parametrize("fault", [BAD_TEXT["byte"], BAD_FRAMES["reserved_2"]], ids=["text", "frame"])
def test_nothing_is_read_after_a_fault(server, tag, fault):
    """RFC 6455 section 7.1.7."""
    with scripted(server, tag, *OPEN, "receive", "receive") as peer:
        peer.opened()
        peer.say("before")
        fault(peer)
        peer.frame(PING, b"after")
        peer.say("after")
        code, _ = peer.closing()
        assert code in (1002, 1007)
        assert [event["type"] for event in outcomes(server, tag)[2:]] == [
            "websocket.receive",
            "websocket.disconnect",
        ]


PINGS = ("--ws-ping-interval", "1", "--ws-ping-timeout", "1")


def test_W84_client_that_does_not_answer_pings_is_dropped(shared, tag):
    server = shared("apps.scenarios:app", *PINGS)
    with WebSocket(server.address, f"/websocket_echo?{tag}") as peer:
        peer.opened()
        assert peer.read_frame().opcode == PING
        assert server.probe.expect("left", tag)["message"]["type"] == "websocket.disconnect"
        peer.read_to_end()


def test_client_that_answers_pings_stays(shared, tag):
    server = shared("apps.scenarios:app", *PINGS)
    with WebSocket(server.address, f"/websocket_echo?{tag}") as peer:
        peer.opened()
        for _ in range(3):
            ping = peer.read_frame()
            assert ping.opcode == PING
            peer.frame(PONG, ping.data)
        peer.say("still here")
        assert peer.message() == "still here"
    assert server.probe.expect("left", tag)["message"]["code"] == 1006


@pytest.mark.parametrize("client", ["answers", "is_silent"])
def test_L10c_stop_is_a_disconnect_of_open_sockets(serve, tag, client):
    server = serve("apps.scenarios:app")
    with WebSocket(server.address, f"/websocket_echo?{tag}") as peer:
        peer.opened()
        server.probe.expect("called", tag)
        server.signal(signal.SIGTERM)
        if client == "answers":
            peer.ended_by()
        server.wait()
    assert server.probe.seen("left", tag)[0]["message"]["type"] == "websocket.disconnect"


def test_L10d_stop_closes_with_1001_or_1012(serve, tag):
    server = serve("apps.scenarios:app")
    with WebSocket(server.address, f"/websocket_echo?{tag}") as peer:
        peer.opened()
        server.probe.expect("called", tag)
        server.signal(signal.SIGTERM)
        told = peer.ended_by()
        server.wait()
    assert told[0] in (1001, 1012)


def test_raised_send_after_the_close_is_an_OSError(server, tag):
    late = {"type": "websocket.send", "text": "late"}
    with scripted(server, tag, *OPEN, CLOSED, late) as peer:
        peer.opened()
        peer.ended_by()
        assert raised(outcomes(server, tag)[-1])
