"""Rows H70–H83 and H97: what an application sends is what the client gets."""

from __future__ import annotations

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

MB = 1 << 20
GENERATED = (b"date", b"server", b"connection", b"keep-alive", b"transfer-encoding", b"content-length")


def given(response):
    """The headers that are not the server's own, names in lower case."""
    return [(name.lower(), value) for name, value in response.headers if name.lower() not in GENERATED]


def answer(server, tag, *steps, **options):
    """The answer to a scripted request, none of whose steps may fail."""
    response, outcomes = run_script(server, tag, *steps, **options)
    assert [outcome for outcome in outcomes if raised(outcome)] == []
    return response


@pytest.mark.parametrize("status", [200, 201, 202, 206, 301, 404, 418, 422, 500, 503, 299, 499, 599])
def test_H70_status_is_sent_as_given(server, tag, status):
    response = answer(server, tag, start(status, (b"content-length", b"4")), body(b"body"))
    assert (response.version, response.status, response.body) == (b"HTTP/1.1", status, b"body")


@pytest.mark.parametrize("status", [0, 99, 1000, -1, 10**6, 2**40])
def test_impossible_status_does_not_reach_the_wire(server, tag, status):
    with server.connect() as connection:
        connection.send(script_request(tag, start(status), body(b"x")))
        failed_or_closed(connection)
    assert raised(server.probe.expect("script", tag)["outcomes"][0]), f"status {status} was accepted"
    still_serves(server)


def test_H71_header_order_and_duplicates(server, tag):
    headers = [
        (b"set-cookie", b"a=1; Path=/"),
        (b"x-b", b"1"),
        (b"x-a", b"2"),
        (b"set-cookie", b"b=2, c"),
        (b"x-b", b"3"),
        (b"vary", b"a"),
        (b"vary", b"b"),
        (b"set-cookie", b"a=1; Path=/"),
    ]
    assert given(answer(server, tag, start(200, *headers), body(b"x"))) == headers


@pytest.mark.parametrize("more", [False, True])
def test_H72_headers_missing(server, tag, more):
    event = {"type": "http.response.start", "status": 200}
    response = answer(server, tag, event, body(b"a", more=more), *([body(b"b")] if more else []))
    assert given(response) == []
    assert response.body == (b"ab" if more else b"a")


@pytest.mark.parametrize(
    "form",
    [
        "tuple-of-lists",
        "list-of-tuples",
        "list-of-lists",
        "generator",
        "generator-of-iterators",
        "dict-items",
    ],
)
def test_H73_headers_as_any_iterable(server, form):
    response = server.get(f"/iterables/{form}")
    assert (response.status, response.body) == (200, b"ok")
    assert given(response) == [(b"x-first", b"1"), (b"x-second", b"2")]
    assert response.header("content-length") == b"2"


def test_H74_values_are_the_exact_bytes(server, tag):
    every = bytes(range(0x80, 0x100))
    headers = [
        (b"x-latin", b"caf\xe9"),
        (b"x-every", every),
        (b"x-punct", b"\"'(),/:;<=>?@[\\]{}"),
        (b"x-in", b"a \t  b"),
    ]
    assert given(answer(server, tag, start(200, *headers), body(b"x"))) == headers


def test_H74_empty_value(server, tag):
    headers = [(b"x-empty", b""), (b"x-after", b"y")]
    assert given(answer(server, tag, start(200, *headers), body(b"x"))) == headers


def test_H75_several_bodies_with_content_length(server, tag):
    parts = [body(b"one ", more=True), body(b"", more=True), body(b"two ", more=True), body(b"three")]
    response = answer(server, tag, start(200, (b"content-length", b"13")), *parts)
    assert (response.framing, response.body) == ("length", b"one two three")


def test_H75_last_body_empty(server, tag):
    response = answer(server, tag, start(200, (b"content-length", b"3")), body(b"abc", more=True), body(b""))
    assert (response.framing, response.body) == ("length", b"abc")


@pytest.mark.parametrize("name", [b"Content-Length", b"CONTENT-LENGTH"])
def test_H75_content_length_in_any_case(server, tag, name):
    response = answer(server, tag, start(200, (name, b"3")), body(b"ab", more=True), body(b"c"))
    assert (response.framing, response.header("content-length"), response.body) == ("length", b"3", b"abc")


@pytest.mark.parametrize("parts", [[b"only"], [b""], [b"one", b"two"], [b"x" * 100, b"", b"y" * 3]])
def test_H76_without_content_length(server, tag, parts):
    events = [body(part, more=at < len(parts) - 1) for at, part in enumerate(parts)]
    with server.connect() as connection:
        connection.send(script_request(tag, start(), *events))
        assert connection.response().body == b"".join(parts)
        next_is_right_or_closed(connection)


@pytest.mark.parametrize("keep_alive", [False, True])
@pytest.mark.parametrize("parts", [[b"only"], [b"one", b"two"]])
def test_H77_HTTP_1_0_never_gets_chunked(server, tag, keep_alive, parts):
    events = [body(part, more=at < len(parts) - 1) for at, part in enumerate(parts)]
    headers = [("Connection", "keep-alive")] if keep_alive else []
    with server.connect() as connection:
        connection.send(script_request(tag, start(), *events, version="1.0", headers=headers))
        response = connection.response()
    assert response.values("transfer-encoding") == []
    if response.status not in (400, 505):  # who does not serve HTTP/1.0 at all
        assert response.body == b"".join(parts)


