"""Messages over the wire: chunked both ways, Date and Server, HEAD, bodies beside back-pressure, failures."""

from __future__ import annotations

import re
import threading
import time
from email.utils import parsedate_to_datetime

import pytest
from support.checks import body, next_is_right_or_closed, run_script, script_request, start, still_serves
from support.wire import LAST_CHUNK, Truncated, chunk, request_bytes

MB = 1 << 20


def test_chunked_both_ways_at_once(server, tag):
    """Each chunk comes back before the next is sent."""
    with server.connect() as connection:
        connection.send(request_bytes("POST", f"/relay?{tag}", [("Transfer-Encoding", "chunked")]))
        assert connection.head().framing == "chunked"
        for number in range(50):
            data = b"chunk %d " % number * (number + 1)
            connection.send(chunk(data))
            assert connection.read_chunk() == data
        connection.send(LAST_CHUNK)
        assert connection.read_chunk() == b""
        assert connection.read_until(b"\r\n") == b"\r\n"
        assert connection.get("/hello").body == b"Hello, World!"


def test_large_echo_while_both_sides_write(server):
    data = bytes(range(256)) * 4096 * 4
    with server.connect() as connection:
        head = request_bytes("POST", "/relay", [("Content-Length", str(len(data)))])
        writer = threading.Thread(target=connection.send, args=(head + data,))
        writer.start()
        response = connection.response()
        writer.join()
    assert response.body == data


def test_chunks_of_a_response_are_never_empty(server, tag):
    """An empty chunk would end it: this client reads the end at the first one, so nothing may follow."""
    parts = [b"", b"a", b"", b"", b"bc", b""]
    with server.connect() as connection:
        events = [body(part, more=at < len(parts) - 1) for at, part in enumerate(parts)]
        connection.send(script_request(tag, start(), *events))
        assert connection.response().body == b"abc"
        assert connection.buffer == b""
        assert connection.get("/hello").status == 200


def test_HTTP_1_1_answer_of_unknown_length_keeps_the_connection(server, tag):
    with server.connect() as connection:
        for number in range(3):
            connection.send(script_request(f"{tag}{number}", start(), body(b"a", more=True), body(b"b")))
            response = connection.response()
            assert (response.framing, response.body) == ("chunked", b"ab")


def test_answer_in_one_body_message_has_one_framing(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, start(), body(b"whole")))
        response = connection.response()
        assert response.framing in ("chunked", "length")
        assert response.body == b"whole"
        assert connection.get("/hello").status == 200


def test_date_is_that_of_the_answer(server):
    before = int(time.time())
    date = parsedate_to_datetime(server.get("/hello").header("date").decode()).timestamp()
    assert before - 1 <= date <= time.time() + 1


def test_date_moves_on(server):
    """A cached Date must be renewed although nothing else changes."""
    with server.connect() as connection:
        first = connection.get("/hello").header("date")
        for _ in range(10_000):
            if connection.get("/hello").header("date") != first:
                return
            time.sleep(0.001)
        pytest.fail(f"the Date is still {first}")


def test_server_header_names_the_server(server, server_command):
    name = b"uvicorn" if "uvicorn" in server_command else b"fasterapi"
    assert re.match(name, server.get("/hello").header("server"))


def test_U05_no_server_and_no_date_header(shared):
    server = shared("apps.scenarios:app", "--no-server-header", "--no-date-header")
    response = server.get("/hello")
    assert response.values("server") == []
    assert response.values("date") == []


def test_U05_given_header(shared):
    assert shared("apps.scenarios:app", "--header", "x-a:1").get("/hello").values("x-a") == [b"1"]


def test_no_date_header_on_errors_either(shared, tag):
    server = shared("apps.scenarios:app", "--no-server-header", "--no-date-header")
    with server.connect() as connection:
        connection.send(script_request(tag, "raise"))
        response = connection.response()
        assert (response.status, response.values("server"), response.values("date")) == (500, [], [])


HEADERS = ("--header", "X-A:1", "--header", "x-a: two words ", "--header", "X-Empty:", "--header", "X-C:a:b")


def test_given_headers_are_on_every_response(shared, tag):
    server = shared("apps.scenarios:app", *HEADERS)
    for response in (server.get("/hello"), server.get("/nowhere")):
        assert response.values("x-a") == [b"1", b"two words"]
        assert response.values("x-empty") == [b""]
        assert response.values("x-c") == [b"a:b"]
    with server.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
        response = connection.response()
        assert (response.status, response.values("x-c")) == (400, [b"a:b"])


def test_given_date_and_server_replace_ours(serve, tag):
    server = serve("apps.scenarios:app", "--header", "Server: other", "--header", "DATE: a fixed day")
    response = server.get("/hello")
    assert (response.values("server"), response.values("date")) == ([b"other"], [b"a fixed day"])
    own = start(200, (b"server", b"own"), (b"date", b"own day"), (b"content-length", b"1"))
    response, _ = run_script(server, tag, own, body(b"x"))
    assert (response.values("server"), response.values("date")) == ([b"own"], [b"own day"])


