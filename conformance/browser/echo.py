"""What the browser visits: the page, the WebSockets that its script opens, and a place for what it saw. Raw ASGI."""

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


class Visit:
    """One browser's: how its sockets ended, by their queries, and what its page saw."""

    def __init__(self) -> None:
        self.ends: dict[str, asyncio.Future[Message]] = {}
        self.outcome: asyncio.Future[bytes] | None = None

    def end_of(self, name: str) -> asyncio.Future[Message]:
        return self.ends.setdefault(name, asyncio.get_running_loop().create_future())

    def outcome_to_come(self) -> asyncio.Future[bytes]:
        if self.outcome is None:
            self.outcome = asyncio.get_running_loop().create_future()
        return self.outcome


VISIT = Visit()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await SOCKETS[scope["path"]](scope, receive, send)
    elif scope["type"] == "http":
        await answer(scope, receive, send)
    else:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    kind, status, body = b"application/json", 200, b""
    if scope["path"] == "/outcome" and scope["method"] == "POST":
        VISIT.outcome_to_come().set_result(await read(receive))
    elif scope["path"] == "/outcome":
        body = await VISIT.outcome_to_come()
    elif scope["path"] == "/end":
        end = await VISIT.end_of(scope["query_string"].decode())
        body = json.dumps([end.get("code"), end.get("reason")]).encode()
    elif scope["path"] == "/":
        kind, body = b"text/html; charset=utf-8", PAGE.read_bytes()
    else:
        status = 404
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes the last subprotocol; each message comes back as it came. A query names the socket for ``/end``."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": next(reversed(scope["subprotocols"]), None)})
    while (message := await receive())["type"] == "websocket.receive":
        key = "text" if message.get("text") is not None else "bytes"
        await send({"type": "websocket.send", key: message[key]})
    if scope["query_string"]:
        VISIT.end_of(scope["query_string"].decode()).set_result(message)


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