def test_HTTP_1_0_when_the_application_asks_for_chunked(server, tag):
    header = (b"transfer-encoding", b"chunked")
    response = answer(server, tag, start(200, header), body(b"one", more=True), body(b"two"), version="1.0")
    assert response.values("transfer-encoding") == []
    assert response.body == b"onetwo"


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"gzip", b"identity"])
@pytest.mark.parametrize("several", [False, True])
def test_H78_transfer_encoding_of_the_application_is_ignored(server, tag, value, several):
    events = [body(b"one", more=True), body(b"two")] if several else [body(b"onetwo")]
    response = answer(server, tag, start(200, (b"transfer-encoding", value)), *events)
    assert len(response.values("transfer-encoding")) <= 1
    assert response.body == b"onetwo"


@pytest.mark.parametrize("order", [1, -1])
def test_H78b_one_framing_on_the_wire(server, tag, order):
    headers = [(b"transfer-encoding", b"chunked"), (b"content-length", b"6")][::order]
    with server.connect() as connection:
        connection.send(script_request(tag, start(200, *headers), body(b"one", more=True), body(b"two")))
        response = connection.response()
        assert bool(response.values("transfer-encoding")) != bool(response.values("content-length"))
        assert response.body == b"onetwo"
        next_is_right_or_closed(connection)


@pytest.mark.parametrize(
    "values", [(b"3", b"3"), (b"3", b"4"), (b"three",), (b"-1",), (b"3, 3",), (b"",), (b"9" * 30,)]
)
def test_impossible_content_length(server, tag, values):
    """Refused, or one right framing: never on the wire as it is."""
    with server.connect() as connection:
        connection.send(
            script_request(tag, start(200, *((b"content-length", value) for value in values)), body(b"abc"))
        )
        response = whole_or_nothing(connection)
        assert response is None or response.status == 500 or response.body == b"abc"
    still_serves(server)


@pytest.mark.parametrize("length", [None, b"6"])
def test_H80_each_body_is_flushed(server, tag, length):
    headers = [] if length is None else [(b"content-length", length)]
    with server.connect() as connection:
        connection.send(
            script_request(tag, start(200, *headers), body(b"one", more=True), "gate:two", body(b"two"))
        )
        head = connection.head()
        first = connection.read_chunk() if head.framing == "chunked" else connection.read_exactly(3)
        assert first == b"one"
        server.probe.open(f"{tag}.two")
        if head.framing == "chunked":
            assert connection.read_chunk() == b"two"
            assert connection.read_chunk() == b""
        else:
            assert connection.read_exactly(3) == b"two"


def test_H80_many_flushes(server, tag):
    steps = [step for number in range(30) for step in (f"gate:{number}", body(b"%03d" % number, more=True))]
    with server.connect() as connection:
        connection.send(script_request(tag, start(), *steps, body(b"")))
        for number in range(30):
            server.probe.open(f"{tag}.{number}")
            if number == 0:
                assert connection.head().framing == "chunked"
            assert connection.read_chunk() == b"%03d" % number
        assert connection.read_chunk() == b""


def test_H81_more_body_missing_ends_the_response(server, tag):
    response = answer(server, tag, start(), {"type": "http.response.body", "body": b"all"})
    assert response.body == b"all"


def test_H81_body_missing_is_empty(server, tag):
    response = answer(server, tag, start(), {"type": "http.response.body"})
    assert response.body == b""


def test_H81_body_missing_among_others(server, tag):
    empty = {"type": "http.response.body", "more_body": True}
    response = answer(server, tag, start(), empty, body(b"x", more=True), empty, body(b"y"))
    assert response.body == b"xy"


AFTER = [body(b"late", more=True), body(b"later"), start(404), body()]


@pytest.mark.parametrize("length", [[], [(b"content-length", b"2")]])
def test_H83_messages_after_the_end_do_not_reach_the_wire(server, tag, length):
    with server.connect() as connection:
        connection.send(script_request(tag, start(200, *length), body(b"ok"), *AFTER))
        assert connection.response().body == b"ok"
        server.probe.expect("script", tag)
        assert connection.get("/hello").body == b"Hello, World!"
        assert connection.buffer == b""


def test_H83b_bodies_after_the_end_are_ignored(server, tag):
    _, outcomes = run_script(server, tag, start(), body(b"ok"), body(b"late"), body(b"later", more=True))
    assert outcomes == [None] * 4


@pytest.mark.parametrize("size", [MB, 8 * MB])
def test_H97_large_body_arrives_whole(server, size):
    response = server.get(f"/large/{size}")
    assert response.body == b"0123456789abcdef" * (size // 16)


def test_H97_large_bodies_chunked_and_slow_reader(server, tag):
    with server.connect(receive_buffer=4096) as connection:
        connection.request("GET", f"/chunked_flood/{8 * MB}?{tag}")
        response = connection.response()
    assert (response.framing, len(response.body), set(response.body)) == ("chunked", 8 * MB, {ord("s")})
    assert server.probe.expect("flood_ended", tag)["error"] is None
