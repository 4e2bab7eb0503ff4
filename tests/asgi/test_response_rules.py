"""Rows H84–H96: what HTTP asks of a response, whatever the application sends."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

import pytest
from support.checks import (
    body,
    failed_or_closed,
    next_is_right_or_closed,
    raised,
    run_script,
    script_request,
    start,
    still_serves,
    whole_or_nothing,
)
from support.measure import queues
from support.wire import Truncated

MB = 1 << 20


def length(value):
    return (b"content-length", b"%d" % value)


@pytest.mark.parametrize("parts", [[b"twelve bytes"], [b"twelve", b" bytes"], [b""]])
def test_H84_HEAD_keeps_content_length_and_sends_no_body(server, tag, parts):
    events = [body(part, more=at < len(parts) - 1) for at, part in enumerate(parts)]
    with server.connect() as connection:
        connection.send(
            script_request(tag, start(200, length(12), (b"x-kept", b"y")), *events, method="HEAD")
        )
        response = connection.response("HEAD")
        assert response.status == 200
        assert response.header("content-length") == b"12"
        assert response.header("x-kept") == b"y"
        assert server.probe.expect("script", tag)["outcomes"] == [None] * (1 + len(parts))
        assert connection.get("/hello").body == b"Hello, World!"


@pytest.mark.parametrize("parts", [[b"some"], [b"so", b"me"], [b""]])
def test_H84b_HEAD_with_a_body_of_unknown_length(server, tag, parts):
    events = [body(part, more=at < len(parts) - 1) for at, part in enumerate(parts)]
    with server.connect() as connection:
        connection.send(script_request(tag, start(), *events, method="HEAD"))
        assert connection.response("HEAD").status == 200
        assert server.probe.expect("script", tag)["outcomes"] == [None] * (1 + len(parts))
        assert connection.get("/hello").body == b"Hello, World!"


def test_H84_HEAD_of_HTTP_1_0(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, start(), body(b"x"), method="HEAD", version="1.0"))
        assert connection.response("HEAD").values("transfer-encoding") == []
        connection.expect_end()


@pytest.mark.parametrize("status", [204, 304])
def test_H85_no_body_and_no_framing(server, tag, status):
    with server.connect() as connection:
        connection.send(script_request(tag, start(status, (b"etag", b'"x"')), body(b"")))
        response = connection.response()
        assert (response.status, response.framing) == (status, "none")
        assert response.values("transfer-encoding") == []
        assert response.header("etag") == b'"x"'
        assert connection.get("/hello").body == b"Hello, World!"


def test_H85_204_has_no_content_length_even_if_given(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, start(204, length(0)), body(b"")))
        response = connection.response()
        assert (response.status, response.values("content-length")) == (204, [])
        assert connection.get("/hello").body == b"Hello, World!"


def test_304_may_tell_the_length_that_a_200_would_have(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, start(304, length(1234)), body(b"")))
        response = connection.response()
        assert response.status == 304
        assert response.header("content-length") in (None, b"1234")
        assert connection.get("/hello").body == b"Hello, World!"


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("parts", [[b"not allowed"], [b"not", b" allowed"]])
def test_H85b_body_of_204_and_304_does_not_reach_the_wire(server, tag, status, parts):
    events = [body(part, more=at < len(parts) - 1) for at, part in enumerate(parts)]
    with server.connect() as connection:
        connection.send(script_request(tag, start(status), *events))
        response = connection.response()
        assert response.status in (status, 500)
        if response.status == status:
            assert response.framing == "none"
            next_is_right_or_closed(connection)


@pytest.mark.parametrize("empties", [1, 3])
def test_H86_empty_body_does_not_end_a_chunked_response(server, tag, empties):
    steps = [body(b"", more=True)] * empties
    with server.connect() as connection:
        connection.send(script_request(tag, start(), *steps, body(b"x", more=True), *steps, body(b"y")))
        response = connection.response()
        assert response.body == b"xy"
        assert connection.get("/hello").body == b"Hello, World!"


@pytest.mark.parametrize(
    "events",
    [
        [body(b"abcEXCESS")],
        [body(b"abc", more=True), body(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad")],
        [body(b"ab", more=True), body(b"cEXCESS", more=True), body(b"MORE")],
    ],
    ids=["at_once", "second_response", "in_parts"],
)
def test_H87_body_longer_than_its_content_length(server, tag, events):
    with server.connect() as connection:
        connection.send(script_request(tag, start(200, length(3)), *events))
        try:
            response = connection.response()
        except Truncated:
            connection.expect_end()
        else:
            assert response.status == 500 or response.body == b"abc"
            next_is_right_or_closed(connection)


def test_application_is_told_of_a_body_that_is_too_long(server, tag):
    _, outcomes = run_script(server, tag, start(200, length(3)), body(b"abcEXCESS"))
    assert any(raised(outcome) for outcome in outcomes[1:]), "the application was not told of its fault"


def test_H88_body_shorter_than_its_content_length(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, start(200, length(10)), body(b"abc", more=True), body(b"def")))
        with pytest.raises(Truncated) as cut:
            connection.response()
        assert cut.value.body in (b"abcdef", b"abc", b"")
        connection.expect_end()
    still_serves(server)


BAD_HEADERS = [
    (b"x-value", b"a\r\nx-injected: yes"),
    (b"x-value", b"a\nx-injected: yes"),
    (b"x-value", b"a\rx-injected: yes"),
    (b"x-value", b"a\r\n\r\nHTTP/1.1 200 OK\r\nx-injected: yes\r\n\r\n"),
    (b"x-value", b"a\x00b"),
    (b"x-value", b"a\r\n b"),
    (b"x-name\r\nx-injected", b"yes"),
    (b"x-name\nx-injected", b"yes"),
    (b"x-name\x00", b"y"),
    (b"x name", b"y"),
    (b"x-name:", b"y"),
    (b"content-length\r\nx-injected", b"1"),
    (b"connection", b"close\r\nx-injected: yes"),
]


@pytest.mark.parametrize(
    "header",
    [(b"", b"y"), (b"x-n\xe9", b"y"), (b"x(y", b"z"), (b"x-value", b"\x01"), (b"x-value", b"a\x7fb")],
    ids=repr,
)
def test_what_is_no_header_does_not_reach_the_wire(server, tag, header):
    response, outcomes = run_script(server, tag, start(200, header), body(b"ok"))
    assert raised(outcomes[0])
    assert response is None or response.status == 500


@pytest.mark.parametrize("header", BAD_HEADERS, ids=repr)
def test_H89_control_characters_never_split_a_response(server, tag, header):
    """Raises, drops the header, or is a 500; the client's parser refuses whatever is not HTTP."""
    with server.connect() as connection:
        connection.send(script_request(tag, start(200, (b"x-before", b"1"), header), body(b"ok")))
        response = whole_or_nothing(connection)
        if response is not None:
            assert response.values("x-injected") == []
            assert response.status in (200, 500)
            next_is_right_or_closed(connection)
    still_serves(server)


