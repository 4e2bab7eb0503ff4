"""``websocket_endpoint`` under a server, Starlette and FastAPI: what a handler's end makes of the connection."""

from __future__ import annotations

import inspect
import json
import re
import socket

import httpx
import pytest
from support.websocket_client import TIMEOUT, opened
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from fasterapi import WebSocket, websocket_endpoint

MOUNTED = {
    "/plain": None,
    "/starlette/ws/ann": "ann",
    "/starlette/object/bob": "bob",
    "/starlette/method/eve": "eve",
    "/starlette/mount/": None,
    "/fastapi/ws/ann": "ann",
    "/fastapi/route/bob": "bob",
    "/fastapi/decorated/eve": "eve",
    "/fastapi/mount/": None,
}


@pytest.fixture
def client(shared):
    yield from opened(shared("apps.websocket_frameworks:app"), "")


@pytest.fixture(params=MOUNTED)
def path(request):
    return request.param


def test_messages_parameters_and_query_reach_the_handler(client, path):
    connection = client(f"{path}?a=1&b=%C3%BC")
    assert json.loads(connection.recv(TIMEOUT)) == {"name": MOUNTED[path], "query": {"a": "1", "b": "ü"}}
    for message in ("text", b"binary", "x" * 100_000):
        connection.send(message)
        assert connection.recv(TIMEOUT) == message


def test_a_return_closes_normally(client, path):
    connection = client(path)
    connection.recv(TIMEOUT)
    connection.send("leave")
    with pytest.raises(ConnectionClosedOK):
        connection.recv(TIMEOUT)
    assert connection.close_code == 1000


def test_an_exception_closes_with_1011_and_is_logged(client, path):
    connection = client(path)
    connection.recv(TIMEOUT)
    before = len(re.findall("LookupError: greet failed", client.server.stderr))
    connection.send("fail")
    with pytest.raises(ConnectionClosedError):
        connection.recv(TIMEOUT)
    assert connection.close_code == 1011
    assert client.server.log.wait(
        lambda lines: sum("LookupError: greet failed" in line for line in lines if line) > before, TIMEOUT
    )
    assert "Exception in ASGI application" in client.server.stderr


def test_a_client_that_leaves_ends_the_handler_and_is_no_error(client, path, tag):
    before = client.server.stderr.count("Traceback")
    connection = client(f"{path}?tag={tag}")
    connection.recv(TIMEOUT)
    connection.socket.shutdown(socket.SHUT_RDWR)
    client.server.probe.expect("greeted", tag)
    with client(path) as other:
        other.recv(TIMEOUT)
    assert client.server.stderr.count("Traceback") == before


def test_a_response_of_starlettes_denies_the_handshake(client, path):
    with pytest.raises(InvalidStatus) as refused:
        client(f"{path}?deny=1")
    assert (refused.value.response.status_code, refused.value.response.body) == (418, b"denied")


def test_it_is_an_application_by_itself(shared):
    """What a server finds out about it before the first call: that it is no factory, and ASGI 3."""
    server = shared("apps.websocket_frameworks:plain")
    connection = next(opened(server, ""))("/")
    assert json.loads(connection.recv(TIMEOUT)) == {"name": None, "query": {}}
    assert "factory" not in server.stderr
    connection.close()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", ["/plain", "/starlette/mount/", "/fastapi/mount/"])
def test_a_request_that_asks_for_no_websocket_is_told_so(client, method, path):
    answer = httpx.request(method, f"http://127.0.0.1:{client.server.address[1]}{path}", timeout=TIMEOUT)
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert answer.text == ("" if method == "HEAD" else "This is a WebSocket.")


def test_it_is_named_and_documented_as_its_handler():
    async def handler(ws: WebSocket) -> None:
        """What it does."""

    endpoint = websocket_endpoint(handler)
    assert (endpoint.__name__, endpoint.__doc__) == ("handler", "What it does.")
    assert list(inspect.signature(endpoint).parameters) == ["scope"]


def test_a_websocket_is_made_for_its_scope_only():
    with pytest.raises(ValueError, match="'http'"):
        WebSocket({"type": "http"}, None, None)


def test_the_class_shuts_down_with_its_server(serve):
    """A server that stops tells each handler: none hangs, and all leave quietly."""
    server = serve("apps.websocket_frameworks:app")
    clients = opened(server, "")
    client = next(clients)
    connections = [client(path) for path in MOUNTED for _ in range(3)]
    for connection in connections:
        connection.recv(TIMEOUT)
    server.terminate()
    for connection in connections:
        with pytest.raises(ConnectionClosed):
            connection.recv(TIMEOUT)
    assert len(server.probe.seen("greeted")) == len(connections)
