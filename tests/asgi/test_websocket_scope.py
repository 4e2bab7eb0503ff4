"""Rows W01–W14: the scope of a WebSocket."""

from __future__ import annotations

import ast

import pytest
from support.websocket import WebSocket, scope_of


def test_W01_type_version_and_scheme(server):
    scope = scope_of(server)
    assert scope["type"] == "websocket"
    assert scope.get("http_version", "1.1") == "1.1"
    assert scope.get("scheme", "ws") == "ws"
    assert scope["asgi"]["version"] == "3.0"
    assert "method" not in scope


def test_W05_path_and_query(server):
    scope = scope_of(server, "/websocket_scope/caf%C3%A9%2Fa+b?a=%20b&c")
    assert scope["path"] == "/websocket_scope/café/a+b"
    assert scope.get("raw_path", b"/websocket_scope/caf%C3%A9%2Fa+b") == b"/websocket_scope/caf%C3%A9%2Fa+b"
    assert scope.get("query_string", b"") == b"a=%20b&c"
    assert scope.get("root_path", "") == ""


def test_W05_no_query(server):
    assert scope_of(server).get("query_string", b"") == b""


def test_W09_headers(server):
    given = [("X-One", "1"), ("x-two", "caf\xe9"), ("X-One", "2"), ("X-Empty", "")]
    headers = [tuple(pair) for pair in scope_of(server, headers=given)["headers"]]
    assert [pair for pair in headers if pair[0].startswith(b"x-")] == [
        (b"x-one", b"1"),
        (b"x-two", b"caf\xe9"),
        (b"x-one", b"2"),
        (b"x-empty", b""),
    ]
    assert {b"host", b"sec-websocket-key", b"sec-websocket-version"} <= {name for name, _ in headers}


def test_W10_client_and_server(server):
    with WebSocket(server.address, "/websocket_scope") as peer:
        peer.opened()
        scope = ast.literal_eval(peer.message())
        if scope.get("client") is not None:
            assert list(scope["client"]) == ["127.0.0.1", peer.port]
        if scope.get("server") is not None:
            assert list(scope["server"]) == list(server.address)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], [], id="W11_none"),
        pytest.param(["chat"], ["chat"], id="W11_one"),
        pytest.param(["superchat, chat ,v10.stomp"], ["superchat", "chat", "v10.stomp"], id="W11_several"),
        pytest.param(["b, c", "a"], ["b", "c", "a"], id="W11b_two_lines"),
    ],
)
def test_W11_subprotocols(server, lines, expected):
    headers = [("Sec-WebSocket-Protocol", line) for line in lines]
    assert list(scope_of(server, headers=headers).get("subprotocols", [])) == expected


def test_W13_state_is_a_copy_with_shared_values(server):
    def state():
        with WebSocket(server.address, "/websocket_state") as peer:
            peer.opened()
            return ast.literal_eval(peer.message())

    first, second = state(), state()
    assert first["number"] == second["number"] == 42
    assert "own" not in second["keys"]
    assert second["length"] == first["length"] + 1


def test_W14_extensions_are_dicts(server):
    extensions = scope_of(server).get("extensions") or {}
    assert isinstance(extensions, dict)
    assert [name for name, value in extensions.items() if not isinstance(value, dict)] == []
