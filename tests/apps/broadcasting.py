"""WebSockets that a channel is forwarded to. ``BROADCAST`` is the Broadcaster's URL.

The query of ``/chat`` and ``/listen`` has the options of ``Broadcaster.forward``; ``lost`` is what is said in place of
lost messages. What a client says in ``/chat`` is published.
"""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from fasterapi import Broadcaster

broadcaster = Broadcaster(os.environ.get("BROADCAST", "memory://"))


def options(websocket: WebSocket) -> dict[str, object]:
    given: dict[str, object] = dict(websocket.query_params)
    if "limit" in given:
        given["limit"] = int(str(given["limit"]))
    if instead := given.pop("lost", None):
        given["on_lost"] = lambda lost: instead
    return given


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    async with broadcaster.forward("chat", websocket, **options(websocket)) as forwarding:
        await websocket.send_text(f"{os.getpid()} {'native' if forwarding.native else 'pump'}")
        while (event := await websocket.receive())["type"] != "websocket.disconnect":
            message = event.get("text") or event.get("bytes")
            if message == "leave":
                break
            await broadcaster.publish("chat", message)
    print(f"left: {type(forwarding.error).__name__}", flush=True)
    if event["type"] != "websocket.disconnect":
        await websocket.send_text("no more")
        await websocket.receive()


async def listen(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(str(os.getpid()))
    await broadcaster.forward("chat", websocket, **options(websocket))
    print("listener left", flush=True)


async def late(websocket: WebSocket) -> None:
    """Forwards to a client that has left."""
    await websocket.accept()
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    try:
        async with broadcaster.forward("late", websocket):
            print("late", flush=True)
    finally:
        print("late listener left", flush=True)


async def publish(request: Request) -> Response:
    await broadcaster.publish("chat", await request.body())
    return JSONResponse({"channels": len(broadcaster._channels)})


app = Starlette(
    routes=[
        WebSocketRoute("/chat", chat),
        WebSocketRoute("/listen", listen),
        WebSocketRoute("/late", late),
        Route("/publish", publish, methods=["POST"]),
    ],
    lifespan=broadcaster.lifespan,
)
