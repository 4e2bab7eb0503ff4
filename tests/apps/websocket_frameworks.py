"""Handlers of ``fasterapi.WebSocket`` where frameworks mount them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, WebSocketRoute
from support.probe import say

from fasterapi import WebSocket, websocket_endpoint


async def greet(ws: WebSocket) -> None:
    """Says who it was mounted for, then echoes; ``fail`` raises, ``leave`` returns, ``deny`` in the query refuses."""
    if "deny" in ws.query_params:
        await ws.send_denial_response(PlainTextResponse("denied", 418))
        return
    await ws.send_json({"name": ws.path_params.get("name"), "query": dict(ws.query_params)})
    try:
        async for message in ws:
            if message == "fail":
                raise LookupError("greet failed")
            if message == "leave":
                return
            await ws.send(message)
    finally:
        say("greeted", ws.query_params.get("tag", ""))


class Greeter:
    """A callable object, and a method."""

    async def __call__(self, ws: WebSocket) -> None:
        await greet(ws)

    async def method(self, ws: WebSocket) -> None:
        await greet(ws)


plain = websocket_endpoint(greet)
starlette = Starlette(
    routes=[
        WebSocketRoute("/ws/{name}", websocket_endpoint(greet)),
        WebSocketRoute("/object/{name}", websocket_endpoint(Greeter())),
        WebSocketRoute("/method/{name}", websocket_endpoint(Greeter().method)),
        Mount("/mount", websocket_endpoint(greet)),
    ]
)
fastapi = FastAPI()
fastapi.add_api_websocket_route("/ws/{name}", websocket_endpoint(greet))
fastapi.router.routes.append(WebSocketRoute("/route/{name}", websocket_endpoint(greet)))
fastapi.websocket("/decorated/{name}")(websocket_endpoint(Greeter().method))
fastapi.mount("/mount", websocket_endpoint(greet))


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """``/plain``, ``/starlette/…``, ``/fastapi/…``."""
    if scope["type"] == "lifespan":
        return
    first, _, rest = scope["path"][1:].partition("/")
    chosen = {"plain": plain, "starlette": starlette, "fastapi": fastapi}[first]
    await chosen({**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}, receive, send)
