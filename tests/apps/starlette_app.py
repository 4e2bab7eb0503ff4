"""A Starlette application that uses what Starlette offers; for tests/frameworks and conformance/parity."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from support.probe import gate, say

SEEN_BY: contextvars.ContextVar[str] = contextvars.ContextVar("SEEN_BY", default="nobody")
DONE: list[str] = []


class Teapot(Exception):
    pass


class PureMiddleware:
    """Adds a header; sets a context variable that the endpoint must see."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-pure", b"yes")]}
            await send(message)

        SEEN_BY.set("pure middleware")
        await self.app(scope, receive, add)


class BaseMiddleware(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-base"] = request.method
        return response


async def home(request: Request) -> Response:
    return JSONResponse({"hello": "world"})


async def item(request: Request) -> Response:
    return JSONResponse({"id": request.path_params["id"], "query": list(request.query_params.multi_items())})


async def scope(request: Request) -> Response:
    """What the server told of the request."""
    given = request.scope
    return JSONResponse(
        {
            **{
                name: given[name]
                for name in ("type", "http_version", "method", "scheme", "path", "root_path")
            },
            "raw_path": given["raw_path"].decode("latin-1"),
            "query_string": given["query_string"].decode("latin-1"),
            "headers": [[part.decode("latin-1") for part in pair] for pair in given["headers"]],
            "client": given["client"][0],
            "server": list(given["server"]),
            "asgi_version": given["asgi"]["version"],
            "state": {key: value for key, value in given["state"].items() if key == "greeting"},
            "url": str(request.url),
            "cookies": request.cookies,
        }
    )


async def echo_json(request: Request) -> Response:
    return JSONResponse({"received": await request.json()})


async def echo_bytes(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


async def upload(request: Request) -> Response:
    files, fields = {}, {}
    async with request.form() as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                fields[name] = value
            else:
                data = await value.read()
                files[name] = [
                    value.filename,
                    value.content_type,
                    len(data),
                    hashlib.sha256(data).hexdigest(),
                ]
    return JSONResponse({"files": files, "fields": fields})


async def stream_upload(request: Request) -> Response:
    hashed, size = hashlib.sha256(), 0
    async for part in request.stream():
        hashed.update(part)
        size += len(part)
    return JSONResponse({"size": size, "sha256": hashed.hexdigest()})


async def interrupted_upload(request: Request) -> Response:
    """Says how an upload ended that its client may give up."""
    say("uploading", request.url.query)
    try:
        async for _ in request.stream():
            pass
    except ClientDisconnect:
        say("upload_ended", request.url.query, how="ClientDisconnect")
        raise
    say("upload_ended", request.url.query, how="whole")
    return Response()


async def stream(request: Request) -> Response:
    async def numbers() -> AsyncIterator[str]:
        for number in range(request.path_params["count"]):
            yield f"{number}\n"

    return StreamingResponse(numbers(), media_type="text/plain")


async def slow_stream(request: Request) -> Response:
    """Each line waits for a gate of the test."""
    tag = request.url.query

    async def lines() -> AsyncIterator[bytes]:
        try:
            for number in range(3):
                await gate(f"{tag}.{number}")
                yield b"line %d\n" % number
        finally:
            say("stream_ended", tag)

    return StreamingResponse(lines(), media_type="text/plain")


class Endless(StreamingResponse):
    """Says when it ends. (Its generator may be left suspended, to be closed when Python collects it.)"""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            say("endless_ended", scope["query_string"].decode())


async def endless(request: Request) -> Response:
    """A stream that only its client's end ends."""

    async def blocks() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)
            await anyio.lowlevel.checkpoint()

    return Endless(blocks(), media_type="application/octet-stream")


async def sync_stream(request: Request) -> Response:
    def numbers() -> Iterator[str]:
        for number in range(50):
            yield f"{number},"

    return StreamingResponse(numbers(), media_type="text/plain")


async def background(request: Request) -> Response:
    tag = request.url.query

    async def later(name: str) -> None:
        await gate(f"{tag}.go")
        DONE.append(name)
        say("background", tag, name=name)

    def in_thread(name: str) -> None:
        say("background", tag, name=name)

    tasks = BackgroundTasks([BackgroundTask(later, "coroutine"), BackgroundTask(in_thread, "function")])
    return PlainTextResponse("started", background=tasks)


async def threadpool(request: Request) -> Response:
    def work() -> list[str]:
        return [SEEN_BY.get(), "done"]

    results = await asyncio.gather(*(run_in_threadpool(work) for _ in range(20)))
    return JSONResponse(results)


def sync_endpoint(request: Request) -> Response:
    """Starlette runs it in a thread."""
    return JSONResponse({"seen_by": SEEN_BY.get()})


async def context(request: Request) -> Response:
    return JSONResponse({"seen_by": SEEN_BY.get(), "task": asyncio.current_task() is not None})


async def task_group(request: Request) -> Response:
    results: dict[str, int] = {}

    async def work(number: int) -> None:
        await anyio.sleep(0.001 * (10 - number))
        results[str(number)] = number * number

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(work, number)
    # By number: two timers a millisecond apart may end in either order.
    return JSONResponse(dict(sorted(results.items())))


async def cancelled_group(request: Request) -> Response:
    cancelled = []

    async def sleeper() -> None:
        try:
            await anyio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(sleeper)
        await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    return JSONResponse({"cancelled": len(cancelled)})


async def timeout(request: Request) -> Response:
    """Both libraries' time-outs must fire, and one that does not fire must not disturb."""
    outcome = []
    try:
        with anyio.fail_after(0.02):
            await anyio.sleep(60)
    except TimeoutError:
        outcome.append("anyio")
    try:
        if hasattr(asyncio, "timeout"):
            async with asyncio.timeout(0.02):
                await asyncio.sleep(60)
        else:
            await asyncio.wait_for(asyncio.sleep(60), 0.02)
    except (TimeoutError, asyncio.TimeoutError):
        outcome.append("asyncio")
    with anyio.move_on_after(60):
        await anyio.lowlevel.checkpoint()
        outcome.append("not fired")
    return JSONResponse(outcome)


async def state(request: Request) -> Response:
    request.state.own = request.state.counter["requests"] = request.state.counter["requests"] + 1
    return JSONResponse({"greeting": request.state.greeting, "requests": request.state.own})


async def cookies(request: Request) -> Response:
    response = PlainTextResponse("cookies")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    response.delete_cookie("c")
    return response


async def text(request: Request) -> Response:
    """Long enough to be compressed where the client takes gzip."""
    return PlainTextResponse("compress me " * 500)


async def file(request: Request) -> Response:
    return FileResponse(__file__, media_type="text/x-python")


async def redirect(request: Request) -> Response:
    return RedirectResponse("/", status_code=307)


async def no_content(request: Request) -> Response:
    return Response(status_code=204)


async def not_modified(request: Request) -> Response:
    return Response(status_code=304, headers={"etag": '"x"'})


async def latin(request: Request) -> Response:
    return PlainTextResponse("é€", headers={"x-latin": "caf\xe9"})


async def teapot(request: Request) -> Response:
    raise Teapot("short and stout")


async def refused(request: Request) -> Response:
    raise HTTPException(403, "not for you", headers={"x-why": "because"})


async def crash(request: Request) -> Response:
    raise RuntimeError("deliberate crash")


async def on_teapot(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=418)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    async with anyio.create_task_group() as group:
        say("starting")
        yield {"greeting": "from the lifespan", "counter": {"requests": 0}, "group": group}
        group.cancel_scope.cancel()
    say("stopped")


ROUTES = [
    Route("/", home),
    Route("/items/{id:int}", item),
    Route("/scope", scope, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"]),
    Route("/scope/{rest:path}", scope),
    Route("/echo-json", echo_json, methods=["POST"]),
    Route("/echo-bytes", echo_bytes, methods=["POST", "PUT"]),
    Route("/upload", upload, methods=["POST"]),
    Route("/stream-upload", stream_upload, methods=["POST"]),
    Route("/interrupted-upload", interrupted_upload, methods=["POST"]),
    Route("/stream/{count:int}", stream),
    Route("/slow-stream", slow_stream),
    Route("/endless", endless),
    Route("/sync-stream", sync_stream),
    Route("/background", background),
    Route("/threadpool", threadpool),
    Route("/sync", sync_endpoint),
    Route("/context", context),
    Route("/task-group", task_group),
    Route("/cancelled-group", cancelled_group),
    Route("/timeout", timeout),
    Route("/state", state),
    Route("/cookies", cookies),
    Route("/text", text),
    Route("/file", file),
    Route("/redirect", redirect),
    Route("/no-content", no_content),
    Route("/not-modified", not_modified),
    Route("/latin", latin),
    Route("/teapot", teapot),
    Route("/refused", refused),
    Route("/crash", crash),
    Mount("/sub", routes=[Route("/scope", scope), Route("/", home)]),
]

OUTER = [
    Middleware(PureMiddleware),
    Middleware(CORSMiddleware, allow_origins=["https://example.org"], allow_methods=["*"]),
    Middleware(GZipMiddleware, minimum_size=1000),
]

app = Starlette(routes=ROUTES, lifespan=lifespan, exception_handlers={Teapot: on_teapot}, middleware=OUTER)
"""With pure ASGI middleware only."""

with_base = Starlette(
    routes=ROUTES,
    lifespan=lifespan,
    exception_handlers={Teapot: on_teapot},
    middleware=[*OUTER, Middleware(BaseMiddleware)],
)
"""The same through ``BaseHTTPMiddleware`` too, which runs the application in a task of its own."""
