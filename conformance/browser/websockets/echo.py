"""What the browser visits: the page, and the WebSockets that its script opens. Raw ASGI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PAGE = Path(__file__).with_name("page.html")


class Ends:
    """How sockets ended, by their queries."""

    def __init__(self) -> None:
        self.messages: dict[str, asyncio.Future[Message]] = {}

    def of(self, name: str) -> asyncio.Future[Message]:
        return self.messages.setdefault(name, asyncio.get_running_loop().create_future())


ENDS = Ends()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await SOCKETS[scope["path"]](scope, receive, send)
    elif scope["type"] == "http":
        await answer(scope, send)
    else:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def answer(scope: Scope, send: Send) -> None:
    kind, status, body = b"application/json", 200, b""
    if scope["path"] == "/end":
        end = await ENDS.of(scope["query_string"].decode())
        body = json.dumps([end.get("code"), end.get("reason")]).encode()
    elif scope["path"] == "/":
        kind, body = b"text/html; charset=utf-8", PAGE.read_bytes()
    else:
        status = 404
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes the last subprotocol; each message comes back as it came. A query names the socket for ``/end``."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": next(reversed(scope["subprotocols"]), None)})
    while (message := await receive())["type"] == "websocket.receive":
        key = "text" if message.get("text") is not None else "bytes"
        await send({"type": "websocket.send", key: message[key]})
    if scope["query_string"]:
        ENDS.of(scope["query_string"].decode()).set_result(message)


async def closes(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "last words"})
    await send({"type": "websocket.close", "code": 4001, "reason": "genug für heute"})


async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close"})


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    raise RuntimeError("deliberate")


SOCKETS = {"/echo": echo, "/closes": closes, "/refuses": refuses, "/raises": raises}
