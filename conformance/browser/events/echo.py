"""What the browser visits: the page, fasterapi.js, and streams for it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from fasterapi import SSE, MemoryHistory, channels_endpoint, sse_endpoint
from fasterapi.static import JAVASCRIPT

PAGE = Path(__file__).with_name("page.html")
BYTES = bytes(range(256)) * 300


class Streams:
    """The channels, which can be cut as if the network had failed."""

    def __init__(self) -> None:
        self.history = MemoryHistory()
        self.endpoint = channels_endpoint(self.history, allow=lambda name: name != "secret")
        self.tasks: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            await self.endpoint(scope, receive, send)
        finally:
            self.tasks.discard(task)

    async def append(self, request: Request) -> Response:
        for name, data in json.loads(await request.body()):
            await self.history.append(name, data)
        return Response()

    async def cut(self, request: Request) -> Response:
        for task in self.tasks:
            task.cancel()
        return Response()


async def binary(sse: SSE) -> None:
    await sse.send_binary(BYTES, event="blob")
    await sse.send_binary(b"")
    await sse.send("text")
    await sse.send("data:application/octet-stream;base64,?")
    await asyncio.sleep(3600)


class Silent:
    """Channels whose changes are never answered."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] != "POST":
            await streams.endpoint(scope, receive, send)
            return
        while (await receive())["type"] != "http.disconnect":
            pass


async def page(request: Request) -> Response:
    return FileResponse(PAGE)


async def script(request: Request) -> Response:
    return FileResponse(JAVASCRIPT, media_type="text/javascript")


streams = Streams()
app = Starlette(
    routes=[
        Route("/", page),
        Route("/fasterapi.js", script),
        Route("/binary", sse_endpoint(binary)),
        Route("/channels", streams),
        Route("/silent", Silent()),
        Route("/append", streams.append, methods=["POST"]),
        Route("/cut", streams.cut, methods=["POST"]),
    ]
)
