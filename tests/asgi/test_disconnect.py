"""Rows H110–H119, S6, S7: what an application learns of a client that leaves, and what send() then does."""

from __future__ import annotations

import pytest
from support.checks import body, run_script, script_request, start, still_serves, taken_until_blocked
from support.wire import request_bytes

DISCONNECT = {"type": "http.disconnect"}
BEGUN = 1 << 16


def leave(connection, how):
    """By FIN, or by RST."""
    if how == "closes":
        connection.close()
    else:
        connection.reset()


def streaming(server, tag, scenario, headers=()):
    """A connection that has read the first bytes of an endless answer."""
    connection = server.connect(receive_buffer=1 << 16)
    connection.send(request_bytes("GET", f"/{scenario}?{tag}", headers))
    connection.head()
    connection.read_exactly(BEGUN)
    return connection


@pytest.mark.parametrize("version", ["1.1", "1.0"], ids=["H110", "HTTP/1.0"])
def test_receive_after_the_response_returns_disconnect(server, tag, version):
    with server.connect() as connection:
        connection.send(
            script_request(tag, "read", start(), body(b"x"), "receive", "receive", version=version)
        )
        assert connection.response().body == b"x"
        assert server.probe.expect("script", tag)["outcomes"][-2:] == [DISCONNECT, DISCONNECT]
        if version == "1.1":
            assert connection.get("/hello").body == b"Hello, World!"


@pytest.mark.parametrize("data", [b"", b"never read", b"x" * 200_000], ids=len)
def test_H110b_the_same_when_the_body_was_never_read(server, tag, data):
    response, outcomes = run_script(
        server, tag, start(), body(b"x"), "receive", "receive", method="POST", body=data
    )
    assert response.body == b"x"
    assert outcomes[-2:] == [DISCONNECT, DISCONNECT]


def test_H110_receive_that_waits_while_the_response_is_sent(server, tag):
    """A task that waits in receive() learns of the end of the response, with the connection still open."""
    with server.connect() as connection:
        assert connection.get(f"/listens_and_answers?{tag}").body == b"answered"
        assert server.probe.expect("listened", tag)["message"] == DISCONNECT
        assert connection.get("/hello").body == b"Hello, World!"


def leave_while_the_application_waits(server, tag, how, data=None):
    with server.connect() as connection:
        connection.request("GET" if data is None else "POST", f"/waits_for_disconnect?{tag}", body=data)
        server.probe.expect("waiting", tag)
        leave(connection, how)


@pytest.mark.parametrize("data", [None, b"a body"])
@pytest.mark.parametrize("how", ["closes", "resets"], ids=["H111_closes", "H111b_resets"])
def test_client_leaves_while_the_application_waits(server, tag, how, data):
    leave_while_the_application_waits(server, tag, how, data)
    assert server.probe.expect("left", tag)["message"] == DISCONNECT
    still_serves(server)


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_H112_receive_says_again_that_the_client_has_left(server, tag, how):
    leave_while_the_application_waits(server, tag, how)
    assert server.probe.expect("received_again", tag)["types"] == ["http.disconnect"] * 2


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_H111c_client_leaves_during_a_streamed_response(server, tag, how):
    connection = streaming(server, tag, "watched_stream")
    leave(connection, how)
    assert server.probe.expect("watched", tag)["type"] == "http.disconnect"
    still_serves(server)


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_H113b_send_after_the_disconnect_was_received(server, tag, how):
    connection = streaming(server, tag, "watched_stream")
    leave(connection, how)
    after = server.probe.expect("ended", tag)["after"]
    assert [outcome for outcome in after if outcome is not None and not outcome["oserror"]] == []
    still_serves(server)


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_S6_send_raises_OSError_once_the_disconnect_is_known(server, tag, how):
    connection = streaming(server, tag, "watched_stream")
    leave(connection, how)
    after = server.probe.expect("ended", tag)["after"]
    assert len(after) >= 2
    assert all(outcome is not None and outcome["oserror"] for outcome in after), after


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_S6_a_stream_that_never_receives_is_stopped_by_send(server, tag, how):
    connection = streaming(server, tag, "blind_stream")
    leave(connection, how)
    ended = server.probe.expect("ended", tag, limit=60)
    assert ended["error"] is not None, f"{ended['sent']} blocks of 64 KB were 'sent', most of them to nobody"
    assert ended["error"]["oserror"]


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_H113b_what_send_raises_is_an_OSError(server, tag, how):
    connection = streaming(server, tag, "blind_stream")
    leave(connection, how)
    error = server.probe.expect("ended", tag, limit=60)["error"]
    assert error is None or error["oserror"], error


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_H115_OSError_of_send_left_uncaught_is_not_logged_as_an_error(serve, tag, how):
    server = serve("apps.scenarios:app")
    connection = streaming(server, tag, "uncaught_stream")
    leave(connection, how)
    server.probe.expect("ended", tag, limit=60)
    still_serves(server)
    server.end()
    assert "Traceback" not in server.stderr
    assert "ERROR" not in server.stderr


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_H116_blocked_send_ends_when_the_client_leaves(server, tag, how):
    with server.connect(receive_buffer=4096) as connection:
        connection.request("GET", f"/chunked_flood/{1 << 32}?{tag}")
        connection.head()
        taken_until_blocked(server, tag)
        leave(connection, how)
        ended = server.probe.expect("flood_ended", tag, limit=60)
    assert ended["error"] is not None or ended["taken"] == 1 << 32
    still_serves(server)


