"""Rows W20–W27, W43, W66–W70, W75, X01: what becomes of an opening handshake."""

from __future__ import annotations

import select

import pytest
from support.checks import NotAdvertised, next_is_right_or_closed, raised, still_serves, whole_or_nothing
from support.websocket import (
    TEXT,
    WebSocket,
    frame_bytes,
    handshake_bytes,
    outcomes,
    scope_of,
    script,
    scripted,
)
from support.wire import Truncated

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}


def test_W20_connect_comes_first_and_the_answer_waits(server, tag):
    with scripted(server, tag, "receive", "say:connected", "gate:go", ACCEPT) as peer:
        server.probe.expect("connected", tag)
        still_serves(server)
        assert select.select([peer.socket], [], [], 0)[0] == [], "answered before the application did"
        server.probe.open(f"{tag}.go")
        peer.opened()
        assert outcomes(server, tag) == [CONNECT, None]


def test_W21_accept(server):
    with WebSocket(server.address, "/websocket_echo") as peer:
        assert peer.opened().header("sec-websocket-extensions") is None


@pytest.mark.parametrize("chosen", ["chat", None])
@pytest.mark.parametrize("offered", ["superchat, chat", None])
def test_W22_subprotocol(server, tag, chosen, offered):
    if chosen is not None and offered is None:
        return  # asked of applications
    headers = [] if offered is None else [("Sec-WebSocket-Protocol", offered)]
    with scripted(server, tag, "receive", {**ACCEPT, "subprotocol": chosen}, headers=headers) as peer:
        sent = peer.opened().header("sec-websocket-protocol")
        assert sent == (chosen and chosen.encode())


def test_W23_headers_of_the_accept(server, tag):
    given = [(b"set-cookie", b"a=1"), (b"x-one", b"caf\xe9"), (b"set-cookie", b"b=2")]
    with scripted(server, tag, "receive", {**ACCEPT, "headers": given}) as peer:
        sent = [(name.lower(), value) for name, value in peer.opened().headers]
        assert [pair for pair in sent if pair[0] in (b"set-cookie", b"x-one")] == given


@pytest.mark.parametrize("event", [CLOSE, {**CLOSE, "code": 4000, "reason": "no"}])
def test_W25_close_before_the_accept_is_403(server, tag, event):
    with scripted(server, tag, "receive", event) as peer:
        assert peer.response().status == 403
        next_is_right_or_closed(peer)


def test_code_and_reason_of_a_refusal_are_not_looked_at(server, tag):
    """FastAPI gives what did not validate, a list, as the reason."""
    with scripted(server, tag, "receive", {**CLOSE, "code": 1008, "reason": [{"loc": ["path"]}]}) as peer:
        assert peer.response().status == 403
    assert outcomes(server, tag)[-1] is None


def test_W25b_receive_after_such_a_close(server, tag):
    with scripted(server, tag, "receive", CLOSE, "receive") as peer:
        peer.response()
        assert outcomes(server, tag)[-1]["type"] == "websocket.disconnect"


def refused_or_closed(peer):
    """No 101; the status, or None if the connection was closed without an answer."""
    answer = whole_or_nothing(peer)
    assert answer is None or answer.status == 403 or answer.status >= 500, answer
    return answer and answer.status


BEFORE_THE_ACCEPT = [
    pytest.param(["raise"], id="W26_raises_at_once"),
    pytest.param(["receive", "raise"], id="W26_raises"),
    pytest.param([], id="W27_returns_at_once"),
    pytest.param(["receive"], id="W27_returns"),
]


@pytest.mark.parametrize("steps", BEFORE_THE_ACCEPT)
def test_W26_W27_application_that_ends_before_the_accept(server, tag, steps):
    with scripted(server, tag, *steps) as peer:
        refused_or_closed(peer)
    still_serves(server)


@pytest.mark.parametrize("steps", [case.values[0] for case in BEFORE_THE_ACCEPT], ids=str)
def test_application_that_ends_before_the_accept_is_a_500(server, tag, steps):
    with scripted(server, tag, *steps) as peer:
        assert peer.response().status == 500


def test_W43_frame_together_with_the_handshake(server):
    with WebSocket(server.address, "/websocket_echo", first=frame_bytes(TEXT, b"early")) as peer:
        try:
            status = peer.head().status
        except Truncated:
            return
        assert status == 101 or 400 <= status < 500
        if status == 101:
            assert peer.message() == "early"


def test_frame_of_an_impatient_client_waits_for_the_accept(server, tag):
    steps = ("receive", "say:connected", "gate:go", ACCEPT, "receive")
    with scripted(server, tag, *steps, first=frame_bytes(TEXT, b"early")) as peer:
        server.probe.expect("connected", tag)
        still_serves(server)
        server.probe.open(f"{tag}.go")
        peer.opened()
        assert outcomes(server, tag)[-1] == {"type": "websocket.receive", "text": "early"}


def ask(server, tag, method="GET", headers=(), **changed):
    """The answer to a changed handshake, and whether the application was called."""
    given = [script("receive", ACCEPT), *headers]
    with server.connect() as connection:
        connection.send(handshake_bytes(f"/script?{tag}", given, method=method, **changed))
        answer = connection.response(method)
    still_serves(server)
    return answer, bool(server.probe.seen("called", tag))


