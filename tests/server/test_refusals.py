"""Requests that must be refused: the status, the closed connection, and an application that never hears of them."""

from __future__ import annotations

import select

import pytest
from support.checks import still_serves
from support.wire import Silence, Truncated, chunk, request_bytes

KB = 1024
MB = KB * KB


def refused(server, tag, wire):
    """The answer to ``wire``; nothing after it, the connection closed, the application not called for ``tag``."""
    with server.connect() as connection:
        try:
            connection.send(wire)
        except OSError:
            pass  # refused before all of it was taken
        response = connection.response()
        assert response.header("connection") == b"close"
        connection.expect_end()
    still_serves(server)
    assert server.probe.seen("called", tag) == []
    return response


def get(tag, *lines, version=b"HTTP/1.1", method=b"GET", host=b"Host: localhost"):
    head = [method + b" /ignores_body?" + tag.encode() + b" " + version, *([host] if host else []), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n"


BAD_REQUESTS = {
    "garbage": lambda tag: b"\x00\x01\x02\x03 garbage\r\n\r\n",
    "TLS hello": lambda tag: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n",
    "no version": lambda tag: b"GET /ignores_body?" + tag.encode() + b"\r\nHost: x\r\n\r\n",
    "lower-case protocol": lambda tag: get(tag, version=b"http/1.1"),
    "not HTTP": lambda tag: get(tag, version=b"HTTX/1.1"),
    "version without digits": lambda tag: get(tag, version=b"HTTP/x.y"),
    "version of three digits": lambda tag: get(tag, version=b"HTTP/1.10"),
    "two spaces in the request line": lambda tag: (
        b"GET  /ignores_body?" + tag.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    ),
    "space in the target": lambda tag: (
        b"GET /ignores_body?" + tag.encode() + b" x HTTP/1.1\r\nHost: x\r\n\r\n"
    ),
    "control character in the target": lambda tag: (
        b"GET /ignores_body\x01?" + tag.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    ),
    "relative target": lambda tag: b"GET ignores_body?" + tag.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "method that is no token": lambda tag: get(tag, method=b"GE(T"),
    "no Host": lambda tag: get(tag, host=None),
    "two Hosts": lambda tag: get(tag, b"Host: other"),
    "the same Host twice": lambda tag: get(tag, b"Host: localhost"),
    "Host that is a list": lambda tag: get(tag, host=b"Host: a, b"),
    "Host with a path": lambda tag: get(tag, host=b"Host: a/b"),
    "Host with a space": lambda tag: get(tag, host=b"Host: a b"),
    "space before the colon": lambda tag: get(tag, b"X-A : b"),
    "space before the colon of Content-Length": lambda tag: get(tag, b"Content-Length : 5"),
    "no colon": lambda tag: get(tag, b"X-A"),
    "empty name": lambda tag: get(tag, b": value"),
    "space in a name": lambda tag: get(tag, b"X A: b"),
    "obs-text in a name": lambda tag: get(tag, b"X-\xe9: b"),
    "obs-fold": lambda tag: get(tag, b"X-A: b", b" folded"),
    "obs-fold of the first header": lambda tag: get(tag, b" X-A: b"),
    "NUL in a value": lambda tag: get(tag, b"X-A: a\x00b"),
    "control character in a value": lambda tag: get(tag, b"X-A: a\x01b"),
    "DEL in a value": lambda tag: get(tag, b"X-A: a\x7fb"),
    "CR in a value": lambda tag: get(tag, b"X-A: a\rX-B: c"),
    "Content-Length and Transfer-Encoding": lambda tag: (
        get(tag, b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"
    ),
    "Transfer-Encoding and Content-Length": lambda tag: (
        get(tag, b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n"
    ),
    "two Content-Lengths": lambda tag: get(tag, b"Content-Length: 3", b"Content-Length: 4") + b"abcd",
    "the same Content-Length twice": lambda tag: (
        get(tag, b"Content-Length: 3", b"Content-Length: 3") + b"abc"
    ),
    "Content-Length list": lambda tag: get(tag, b"Content-Length: 3, 3") + b"abc",
    "negative Content-Length": lambda tag: get(tag, b"Content-Length: -1"),
    "signed Content-Length": lambda tag: get(tag, b"Content-Length: +3") + b"abc",
    "hexadecimal Content-Length": lambda tag: get(tag, b"Content-Length: 0x3") + b"abc",
    "Content-Length with a space": lambda tag: get(tag, b"Content-Length: 1 2"),
    "empty Content-Length": lambda tag: get(tag, b"Content-Length:"),
    "Content-Length beyond 64 bits": lambda tag: get(tag, b"Content-Length: 18446744073709551617"),
    "chunked twice": lambda tag: get(tag, b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n",
    "chunked in two lines": lambda tag: (
        get(tag, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"
    ),
    "chunked is not the last": lambda tag: get(tag, b"Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
    "Transfer-Encoding with a tab": lambda tag: get(tag, b"Transfer-Encoding:\x0bchunked") + b"0\r\n\r\n",
    "Transfer-Encoding in HTTP/1.0": lambda tag: (
        get(tag, b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + b"0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_400(server, tag, name):
    wire = BAD_REQUESTS[name](tag)
    response = refused(server, tag, wire)
    if "Transfer-Encoding" in name or "chunked" in name:
        assert response.status in (400, 501)
    elif "version" in name:
        assert response.status in (400, 505)
    else:
        assert response.status == 400


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_400_byte_by_byte(server, tag, name):
    """The verdict does not depend on how the bytes arrive."""
    with server.connect() as connection:
        try:
            for byte in BAD_REQUESTS[name](tag):
                connection.send(bytes([byte]))
        except OSError:
            pass
        assert connection.response().status in (400, 501, 505)
        connection.expect_end()
    still_serves(server)
    assert server.probe.seen("called", tag) == []


@pytest.mark.parametrize("ending", ["bare LF", "bare CR"])
def test_bare_line_endings_are_refused_or_read_as_line_ends(server, tag, ending):
    """RFC 9112 2.2 lets a recipient take a bare LF for a line end; a bare CR it must refuse or replace."""
    end = b"\n" if ending == "bare LF" else b"\r"
    wire = get(tag, b"X-A: b").replace(b"\r\n", end)
    with server.connect(timeout=3) as connection:
        connection.send(wire)
        if ending == "bare LF":
            assert connection.response().status in (200, 400)
        else:
            connection.send(b"\r\n\r\n")
            assert connection.response().status == 400
            connection.expect_end()
    still_serves(server)


BAD_CHUNKS = {
    "size is not hexadecimal": b"x\r\nabc\r\n",
    "size is empty": b"\r\nabc\r\n",
    "size is negative": b"-1\r\nabc\r\n",
    "size has 0x": b"0x3\r\nabc\r\n",
    "size beyond 64 bits": b"10000000000000003\r\nabc\r\n",
    "size ends in a bare LF": b"3\nabc\r\n0\r\n\r\n",
    "data longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "data ends in a bare LF": b"3\r\nabc\n0\r\n\r\n",
    "data ends in two other bytes": b"3\r\nabcXX0\r\n\r\n",
    "bare LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "bare CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "endless extension": b"3;" + b"e" * (128 * KB) + b"\r\nabc\r\n0\r\n\r\n",
    "endless trailers": b"0\r\n" + b"T: v\r\n" * 50_000 + b"\r\n",
    "trailer that is no header": b"0\r\nno colon\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_400_in_a_chunked_body(server, tag, name):
    """The application has been called; it must not get an end of the body, and the connection must end."""
    with server.connect() as connection:
        connection.send(
            request_bytes("POST", f"/events?{tag}", [("Transfer-Encoding", "chunked")]) + chunk(b"good")
        )
        assert server.probe.expect("received", tag)["message"]["body"] == b"good"
        try:
            connection.send(BAD_CHUNKS[name])
        except OSError:
            pass
        try:
            assert connection.response().status in ((400, 431) if "endless" in name else (400,))
        except Truncated as cut:
            if cut.head is not None:
                raise
        connection.expect_end()
    last = server.probe.events.wait(lambda _: ended(server, tag), 10)
    assert last == {"type": "http.disconnect"}
    still_serves(server)


def ended(server, tag):
    """The event that ended the body, if it has ended. (The caller holds the condition, which is re-entrant.)"""
    said = [
        item["message"]
        for item in server.probe.events.items
        if (item["event"], item["tag"]) == ("received", tag)
    ]
    return next((message for message in said if not message.get("more_body")), None)


def test_400_after_a_good_request(server, tag):
    with server.connect() as connection:
        connection.send(
            request_bytes("GET", "/hello") + get(tag, b"X-A : b") + request_bytes("GET", "/hello")
        )
        assert connection.response().body == b"Hello, World!"
        assert connection.response().status == 400
        connection.expect_end()


def test_400_waits_for_the_answer_before_it(server, tag):
    with server.connect() as connection:
        connection.send(request_bytes("GET", f"/waits?{tag}") + b"\x00\x00\r\n\r\n")
        server.probe.expect("called", tag)
        still_serves(server)
        server.probe.open(f"{tag}.go")
        assert connection.response().body == b"waited"
        assert connection.response().status == 400
        connection.expect_end()


@pytest.mark.parametrize("size", [256 * KB, 2048 * KB])
def test_414_target_too_long(server, tag, size):
    wire = b"GET /ignores_body/" + b"a" * size + b"?" + tag.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    assert refused(server, tag, wire).status == 414


def test_414_target_without_an_end(server):
    """Nothing but target: refused once it is too long, and not buffered for ever."""
    with server.connect() as connection:
        connection.send(b"GET /")
        sent = 0
        try:
            while sent < 64 * MB and not readable(connection):
                connection.send(b"a" * KB)
                sent += KB
        except OSError:
            pass
        assert sent < 16 * MB
        assert connection.response().status == 414
        connection.expect_end()
    still_serves(server)


def readable(connection):
    return bool(select.select([connection.socket], [], [], 0)[0])


@pytest.mark.parametrize(
    "lines",
    [
        [b"X-Long: " + b"v" * (256 * KB)],
        [b"X-" + b"n" * (256 * KB) + b": v"],
        [b"X-%d: %s" % (number, b"v" * KB) for number in range(1024)],
        [b"X-%d: v" % number for number in range(20_000)],
        [b"X:" for _ in range(20_000)],
    ],
    ids=["one value", "one name", "a megabyte", "20000 fields", "20000 empty fields"],
)
def test_431_head_too_large(server, tag, lines):
    assert refused(server, tag, get(tag, *lines)).status == 431


def test_431_at_least_eight_kilobytes_are_taken(server, tag):
    """What clients send in earnest (large cookies) must pass."""
    cookie = b"Cookie: " + b"c" * (8 * KB)
    with server.connect() as connection:
        connection.send(get(tag, cookie))
        assert connection.response().status == 200


def test_at_least_four_kilobytes_of_target_are_taken(server, tag):
    """RFC 9112 3 recommends 8000 bytes for the request line."""
    with server.connect() as connection:
        connection.send(
            b"GET /ignores_body/" + b"a" * 7900 + b"?" + tag.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        assert connection.response().status == 200


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"made-up,chunked", b"deflate, gzip, chunked"])
def test_501_unknown_transfer_coding(server, tag, coding):
    wire = get(tag, b"Transfer-Encoding: " + coding, method=b"POST") + b"0\r\n\r\n"
    assert refused(server, tag, wire).status == 501


LAST_IS_NOT_CHUNKED = [b"gzip", b"identity", b"made-up", b"xchunked", b"chunked;q=1", b"chunked, gzip", b""]


@pytest.mark.parametrize("coding", LAST_IS_NOT_CHUNKED)
def test_400_last_transfer_coding_is_not_chunked(server, tag, coding):
    """RFC 9112 6.3: 400, as the length cannot be told; 6.1 would have 501 for an unknown one."""
    wire = get(tag, b"Transfer-Encoding: " + coding, method=b"POST") + b"0\r\n\r\n"
    assert refused(server, tag, wire).status in (400, 501)


def test_501_CONNECT(server, tag):
    wire = b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"
    assert refused(server, tag, wire).status in (405, 501)


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/3.0", b"HTTP/0.9", b"HTTP/9.9"])
def test_505_version(server, tag, version):
    assert refused(server, tag, get(tag, version=version)).status == 505


def test_a_refused_request_with_a_body_is_not_read_as_another(server, tag):
    inner = get(tag)
    wire = b"POST / HTTP/1.1\r\nHost: x\r\nX-Bad : y\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner
    assert refused(server, tag, wire).status == 400


def test_upgrade_to_something_unknown_is_served_as_HTTP(server):
    with server.connect() as connection:
        response = connection.get("/hello", [("Upgrade", "made-up/7"), ("Connection", "Upgrade")])
        assert (response.status, response.body) == (200, b"Hello, World!")


def test_upgrade_with_a_body_is_not_smuggled(server, tag):
    """C5: an Upgrade request's body is its body, or the request is refused; never the next request."""
    inner = get(tag)
    wire = request_bytes("POST", "/hello", [("Upgrade", "h2c"), ("Connection", "Upgrade")], body=inner)
    with server.connect() as connection:
        connection.send(wire)
        assert connection.response().status in (200, 400)
        connection.socket.settimeout(0.2)
        try:
            connection.expect_end()
        except Silence:
            pass
    still_serves(server)
    assert server.probe.seen("called", tag) == []


def test_a_hundred_bad_connections_do_no_harm(server):
    for number in range(100):
        with server.connect() as connection:
            connection.send(bytes([number, 255 - number]) * 50 + b"\r\n\r\n")
            assert connection.response().status == 400
    still_serves(server)
