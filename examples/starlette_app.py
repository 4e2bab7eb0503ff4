"""Starlette: routes, path parameters, a request body and a streamed answer.

Run it from the root of the repository, with Starlette installed:

    fasterapi run examples/starlette_app.py --port 8001

Then, for example, ``curl http://127.0.0.1:8001/hello/you`` and
``curl --data 'some text' http://127.0.0.1:8001/shout``.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, float]]:
    yield {"started": time.monotonic()}


async def index(request: Request) -> HTMLResponse:
    links = "".join(f'<li><a href="{path}">{path}</a>' for path in ("/hello/you", "/uptime", "/count"))
    return HTMLResponse(
        f"<!doctype html><title>Starlette on fasterapi</title><h1>Starlette</h1><ul>{links}</ul>"
    )


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"Hello, {request.path_params['name']}!\n")


async def uptime(request: Request) -> JSONResponse:
    """The lifespan's state, as each request gets it."""
    return JSONResponse({"seconds": round(time.monotonic() - request.state.started, 3)})


async def shout(request: Request) -> PlainTextResponse:
    return PlainTextResponse((await request.body()).decode(errors="replace").upper())


async def count(request: Request) -> StreamingResponse:
    """Ten lines, one every fifth of a second; each reaches the client at once."""

    async def lines() -> AsyncIterator[str]:
        for number in range(1, 11):
            yield f"{number}\n"
            await asyncio.sleep(0.2)

    return StreamingResponse(lines(), media_type="text/plain")


app = Starlette(
    routes=[
        Route("/", index),
        Route("/hello/{name}", hello),
        Route("/uptime", uptime),
        Route("/shout", shout, methods=["POST"]),
        Route("/count", count),
    ],
    lifespan=lifespan,
)
