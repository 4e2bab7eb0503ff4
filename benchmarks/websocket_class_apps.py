"""The WebSocket rows by classes: ``fasterapi.WebSocket`` on fasterapi, Starlette's on the others."""

from collections.abc import Awaitable, Callable
from typing import Any

from apps import PUSHED, Receive, Scope, Send, hello
from starlette.websockets import WebSocket as StarletteWebSocket
from starlette.websockets import WebSocketDisconnect as StarletteDisconnect

try:
    from fasterapi import WebSocket, WebSocketDisconnect
except ImportError:  # a peer's environment
    WebSocket, WebSocketDisconnect = StarletteWebSocket, StarletteDisconnect

Handler = Callable[[Any], Awaitable[None]]
GONE = (WebSocketDisconnect, StarletteDisconnect)


def served(handler: Handler) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The handler as an application, until the client leaves."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await hello(scope, receive, send)
            return
        ours = "fasterapi.websocket" in scope.get("extensions", {})
        websocket: Any = (WebSocket if ours else StarletteWebSocket)(scope, receive, send)
        await websocket.accept()
        try:
            await handler(websocket)
        except GONE:
            pass

    return app


@served
async def echo(websocket: Any) -> None:
    """Each text comes back."""
    while True:
        await websocket.send_text(await websocket.receive_text())


@served
async def push_text(websocket: Any) -> None:
    """Each text comes back 10,000 times."""
    while True:
        text = await websocket.receive_text()
        for _ in range(PUSHED):
            await websocket.send_text(text)


@served
async def push_binary(websocket: Any) -> None:
    """Each binary message comes back 10,000 times."""
    while True:
        data = await websocket.receive_bytes()
        for _ in range(PUSHED):
            await websocket.send_bytes(data)


@served
async def push_json(websocket: Any) -> None:
    """Each value comes back 10,000 times, written as JSON each time."""
    while True:
        value = await websocket.receive_json()
        for _ in range(PUSHED):
            await websocket.send_json(value)