@pytest.mark.parametrize("how", ["closes", "resets"])
@pytest.mark.parametrize("coding", ["length", "chunked"], ids=["H118_length", "H118b_chunked"])
def test_client_leaves_in_the_middle_of_the_body(server, tag, how, coding):
    if coding == "length":
        framing, part = ("Content-Length", "100"), b"half"
    else:
        framing, part = ("Transfer-Encoding", "chunked"), b"64\r\nhalf"
    with server.connect() as connection:
        connection.send(script_request(tag, "receive", "receive", method="POST", headers=[framing]) + part)
        try:
            server.probe.expect("called", tag)
        except AssertionError:
            return  # nobody is told of a body that is not whole
        still_serves(server)
        leave(connection, how)
    events = server.probe.expect("script", tag)["outcomes"]
    assert [event for event in events if event["type"] == "http.request" and not event.get("more_body")] == []
    assert events[-1] == DISCONNECT
    still_serves(server)


def test_client_leaves_between_two_chunks(server, tag):
    with server.connect() as connection:
        connection.send(
            request_bytes("POST", f"/events?{tag}", [("Transfer-Encoding", "chunked")]) + b"4\r\nhalf\r\n"
        )
        assert server.probe.expect("received", tag)["message"].get("more_body") is True
        connection.close()
        assert server.probe.expect("received", tag, count=2)["message"] == DISCONNECT


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_H119_the_application_is_not_cancelled(server, tag, how):
    with server.connect() as connection:
        connection.request("GET", f"/cleans_up?{tag}")
        server.probe.expect("waiting", tag)
        leave(connection, how)
        assert server.probe.expect("cleaned", tag)["type"] == "http.disconnect"
    assert server.probe.seen("cancelled", tag) == []


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_S7_disconnect_is_delivered_to_each_of_many(server, tag, how):
    connections = [server.connect() for _ in range(50)]
    for number, connection in enumerate(connections):
        connection.request("GET", f"/waits_for_disconnect?{tag}{number}")
    for number in range(50):
        server.probe.expect("waiting", f"{tag}{number}")
    for connection in connections[::2]:
        leave(connection, how)
    for number in range(0, 50, 2):
        assert server.probe.expect("left", f"{tag}{number}")["message"] == DISCONNECT
    still_serves(server)
    assert [number for number in range(1, 50, 2) if server.probe.seen("left", f"{tag}{number}")] == []
    for connection in connections[1::2]:
        leave(connection, how)
    for number in range(1, 50, 2):
        server.probe.expect("left", f"{tag}{number}")


def test_S7_half_close_after_a_whole_request_is_still_answered(server, tag):
    """RFC 9112 9.6 lets a client close its writing side when it has said all."""
    with server.connect() as connection:
        connection.request("GET", f"/answers_late?{tag}")
        server.probe.expect("waiting", tag)
        connection.finish_writing()
        for _ in range(3):
            still_serves(server)
        server.probe.open(f"{tag}.go")
        assert connection.response().body == b"late answer"
        connection.expect_end()


def test_S7_half_close_together_with_the_request_is_still_answered(server):
    for _ in range(20):
        with server.connect() as connection:
            connection.request("POST", "/echo_body", body=b"all at once")
            connection.finish_writing()
            assert connection.response().body == b"all at once"


def test_H111_client_leaves_before_the_pipelined_request_is_served(server, tag):
    """The second request of a client that has gone may be dropped or served, but it ends."""
    with server.connect() as connection:
        connection.send(request_bytes("GET", f"/waits?{tag}") + request_bytes("GET", "/hello"))
        server.probe.expect("called", tag)
        connection.reset()
        still_serves(server)
        server.probe.open(f"{tag}.go")
    still_serves(server)
