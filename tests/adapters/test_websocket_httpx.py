"""``fasterapi.WebSocket`` seen by another hand's client, httpx-ws: messages, pings, closes, subprotocols, a denial."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import httpx_ws
import pytest
from support.websocket_client import TIMEOUT, target


@pytest.fixture
def server(shared):
    return shared("apps.websocket_class:app")


@pytest.fixture
def connect(server) -> Iterator[Callable[..., httpx_ws.WebSocketSession]]:
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client(timeout=TIMEOUT, trust_env=False))
        http.base_url = f"http://127.0.0.1:{server.address[1]}"

        def connect(path: str, **options: Any) -> httpx_ws.WebSocketSession:
            return stack.enter_context(
                httpx_ws.connect_ws(path, http, keepalive_ping_interval_seconds=None, **options)
            )

        yield connect


def test_every_kind_of_message_comes_back(connect):
    one, other = connect("/echo"), connect("/json_echo")
    for size in (0, 1, 125, 126, 65_535, 65_536, 300_000):
        text = "".join(random.choices("abc é漢😀", k=size))
        one.send_text(text)
        assert one.receive_text(TIMEOUT) == text
        data = random.randbytes(size)
        one.send_bytes(data)
        assert one.receive_bytes(TIMEOUT) == data
        value = {"text": text, "numbers": [random.random() for _ in range(3)], "none": None}
        other.send_json(value)
        assert other.receive_json(TIMEOUT) == {"echo": value}


def test_its_pings_are_answered_between_messages(connect):
    one = connect("/echo")
    for payload in (b"", b"payload", bytes(range(125))):
        answered = one.ping(payload)
        one.send_text("on")
        assert answered.wait(TIMEOUT)
        assert one.receive_text(TIMEOUT) == "on"


@pytest.mark.parametrize("server_name", ["fasterapi"], indirect=True)
def test_it_answers_pings(connect, server, tag):
    one = connect(target([["receive"], ["ping", [b"payload"]]], tag))
    one.send_text("go")
    seconds = server.probe.expect("outcomes", tag)["outcomes"][1]
    assert 0 < seconds < TIMEOUT


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1000, "bye"), (1002, "no"), (4999, "grüße")])
def test_a_close_of_the_servers(connect, tag, code, reason):
    one = connect(target([["send", ["last"]], ["close", [code, reason]]], tag))
    assert one.receive_text(TIMEOUT) == "last"
    with pytest.raises(httpx_ws.WebSocketDisconnect) as closed:
        one.receive_text(TIMEOUT)
    assert (closed.value.code, closed.value.reason) == (code, reason)


@pytest.mark.parametrize(("code", "reason"), [(1000, "bye"), (4001, "grüße")])
def test_a_close_of_its_own(connect, server, tag, code, reason):
    one = connect(f"/client_id/{tag}")
    assert one.receive_json(TIMEOUT)["client_id"] == tag
    one.close(code, reason)
    told = server.probe.expect("left", tag)
    assert (told["code"], told["reason"]) == (code, reason)


def test_a_subprotocol_is_chosen(connect, tag):
    one = connect(
        target([["accept", ["chat.v2"]], ["get", ["subprotocols"]]], tag), subprotocols=["chat.v1", "chat.v2"]
    )
    assert one.subprotocol == "chat.v2"


def test_a_denial_is_its_response(connect, tag):
    with pytest.raises(httpx_ws.WebSocketUpgradeError) as refused:
        connect(target([["send_denial_response", [401, "no entry"]]], tag))
    assert refused.value.response.status_code == 401