def test_H90_body_before_start_raises(server, tag):
    response, outcomes = run_script(server, tag, body(b"early"))
    assert raised(outcomes[0])
    assert response is None or (response.status == 500 and b"early" not in response.body)


@pytest.mark.parametrize("between", [[], [body(b"x", more=True)]], ids=["at_once", "after_a_body"])
def test_H91_second_start_raises(server, tag, between):
    response, outcomes = run_script(server, tag, start(), *between, start(404), body(b"y"))
    assert raised(outcomes[1 + len(between)])
    assert response is None or response.status in (200, 500)


def test_H92_start_without_a_body(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, start()))
        try:
            assert connection.response().status >= 500
        except Truncated:
            connection.expect_end()
    still_serves(server)


def test_H92_body_that_is_not_finished(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, start(), body(b"begun", more=True)))
        with pytest.raises(Truncated) as cut:
            connection.response()
        assert cut.value.body == b"begun"
        connection.expect_end()


@pytest.mark.parametrize(
    "value", ["close", "Close", "x, close", "close, te"], ids=["H94", "in another case", "last", "first"]
)
def test_client_asks_to_close(server, value):
    with server.connect() as connection:
        response = connection.get("/hello", [("Connection", value)])
        assert response.body == b"Hello, World!"
        connection.expect_end()


