"""EventSourceResponse and sse_endpoint inside Starlette and FastAPI, also behind a middleware of theirs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from support import sse
from support.server import ServerProcess
from support.wire import LAST_CHUNK
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from fasterapi import EventSourceResponse, ServerSentEvent

FRAMEWORKS = ("", "/fastapi", "/around")
ITEMS = b"".join(
    (
        b"data: text\n\n",
        b'data: {"a":1}\n\n',
        b"event: named\nid: 7\nretry: 0\n" + 'data: {"b":"ü"}\n\n'.encode(),
        b": noted\ndata: two\ndata: lines\n\n",
        b"data: data:application/octet-stream;base64,AP8=\n\n",
        b"id: 8\n\n",
        b": only\n",
        b"data: null\n\n",
    )
)


@pytest.fixture
def server(shared: Callable[..., ServerProcess]) -> ServerProcess:
    return shared("apps.sse_frameworks:app")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", ["async", "thread", "list", "iterable"])
def test_sends_what_an_iterable_gives(server: ServerProcess, framework: str, name: str) -> None:
    response = server.get(f"{framework}/items/{name}")
    assert response.values("content-type") == [b"text/event-stream; charset=utf-8"]
    assert response.values("x-accel-buffering") == [b"no"]
    assert response.body == ITEMS


def test_status_headers_and_background_are_the_applications(server: ServerProcess, tag: str) -> None:
    response = server.get(f"/items/async?status=203&tag={tag}")
    assert response.status == 203
    assert (response.values("x-own"), response.values("cache-control")) == ([b"yes"], [b"no-cache"])
    server.probe.expect("background", tag)


def test_head_has_only_the_head(server: ServerProcess) -> None:
    with server.connect() as connection:
        response = connection.ask("HEAD", "/items/thread")
        assert response.values("content-type") == [b"text/event-stream; charset=utf-8"]
        assert connection.ask("GET", "/items/list").body == ITEMS


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", ["async", "thread", "async-object", "thread-object"])
def test_a_client_that_leaves_closes_the_generator(
    server: ServerProcess, tag: str, framework: str, name: str
) -> None:
    with sse.connected(server, f"{framework}/leaving/{name}?tag={tag}") as events:
        assert next(events).data == "hello"
    server.probe.expect("closed", tag)
    if framework == "":
        server.probe.expect("background", tag)
    assert "Traceback" not in server.stderr


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_generator_that_works_is_closed_when_it_has(
    server: ServerProcess, tag: str, framework: str
) -> None:
    with sse.connected(server, f"{framework}/leaving/thread-blocked?tag={tag}") as events:
        assert next(events).data == "hello"
        server.probe.expect("blocked", tag)
    assert server.get(f"/release?tag={tag}").status == 200
    server.probe.expect("closed", tag)
    if framework == "":
        server.probe.expect("background", tag)
    assert "Traceback" not in server.stderr


def test_a_silent_iterable_is_kept_alive(server: ServerProcess, tag: str) -> None:
    with httpx.stream("GET", f"{sse.url(server)}/silent?tag={tag}", timeout=10) as response:
        lines = (line for line in response.iter_lines() if line)
        assert list(itertools.islice(lines, 3)) == [": ping"] * 3
        server.probe.open(tag)
        assert [line for line in lines if line != ": ping"] == ["data: end"]


def test_a_server_that_stops_ends_them(
    serve: Callable[..., ServerProcess], server_name: str, tag: str
) -> None:
    """Also below Starlette's middlewares, which wrap send(). No other server tells that it stops."""
    native = server_name == "fasterapi"
    server = serve("apps.sse_frameworks:app", *(() if native else ("--timeout-graceful-shutdown", "1")))
    streams = []
    for target in ("/handler/x", "/fastapi/handler/x", "/leaving/async", "/fastapi/leaving/async"):
        stream = server.connect()
        stream.request("GET", f"{target}?tag={tag}")
        stream.read_until(b"data: ")
        streams.append(stream)
    server.terminate()
    ends = [stream.read_to_end() for stream in streams]
    if native:
        assert [end[-5:] for end in ends] == [LAST_CHUNK] * 4
        assert len(server.probe.seen("cleaned", tag)) == len(server.probe.seen("closed", tag)) == 2


def test_stop_answers_204(server: ServerProcess) -> None:
    response = server.get("/stop")
    assert (response.status, response.body) == (204, b"")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_route_takes_the_endpoint(server: ServerProcess, tag: str, framework: str) -> None:
    with sse.connected(server, f"{framework}/handler/seven?tag={tag}") as events:
        assert next(events).data == '{"name":"seven"}'
    server.probe.expect("cleaned", tag)


def test_a_websocket_is_refused(server: ServerProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{server.address[1]}/mounted/", proxy=None, open_timeout=10)
    assert refused.value.response.status_code == 403
    assert "Traceback" not in server.stderr


def test_the_exception_of_an_iterable_is_the_servers_to_report(
    serve: Callable[..., ServerProcess], tag: str
) -> None:
    server = serve("apps.sse_frameworks:app")
    with server.connect() as connection:
        connection.send(f"GET /failing?tag={tag} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = connection.read_to_end()
    assert b"data: hello\n\n" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    server.probe.expect("closed", tag)
    server.expect_log("TypeError")


@pytest.mark.parametrize("content", ["text", b"bytes", {"a": 1}, ServerSentEvent("a"), None, iter], ids=type)
def test_one_event_is_no_content(content: Any) -> None:
    """A text was sent character by character."""
    with pytest.raises(TypeError, match=f"not {type(content).__name__}$"):
        EventSourceResponse(content)
