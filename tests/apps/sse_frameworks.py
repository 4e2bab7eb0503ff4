"""EventSourceResponse and sse_endpoint inside Starlette (``/``) and FastAPI (``/fastapi``)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from support.probe import gate, say

from fasterapi import SSE, EventSourceResponse, ServerSentEvent, sse_endpoint

ITEMS: list[Any] = [
    "text",
    {"a": 1},
    ServerSentEvent({"b": "ü"}, event="named", id="7", retry=0),
    ServerSentEvent("two\nlines", comment="noted"),
    ServerSentEvent(b"\x00\xff"),
    ServerSentEvent(id="8"),
    ServerSentEvent(comment="only"),
    None,
]


async def generated() -> AsyncIterator[Any]:
    for item in ITEMS:
        await asyncio.sleep(0)
        yield item


def generated_in_thread(loop_thread: int) -> Iterator[Any]:
    for item in ITEMS:
        assert threading.get_ident() != loop_thread
        yield item


class Iterable:
    """Asynchronous, and no generator itself."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return generated()


def contents(name: str) -> Any:
    return {
        "async": generated,
        "thread": lambda: generated_in_thread(threading.get_ident()),
        "list": lambda: ITEMS,
        "iterable": Iterable,
    }[name]()


async def items(request: Request) -> EventSourceResponse:
    return EventSourceResponse(
        contents(request.path_params["name"]),
        status_code=int(request.query_params.get("status", "200")),
        headers={"X-Own": "yes", "Cache-Control": "no-cache"},
        background=BackgroundTask(say, "background", request.query_params.get("tag", "")),
    )


async def endless(tag: str) -> AsyncIterator[str]:
    try:
        yield "hello"
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.01)
        say("closed", tag)


def endless_in_thread(tag: str) -> Iterator[str]:
    try:
        while True:
            yield "hello"
    finally:
        say("closed", tag)


RELEASED: dict[str, threading.Event] = {}


def blocked_in_thread(tag: str) -> Iterator[str]:
    """Its client leaves while it waits for ``/release``."""
    try:
        yield "hello"
        RELEASED[tag] = threading.Event()
        say("blocked", tag)
        RELEASED[tag].wait()
        yield "nobody"
    finally:
        say("closed", tag)


async def release(request: Request) -> Response:
    RELEASED.pop(request.query_params["tag"]).set()
    return Response()


class Endless:
    """No generator, which would be closed by the collector at the latest."""

    def __init__(self, tag: str) -> None:
        self.tag = tag

    def __iter__(self) -> Endless:
        return self

    def __next__(self) -> str:
        return "hello"

    def close(self) -> None:
        say("closed", self.tag)


class AsyncEndless:
    def __init__(self, tag: str) -> None:
        self.tag = tag

    def __aiter__(self) -> AsyncEndless:
        return self

    async def __anext__(self) -> str:
        await asyncio.sleep(0)
        return "hello"

    async def aclose(self) -> None:
        say("closed", self.tag)


ENDLESS: dict[str, Any] = {
    "async": endless,
    "thread": endless_in_thread,
    "thread-blocked": blocked_in_thread,
    "async-object": AsyncEndless,
    "thread-object": Endless,
}


async def leaving(request: Request) -> EventSourceResponse:
    tag = request.query_params["tag"]
    content = ENDLESS[request.path_params["name"]](tag)
    return EventSourceResponse(content, background=BackgroundTask(say, "background", tag))


async def broken(tag: str) -> AsyncIterator[Any]:
    try:
        yield "hello"
        yield object()
    finally:
        say("closed", tag)


async def failing(request: Request) -> EventSourceResponse:
    return EventSourceResponse(broken(request.query_params["tag"]))


async def silence(tag: str) -> AsyncIterator[str]:
    await gate(tag)
    yield "end"


async def silent(request: Request) -> EventSourceResponse:
    return EventSourceResponse(silence(request.query_params["tag"]), keep_alive_interval=0.02)


async def stop(request: Request) -> Response:
    return EventSourceResponse.stop()


async def handler(sse: SSE) -> None:
    """Tells what the router found, then waits."""
    await sse.send_json(sse.path_params)
    try:
        await asyncio.sleep(3600)
    finally:
        say("cleaned", sse.query_params["tag"])


routes = [
    Route("/items/{name}", items),
    Route("/leaving/{name}", leaving),
    Route("/failing", failing),
    Route("/silent", silent),
    Route("/stop", stop),
    Route("/release", release),
    Route("/handler/{name}", sse_endpoint(handler)),
    Mount("/mounted", sse_endpoint(handler)),
]

fastapi = FastAPI()
fastapi.add_route("/handler/{name}", sse_endpoint(handler))


@fastapi.get("/items/{name}", response_class=EventSourceResponse)
async def fastapi_items(name: str) -> EventSourceResponse:
    return EventSourceResponse(contents(name))


@fastapi.get("/leaving/{name}")
async def fastapi_leaving(name: str, tag: str) -> EventSourceResponse:
    return EventSourceResponse(ENDLESS[name](tag))


class Around(BaseHTTPMiddleware):
    """Starlette's own way of middleware, which puts a task and a stream between server and response."""

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response


around = Starlette(routes=routes, middleware=[Middleware(Around)])
app = Starlette(routes=[*routes, Mount("/fastapi", fastapi), Mount("/around", around)])