def test_given_headers_are_sent_without_the_default_ones(serve):
    server = serve(
        *("apps.scenarios:app", "--no-server-header", "--no-date-header"),
        env={"FASTERAPI_HEADERS": "Server:other X-B:2"},
    )
    response = server.get("/hello")
    assert (response.values("server"), response.values("date")) == ([b"other"], [])
    assert response.values("x-b") == [b"2"]


def test_HEAD_of_a_large_file_is_short(server):
    with server.connect() as connection:
        response = connection.ask("HEAD", f"/large/{64 * MB}")
        assert response.header("content-length") == str(64 * MB).encode()
        assert connection.get("/hello").body == b"Hello, World!"


def test_pipelined_HEAD_and_GET(server):
    with server.connect() as connection:
        connection.send((request_bytes("HEAD", "/hello") + request_bytes("GET", "/hello")) * 20)
        for _ in range(20):
            assert connection.response("HEAD").body == b""
            assert connection.response().body == b"Hello, World!"


@pytest.mark.parametrize("status", [204, 304])
def test_pipelined_204_and_304(server, tag, status):
    with server.connect() as connection:
        one = script_request(tag, start(status), body(b""))
        connection.send((one + request_bytes("GET", "/hello")) * 10)
        for _ in range(10):
            assert connection.response().status == status
            assert connection.response().body == b"Hello, World!"


def test_exception_before_the_start_is_500_with_a_traceback(serve, tag):
    server = serve("apps.scenarios:app")
    with server.connect() as connection:
        connection.send(script_request(tag, "read", "raise", method="POST", body=b"x"))
        response = connection.response()
        assert response.status == 500
        assert tag.encode() not in response.body, "the client is not told what went wrong"
        next_is_right_or_closed(connection)
    server.expect_log(f"RuntimeError: deliberate {tag}")
    log = server.stderr
    assert re.search(r"^ERROR: +Exception in ASGI application$", log, re.M)
    assert "Traceback (most recent call last):" in log
    assert 'raise RuntimeError(f"deliberate {tag}")' in log


def test_exception_after_the_start_cuts_the_connection(serve, tag):
    server = serve("apps.scenarios:app")
    with server.connect() as connection:
        connection.send(script_request(tag, start(), body(b"begun", more=True), "raise"))
        with pytest.raises(Truncated) as cut:
            connection.response()
        assert cut.value.body == b"begun"
    server.expect_log(f"RuntimeError: deliberate {tag}")
    assert "Exception in ASGI application" in server.stderr


def test_exception_after_the_answer_is_logged_and_harmless(serve, tag):
    server = serve("apps.scenarios:app")
    with server.connect() as connection:
        connection.send(script_request(tag, start(), body(b"whole"), "raise"))
        assert connection.response().body == b"whole"
        next_is_right_or_closed(connection)
    server.expect_log(f"RuntimeError: deliberate {tag}")


def test_answering_nothing_is_500_and_logged(serve, tag):
    server = serve("apps.scenarios:app")
    with server.connect() as connection:
        connection.send(script_request(tag))
        assert connection.response().status == 500
    server.expect_log(r"^ERROR: .*ASGI callable returned without starting response")


def test_half_an_answer_is_cut_and_logged(serve, tag):
    server = serve("apps.scenarios:app")
    with server.connect() as connection:
        connection.send(script_request(tag, start(), body(b"begun", more=True)))
        with pytest.raises(Truncated):
            connection.response()
    server.expect_log(r"^ERROR: .*ASGI callable returned without completing response")


@pytest.mark.parametrize(
    "kind", ["SystemExit", "KeyboardInterrupt", "BaseException", "CancelledError", "StopIteration"]
)
def test_exceptions_that_are_not_Exception_end_one_request_or_the_server_in_order(serve, kind):
    """asyncio lets SystemExit and KeyboardInterrupt leave the loop: the server may stop, but not crash or hang."""
    server = serve("apps.scenarios:app")
    with server.connect() as connection:
        connection.request("GET", f"/raises/{kind}")
        try:
            assert connection.response().status == 500
        except Truncated as cut:
            if cut.head is not None:
                raise
    if kind in ("SystemExit", "KeyboardInterrupt"):
        if not server.alive():
            assert server.wait() >= 0
    else:
        still_serves(server)


def test_access_log_line(serve):
    server = serve("apps.scenarios:app")
    with server.connect() as connection:
        connection.get("/echo/a%20b?x=1&y")
        line = f'INFO:     127.0.0.1:{connection.port} - "GET /echo/a%20b?x=1&y HTTP/1.1" 200 OK\n'
        assert server.output.wait(lambda lines: line in lines, 10), server.stdout