def test_W66_no_key(server, tag):
    answer, _ = ask(server, tag, sec_websocket_key=None)
    assert 400 <= answer.status < 500


def test_W66a_no_key_is_400_and_calls_nobody(server, tag):
    answer, called = ask(server, tag, sec_websocket_key=None)
    assert (answer.status, called) == (400, False)


@pytest.mark.parametrize("version", ["8", "12", "14", "abc", None])
def test_W66b_another_version(server, tag, version):
    answer, _ = ask(server, tag, sec_websocket_version=version)
    assert answer.status != 101


def test_W66c_another_version_is_told_the_right_one(server, tag):
    answer, _ = ask(server, tag, sec_websocket_version="8")
    assert answer.status in (426, 400)
    assert answer.header("sec-websocket-version") == b"13"


def test_another_version_is_426_and_calls_nobody(server, tag):
    answer, called = ask(server, tag, sec_websocket_version="8")
    assert (answer.status, called) == (426, False)
    assert answer.header("upgrade") == b"websocket"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "short",
        "AAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAA",
        "!!!!!!!!!!!!!!!!!!!!!!==",
        "A" * 22 + "=",
    ],
)
def test_W66d_malformed_key(server, tag, key):
    answer, _ = ask(server, tag, sec_websocket_key=key)
    assert answer.status != 101


def test_W69_POST_is_not_upgraded(server, tag):
    answer, _ = ask(server, tag, "POST", [("Content-Length", "0")])
    assert answer.status != 101


@pytest.mark.parametrize(
    "changed",
    [
        {"upgrade": "WebSocket"},
        {"upgrade": "WEBSOCKET", "connection": "UPGRADE"},
        {"connection": "keep-alive, Upgrade"},
        {"connection": "keep-alive,upgrade , x"},
    ],
    ids=str,
)
def test_W70_tokens(server, changed):
    with WebSocket(server.address, "/websocket_echo", changed=changed) as peer:
        peer.opened()
        peer.say("hello")
        assert peer.message() == "hello"


@pytest.mark.parametrize("connection", [None, "keep-alive"])
def test_W70b_upgrade_without_connection_is_http(server, connection):
    with server.connect() as plain:
        plain.send(handshake_bytes("/hello", connection=connection))
        answer = plain.response()
        assert (answer.status, answer.body) == (200, b"Hello, World!")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_W75_client_that_leaves_before_the_accept(server, tag, how):
    with scripted(server, tag, "receive", "say:connected", "receive") as peer:
        server.probe.expect("connected", tag)
        getattr(peer, how)()
    event = outcomes(server, tag)[-1]
    assert event["type"] == "websocket.disconnect"
    assert type(event.get("code", 1005)) is int
    still_serves(server)


DENIAL = {
    "type": "websocket.http.response.start",
    "status": 401,
    "headers": [(b"x-why", b"no"), (b"x-why", b"never"), (b"content-length", b"8")],
}


def denial_body(data, more=False):
    return {"type": "websocket.http.response.body", "body": data, "more_body": more}


@pytest.fixture
def denying(server):
    """The server, if it says that it has the extension."""
    if "websocket.http.response" not in (scope_of(server).get("extensions") or {}):
        raise NotAdvertised("websocket.http.response")
    return server


def test_X01_denial_response(denying, tag):
    with scripted(denying, tag, "receive", DENIAL, denial_body(b"not here")) as peer:
        answer = peer.response()
        assert (answer.status, answer.body) == (401, b"not here")
        assert answer.values("x-why") == [b"no", b"never"]
        next_is_right_or_closed(peer)
    assert outcomes(denying, tag)[1:] == [None, None]


def test_X01b_denial_response_in_several_bodies(denying, tag):
    start = {**DENIAL, "headers": [(b"x-why", b"no")]}
    bodies = [
        denial_body(b"not ", True),
        denial_body(b"", True),
        denial_body(b"her", True),
        denial_body(b"e"),
    ]
    with scripted(denying, tag, "receive", start, *bodies) as peer:
        answer = peer.response()
        assert (answer.status, answer.body) == (401, b"not here")
        next_is_right_or_closed(peer)


def test_X01c_no_accept_after_the_start_of_a_denial(denying, tag):
    with scripted(denying, tag, "receive", DENIAL, ACCEPT, denial_body(b"not here")) as peer:
        answer = whole_or_nothing(peer)
        assert answer is None or answer.status in (401, 500)
    assert raised(outcomes(denying, tag)[2])


def test_X01d_denial_response_is_there(server):
    assert "websocket.http.response" in scope_of(server)["extensions"]


@pytest.mark.parametrize("then", [[], ["raise"]], ids=["returns", "raises"])
def test_denial_that_is_cut_short_is_visibly_so(server, tag, then):
    with scripted(server, tag, "receive", DENIAL, denial_body(b"not", True), *then) as peer:
        answer = whole_or_cut(peer)
        assert answer is None or answer.status == 500
    still_serves(server)


def whole_or_cut(peer):
    """The whole answer, None for a part of one."""
    try:
        return peer.response()
    except Truncated:
        return None
