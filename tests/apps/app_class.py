"""Everything that ``fasterapi.App`` registers."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from fasterapi import SSE, App, Broadcaster, WebSocket

broadcaster = Broadcaster()


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[dict[str, str]]:
    async with broadcaster:
        print("started", flush=True)
        yield {"app": type(app).__name__}
    print("stopped", flush=True)


class Marks:
    """A middleware that wraps nothing, but adds to the scope."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        await self.app({**scope, "marked": "yes"}, receive, send)


app = App(lifespan=lifespan, middleware=[Middleware(Marks)])


@app.get("/dict")
async def a_dict(request: Request) -> dict[str, object]:
    return {"текст": [1, None], "state": request.state.app, "marked": request.scope["marked"]}


@app.get("/list")
async def a_list(request: Request) -> list[int]:
    return [1, 2]


@app.get("/text")
def text(request: Request) -> str:
    return f"é {threading.current_thread() is threading.main_thread()}"


@app.get("/bytes")
async def some_bytes(request: Request) -> bytes:
    return b"\x00\xff"


@app.get("/response")
async def response(request: Request) -> Response:
    return HTMLResponse("<p>", status_code=201)


@app.get("/none")
async def none(request: Request) -> None:
    pass


@app.get("/gone")
async def gone(request: Request) -> str:
    raise HTTPException(410, "gone for good", {"x-why": "age"})


@app.get("/items/{number:int}/{rest:path}")
async def item(request: Request) -> dict[str, object]:
    return dict(request.path_params)


@app.get("/both")
async def both(request: Request) -> str:
    return "HTTP"


@app.websocket("/both")
async def both_websocket(ws: WebSocket) -> None:
    await ws.send("WebSocket")


@app.sse("/not-async")
def not_async_events(sse: SSE) -> None:
    """What one forgets."""


@app.websocket("/not-async")
def not_async(ws: WebSocket) -> None:
    """The same."""


@app.post("/method")
async def post(request: Request) -> str:
    return f"post {(await request.body()).decode()}"


@app.put("/method")
async def put(request: Request) -> str:
    return "put"


@app.delete("/method")
async def delete(request: Request) -> str:
    return "delete"


@app.patch("/method")
async def patch(request: Request) -> str:
    return "patch"


class Callable:
    async def __call__(self, request: Request) -> str:
        return request.url_for("a_dict").path


app.add_route("/object", Callable())


@app.websocket("/rooms/{room}")
async def room(ws: WebSocket) -> None:
    """Forwarding accepts it."""
    name = ws.path_params["room"]
    async with broadcaster.forward(name, ws) as forwarding:
        await ws.send_json({"room": name, "native": forwarding.native is not None})
        async for message in ws:
            await broadcaster.publish(name, message)


@app.sse("/events/{room}")
async def events(sse: SSE) -> None:
    await broadcaster.forward(sse.path_params["room"], sse)


@app.post("/rooms/{room}")
async def say(request: Request) -> str:
    await broadcaster.publish(request.path_params["room"], await request.body())
    return "said"


@app.get("/nothing")
async def nothing(request: Request) -> None:
    raise HTTPException(204, headers={"x-own": "yes"})


@app.post("/uploaded")
async def uploaded(request: Request) -> str:
    return f"{len(await request.body())}"


@app.sse("/count")
async def count(sse: SSE) -> None:
    for number in range(3):
        await sse.send(number, event="number", event_id=str(number))


inner = App()


@inner.get("/")
async def root(request: Request) -> str:
    return f"inner {request.scope['root_path']}"


@inner.websocket("/echo")
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


app.mount("/inner", inner)
