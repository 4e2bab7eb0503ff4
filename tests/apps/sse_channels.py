"""Channels over one connection: of a history (``/history``) and of generators (``/generated``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from support.probe import gate, say

from fasterapi import Channels, MemoryHistory, ServerSentEvent, channels_endpoint, sse_endpoint
from fasterapi.sse.connection import SSE

history = MemoryHistory(max_events=20)


def allow(name: str) -> bool:
    return name != "secret"


async def append(request: Request) -> Response:
    """Each line of the body is an event of the channel; one that begins with "!" is an alert."""
    for line in (await request.body()).decode().split("\n"):
        event = ServerSentEvent(line, event="alert") if line.startswith("!") else line
        await history.append(request.path_params["channel"], event)
    return Response(status_code=204)


async def generated(channel: str, after: str | None) -> AsyncGenerator[Any, None]:
    say("opened", channel, after=after)
    try:
        yield f"first of {channel}"
        if channel.startswith("broken"):
            raise LookupError("a source failed")
        yield ServerSentEvent({"of": channel}, id="7")
        await asyncio.sleep(3600)
    finally:
        say("ended", channel)


async def own(sse: SSE) -> None:
    """A handler that changes the channels itself."""
    channels = Channels(sse, history)
    running = asyncio.ensure_future(channels.run())
    try:
        await gate(sse.query_params["tag"])
        channels.change(add=["added"], drop=["one"])
        say("changed", sse.query_params["tag"], names=channels.names)
        await running
    finally:
        running.cancel()


app = Starlette(
    routes=[
        Route("/append/{channel}", append, methods=["POST"]),
        Route("/history", channels_endpoint(history, allow=allow, max_channels=4)),
        Route("/generated", channels_endpoint(generated)),
        Route("/own", sse_endpoint(own)),
    ]
)