@pytest.mark.parametrize("value", ["close", "Close", "x, close"])
def test_end_that_the_client_asks_for_is_announced(server, value):
    with server.connect() as connection:
        assert connection.get("/hello", [("Connection", value)]).header("connection") == b"close"


def test_what_follows_a_close_is_not_served(server, tag):
    with server.connect() as connection:
        first = script_request(tag, start(200, length(1)), body(b"x"), headers=[("Connection", "close")])
        connection.send(first + script_request("smuggled", start(), body(b"y")))
        assert connection.response().body == b"x"
        connection.expect_end()
    still_serves(server)
    assert server.probe.seen("called", "smuggled") == []


@pytest.mark.parametrize("value", [b"close", b"Close"], ids=["H94b", "in another case"])
def test_application_asks_to_close(server, tag, value):
    with server.connect() as connection:
        connection.send(script_request(tag, start(200, (b"connection", value), length(1)), body(b"x")))
        response = connection.response()
        assert response.body == b"x"
        assert [header.lower() for header in response.values("connection")] == [b"close"]
        connection.expect_end()


def test_H94c_HTTP_1_0_closes(server):
    with server.connect() as connection:
        connection.ask("GET", "/hello", version="1.0")
        connection.expect_end()


@pytest.mark.parametrize("value", ["keep-alive", "Keep-Alive"])
def test_H94c_HTTP_1_0_with_keep_alive(server, value):
    with server.connect() as connection:
        response = connection.ask("GET", "/hello", [("Connection", value)], version="1.0")
        if (response.header("connection") or b"close").lower() == b"keep-alive":
            assert response.framing == "length"
            assert connection.get("/hello").body == b"Hello, World!"
        else:
            connection.expect_end()


def test_H95_date_header(server):
    date = server.get("/hello").header("date")
    assert re.fullmatch(rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date)
    assert parsedate_to_datetime(date.decode()).tzinfo is not None


@pytest.mark.parametrize("name", [b"date", b"Date", b"server", b"SERVER"])
def test_H95b_headers_of_the_application_are_not_duplicated(server, tag, name):
    value = b"Sun, 06 Nov 1994 08:49:37 GMT" if name.lower() == b"date" else b"mine"
    response, _ = run_script(server, tag, start(200, (name, value)), body(b"x"))
    assert response.values(name.decode()) == [value]


@pytest.mark.parametrize("scenario", ["flood", "chunked_flood"])
def test_H96_download_back_pressure(server, tag, scenario):
    size = 64 * MB
    with server.connect() as connection:
        connection.request("GET", f"/{scenario}/{size}?{tag}")
        connection.head()
        assert 0 < settled(lambda: int(server.get(f"/taken?{tag}").body)) < 32 * MB
        assert server.probe.seen("flood_ended", tag) == []
        connection.reset()


@pytest.mark.parametrize("scenario", ["flood", "chunked_flood"])
def test_the_server_holds_little_of_what_the_client_does_not_read(server, tag, scenario):
    with server.connect() as connection:
        connection.request("GET", f"/{scenario}/{64 * MB}?{tag}")
        connection.head()
        taken = settled(lambda: int(server.get(f"/taken?{tag}").body))
        in_kernel = (
            queues(server.address[1], connection.port).unsent
            + queues(connection.port, server.address[1]).unread
        )
        assert taken - in_kernel < MB
        connection.reset()
    server.probe.expect("flood_ended", tag)


def settled(value):
    """``value()`` once it has been the same 20 times; each call is a request, so the server has turned."""
    last, same = value(), 0
    while same < 20:
        now = value()
        last, same = now, same + 1 if now == last else 0
    return last


def test_H92_failed_or_closed_keeps_the_connection_consistent(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, "raise"))
        if failed_or_closed(connection) is not None:
            next_is_right_or_closed(connection)
