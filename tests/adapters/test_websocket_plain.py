"""``fasterapi.WebSocket`` on a server that suspends, repeats and refuses as ASGI allows and real servers seldom do."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from fasterapi import WebSocket, WebSocketDisconnect, websocket_endpoint


class Server:
    """Keeps what is sent, each after a while; gives the events of ``events``, then waits."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = [{"type": "websocket.connect"}, *events]
        self.sent: list[dict[str, Any]] = []
        self.scope = {"type": "websocket", "headers": [], "extensions": {"websocket.http.response": {}}}
        self.error: Exception | None = None

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        if not self.events:
            await asyncio.get_running_loop().create_future()
        return self.events.pop(0)

    async def send(self, message: dict[str, Any]) -> None:
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.sent.append(message)

    def websocket(self, **options: Any) -> WebSocket:
        return WebSocket(self.scope, self.receive, self.send, **options)


def text(data: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": data, "bytes": None}


LEFT = {"type": "websocket.disconnect", "code": 4002, "reason": "left"}


def test_sends_at_once_leave_in_the_order_of_the_calls(run):
    async def main() -> None:
        server = Server()
        ws = server.websocket(accepts=True)
        await asyncio.gather(*(ws.send_text(str(number)) for number in range(50)), ws.close(4000))
        assert [message.get("text") for message in server.sent[1:-1]] == [str(number) for number in range(50)]
        assert [server.sent[0]["type"], server.sent[-1]["type"]] == ["websocket.accept", "websocket.close"]

    run(main())


def test_only_one_close_is_sent(run):
    async def main() -> None:
        server = Server()
        ws = server.websocket(accepts=True)
        await asyncio.gather(ws.close(4000, "one"), ws.close(4001))
        await ws.close()
        assert server.sent[1:] == [{"type": "websocket.close", "code": 4000, "reason": "one"}]

    run(main())


def test_an_accept_that_was_refused_can_be_tried_again(run):
    async def main() -> None:
        server = Server(text("one"), LEFT)
        ws = server.websocket()
        server.error = ValueError("a bad header")
        with pytest.raises(ValueError, match="a bad header"):
            await ws.accept(headers=[("a b", "c")])
        server.error = None
        await ws.accept()
        assert await ws.receive() == "one"

    run(main())


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("a wrong state")])
def test_what_a_server_raises_to_whoever_sends_to_nobody_is_a_disconnect(run, error):
    async def main() -> None:
        server = Server(text("before"), LEFT)
        ws = server.websocket()
        await ws.accept()
        server.error = error
        for _ in range(2):
            with pytest.raises(WebSocketDisconnect) as raised:
                await ws.send("x")
            assert (raised.value.code, raised.value.__cause__) == (1006, error)
        assert not ws.is_open
        # What came before is still there, and with it what the client said.
        assert await ws.receive() == "before"
        for call in (ws.receive(), ws.send("x"), ws.receive_text()):
            with pytest.raises(WebSocketDisconnect) as raised:
                await call
            assert (raised.value.code, raised.value.reason) == (4002, "left")

    run(main())


@pytest.mark.parametrize("error", [FileNotFoundError("a fault"), RuntimeError("a fault")])
def test_a_middlewares_fault_on_this_server_is_no_disconnect(run, error):
    async def main() -> None:
        server = Server()
        server.scope["extensions"]["fasterapi.websocket"] = {"socket": SimpleNamespace(close_code=None)}
        ws = server.websocket()
        await ws.accept()
        server.error = error
        with pytest.raises(type(error)) as raised:
            await ws.send("x")
        assert raised.value is error
        assert ws.is_open

    run(main())


def test_all_who_receive_are_told_that_the_client_has_gone(run):
    async def main() -> None:
        ws = Server(text("one"), LEFT).websocket(accepts=True)
        told = await asyncio.gather(*(ws.receive() for _ in range(4)), return_exceptions=True)
        assert told[0] == "one"
        assert [each.code for each in told[1:]] == [4002] * 3

    run(main())


def test_a_client_that_leaves_ends_a_handler_quietly_and_anothers_end_does_not(run):
    async def main() -> None:
        async def receiving(ws: WebSocket) -> None:
            while True:
                await ws.receive()

        async def receiving_twice(ws: WebSocket) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(receiving, ws)
                group.start_soon(receiving, ws)

        async def minding(ws: WebSocket) -> None:
            await ws.send("hello")
            raise WebSocketDisconnect(1006)

        for handler in (receiving, receiving_twice):
            server = Server(text("one"), LEFT)
            await websocket_endpoint(handler)(server.scope, server.receive, server.send)
            assert [message["type"] for message in server.sent] == ["websocket.accept"]
        server = Server()
        with pytest.raises(WebSocketDisconnect):
            await websocket_endpoint(minding)(server.scope, server.receive, server.send)
        assert server.sent[-1]["code"] == 1011

    run(main())


@pytest.mark.parametrize(
    ("body", "headers", "types"),
    [
        ("text", [], [b"text/plain; charset=utf-8"]),
        ("<p>", [("Content-Type", "text/html")], [b"text/html"]),
        (b"data", [], []),
    ],
)
def test_the_content_type_of_a_denial(run, body, headers, types):
    async def main() -> None:
        server = Server()
        await server.websocket().send_denial_response(404, body, headers)
        start, end = server.sent
        assert start["status"] == 404
        assert [value for name, value in start["headers"] if name == b"content-type"] == types
        assert dict(start["headers"])[b"content-length"] == str(len(end["body"])).encode()

    run(main())


def test_a_server_without_denials_says_so_and_can_still_accept(run):
    async def main() -> None:
        server = Server()
        del server.scope["extensions"]
        ws = server.websocket()
        with pytest.raises(RuntimeError, match=r"accept\(\) or close\(\)"):
            await ws.send_denial_response()
        await ws.accept()
        assert ws.is_open

    run(main())
