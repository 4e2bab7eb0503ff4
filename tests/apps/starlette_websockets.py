"""WebSockets as users of Starlette and FastAPI write them; for tests/frameworks."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
import anyio.lowlevel
from fastapi import APIRouter, Depends, FastAPI, Header, Query, WebSocketException, status
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.responses import JSONResponse
from starlette.routing import Mount, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from support.probe import say


async def texts(websocket: WebSocket) -> None:
    """Ends by what iter_text() makes of the close: its end."""
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)
    say("texts_ended", websocket.url.query)


async def data(websocket: WebSocket) -> None:
    await websocket.accept()
    async for part in websocket.iter_bytes():
        await websocket.send_bytes(part)


async def values(websocket: WebSocket) -> None:
    """JSON as text, and as bytes where it came so."""
    await websocket.accept()
    mode = websocket.query_params.get("mode", "text")
    while True:
        await websocket.send_json({"received": await websocket.receive_json(mode)}, mode)


async def subprotocols(websocket: WebSocket) -> None:
    """Takes the last that was offered; adds a header of its own."""
    offered = websocket.scope["subprotocols"]
    await websocket.accept(offered[-1] if offered else None, headers=[(b"x-accepted", b"yes")])
    await websocket.send_json({"offered": offered, "path": websocket.url.path, "cookie": websocket.cookies})
    await websocket.close()


async def disconnected(websocket: WebSocket) -> None:
    """Says what WebSocketDisconnect holds."""
    await websocket.accept()
    try:
        await websocket.receive_text()
    except WebSocketDisconnect as left:
        say("disconnected", websocket.url.query, code=left.code, reason=left.reason)


async def closes(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close(int(websocket.path_params["code"]), reason="by the application")


async def denied(websocket: WebSocket) -> None:
    await websocket.send_denial_response(JSONResponse({"why": "no"}, 401, headers={"x-denied": "yes"}))


async def refused(websocket: WebSocket) -> None:
    await websocket.close(4003)


async def crashes(websocket: WebSocket) -> None:
    await websocket.accept()
    raise RuntimeError("deliberate crash of a WebSocket")


async def both_ways(websocket: WebSocket) -> None:
    """One task receives while another sends, in one task group."""
    await websocket.accept()

    async def count() -> None:
        for number in range(50):
            await websocket.send_text(f"number {number}")
            await anyio.lowlevel.checkpoint()

    async def listen() -> None:
        async for text in websocket.iter_text():
            await websocket.send_text(f"heard {text}")
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(count)
        group.start_soon(listen)
    say("both_ended", websocket.url.query)


class Shouting(WebSocketEndpoint):
    encoding = "text"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_text(data.upper())

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        say("endpoint_ended", websocket.url.query, code=close_code)


starlette = Starlette(
    routes=[
        WebSocketRoute("/texts", texts),
        WebSocketRoute("/data", data),
        WebSocketRoute("/values", values),
        WebSocketRoute("/subprotocols", subprotocols),
        WebSocketRoute("/disconnected", disconnected),
        WebSocketRoute("/closes/{code:int}", closes),
        WebSocketRoute("/denied", denied),
        WebSocketRoute("/refused", refused),
        WebSocketRoute("/crashes", crashes),
        WebSocketRoute("/both-ways", both_ways),
        WebSocketRoute("/shouting", Shouting),
        Mount("/sub", routes=[WebSocketRoute("/subprotocols", subprotocols)]),
    ]
)

router = APIRouter(prefix="/rooms")


class Unwelcome(Exception):
    pass


async def member(token: Annotated[str | None, Header()] = None) -> str:
    if token is None:
        raise WebSocketException(status.WS_1008_POLICY_VIOLATION, "no token")
    return token


@router.websocket("/{room}")
async def room(
    websocket: WebSocket,
    room: int,
    name: Annotated[str, Depends(member)],
    repeat: Annotated[int, Query(le=3)] = 1,
) -> None:
    await websocket.accept()
    try:
        while True:
            text = await websocket.receive_text()
            for _ in range(repeat):
                await websocket.send_json({"room": room, "name": name, "text": text})
            if text == "throw":
                raise WebSocketException(status.WS_1003_UNSUPPORTED_DATA, "thrown")
            if text == "unwelcome":
                raise Unwelcome
    except WebSocketDisconnect as left:
        say("left_the_room", name, code=left.code, reason=left.reason)


fastapi = FastAPI()
fastapi.include_router(router)


@fastapi.exception_handler(Unwelcome)
async def close_by_4004(websocket: WebSocket, error: Exception) -> None:
    await websocket.close(4004, "unwelcome")
