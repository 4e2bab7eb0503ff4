"""Rows X06 and X06c: fields behind the body, by the extension ``http.response.trailers``."""

from __future__ import annotations

import select

import pytest
from support.checks import (
    body,
    literal,
    raised,
    require_extension,
    run_script,
    script_request,
    start,
    still_serves,
)
from support.wire import Truncated

TE = [("TE", "trailers"), ("Connection", "TE")]
EXTENSION = "http.response.trailers"


@pytest.fixture(autouse=True)
def advertised(server):
    require_extension(server, EXTENSION)


def trailers(*fields, **extra):
    return {"type": EXTENSION, "headers": list(fields), **extra}


def announced(*headers):
    return start(200, *headers, trailers=True)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_advertised_where_they_can_be_sent(server, version):
    with server.connect() as connection:
        extensions = literal(connection.ask("GET", "/echo", version=version)).get("extensions", {})
    assert extensions.get(EXTENSION) == ({} if version == "1.1" else None)


def test_X06_sent_behind_the_body(server, tag):
    response, outcomes = run_script(
        server, tag, announced(), body(b"data"), trailers((b"x-sum", b"1"), (b"x-more", b"")), headers=TE
    )
    assert [outcome for outcome in outcomes if outcome] == []
    assert (response.framing, response.body) == ("chunked", b"data")
    assert response.trailers == [(b"x-sum", b"1"), (b"x-more", b"")]


def test_X06_several_messages_are_one_section(server, tag):
    response, _ = run_script(
        server,
        tag,
        announced(),
        body(b"da", more=True),
        body(b"ta"),
        trailers((b"x-a", b"1"), more_trailers=True),
        trailers((b"x-b", b"2")),
        headers=TE,
    )
    assert (response.body, response.trailers) == (b"data", [(b"x-a", b"1"), (b"x-b", b"2")])


@pytest.mark.parametrize("te", [[], [("TE", "gzip")]], ids=["no TE", "another TE"])
def test_X06_not_sent_to_who_did_not_ask(server, tag, te):
    with server.connect() as connection:
        connection.send(script_request(tag, announced(), body(b"data"), trailers((b"x-a", b"1")), headers=te))
        response = connection.response()
        assert (response.body, response.trailers) == (b"data", [])
        assert connection.get("/hello").body == b"Hello, World!"


def test_dropped_behind_a_content_length(server, tag):
    with server.connect() as connection:
        steps = announced((b"content-length", b"4")), body(b"data"), trailers((b"x-a", b"1"))
        connection.send(script_request(tag, *steps, headers=TE))
        assert connection.response().body == b"data"
        assert connection.get("/hello").body == b"Hello, World!"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("te", [TE, []], ids=["TE", "no TE"])
def test_X06c_the_response_does_not_end_before_them(server, tag, te, method):
    """An application that announces trailers and sends none has not completed its response."""
    with server.connect() as connection:
        connection.send(script_request(tag, announced(), body(b"data"), method=method, headers=te))
        if method == "HEAD":
            assert connection.response("HEAD").status == 200
            connection.expect_end()
        else:
            with pytest.raises(Truncated) as cut:
                connection.response()
            assert cut.value.head.body == b"data"
    still_serves(server)


def test_X06c_the_client_waits_for_them(server, tag):
    steps = announced(), body(b"data"), "say:waiting", "gate:go", trailers((b"x-a", b"1"))
    with server.connect() as connection:
        connection.send(script_request(tag, *steps, headers=TE))
        connection.head()
        assert (connection.read_chunk(), connection.read_chunk()) == (b"data", b"")
        server.probe.expect("waiting", tag)
        still_serves(server)
        assert connection.buffer == b""
        assert not select.select([connection.socket], [], [], 0)[0]
        server.probe.open(f"{tag}.go")
        assert connection.read_until(b"\r\n\r\n") == b"x-a: 1\r\n\r\n"


@pytest.mark.parametrize(
    "field",
    [
        (b"Content-Length", b"4"),
        (b"transfer-encoding", b"chunked"),
        (b"set-cookie", b"a=b"),
        (b"content-type", b"text/plain"),
        (b"x a", b"1"),
        (b"x-a", b"1\r\nx-b: 2"),
        (b"x-a\r\n\r\nHTTP/1.1 200 OK", b""),
        ("x-a", b"1"),
        (b"x-a",),
        None,
    ],
    ids=repr,
)
def test_what_may_not_be_one_is_refused(server, tag, field):
    """And the response can still end well."""
    response, outcomes = run_script(
        server,
        tag,
        announced(),
        body(b"data"),
        trailers((b"x-good", b"1"), field),
        trailers((b"x-a", b"1")),
        headers=TE,
    )
    assert raised(outcomes[2])
    assert not outcomes[2]["oserror"]
    assert outcomes[3] is None
    assert response.trailers == [(b"x-a", b"1")]


def test_not_announced_or_too_early(server, tag):
    response, outcomes = run_script(
        server,
        tag,
        trailers(),
        announced(),
        trailers((b"x-a", b"1")),
        body(b"data"),
        body(b"more"),
        trailers(),
        trailers((b"x-late", b"1")),
        headers=TE,
    )
    assert [raised(outcome) for outcome in outcomes] == [True, False, True, False, True, False, False]
    assert (response.body, response.trailers) == (b"data", [])
    _, outcomes = run_script(server, tag + "b", start(200), body(b"d", more=True), trailers(), body())
    assert raised(outcomes[2])
    assert "announced" in outcomes[2]["text"]
