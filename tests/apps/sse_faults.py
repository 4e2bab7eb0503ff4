"""Event streams in the middle of each call of ``SSE``: ``/full/<call>``, ``/waiting/<call>``; ``/late`` calls them all when its
client has left. Behind ``/wrapped`` a middleware sees every message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from support.probe import say

from apps.registry import Receive, Scope, Send, outcome
from fasterapi import SSE, Broadcaster, MemoryHistory, ServerSentEvent, SSEStream, sse_endpoint

BLOCK = "x" * 65536
BLOCKED_AFTER = 0.1
"""Seconds in which a send would have ended, if the client read."""
history = MemoryHistory()


async def follow_full(sse: SSE) -> None:
    position = await history.position("full")
    for _ in range(10):
        await history.append("full", BLOCK)
    await sse.follow(history, "full", after=position)


async def stay_alive(sse: SSE) -> None:
    async with SSEStream(sse, keep_alive_interval=0.01):
        await sse.send(BLOCK)


async def forward(sse: SSE) -> None:
    async with Broadcaster() as broadcaster:
        await broadcaster.forward("silent", sse)


FULL: dict[str, Callable[[SSE], Awaitable[Any]]] = {
    "send": lambda sse: sse.send(ServerSentEvent(BLOCK)),
    "send_text": lambda sse: sse.send_text(BLOCK),
    "send_json": lambda sse: sse.send_json([BLOCK]),
    "send_binary": lambda sse: sse.send_binary(bytes(65536)),
    "send_comment": lambda sse: sse.send_comment(BLOCK),
    "ping": lambda sse: sse.ping(),
    "close": lambda sse: sse.close(),
    "follow": follow_full,
    "SSEStream": stay_alive,
}
"""What waits until the client reads."""
WAITING: dict[str, Callable[[SSE], Awaitable[Any]]] = {
    "follow": lambda sse: sse.follow(history, "silent"),
    "keep_alive": lambda sse: sse.keep_alive(3600),
    "forward": forward,
}
"""What waits for something else."""
CALLS: dict[str, Callable[[SSE], Awaitable[Any]]] = {
    **{
        name: FULL[name] for name in ("send", "send_text", "send_json", "send_binary", "send_comment", "ping")
    },
    "start": lambda sse: sse.start(),
    "stop": lambda sse: sse.stop(),
    "refuse": lambda sse: sse.refuse(404, "none"),
    "keep_alive": lambda sse: sse.keep_alive(0.01),
    "close": lambda sse: sse.close(),
}


async def full(sse: SSE) -> None:
    """Makes the call once a client that does not read has all that it can take."""
    call, tag = sse.scope["path"].rpartition("/")[2], sse.query_params["tag"]
    await sse.start()
    sending = asyncio.ensure_future(_send_without_end(sse))
    try:
        sent = -1
        while sse.events_sent > sent:
            sent = sse.events_sent
            await asyncio.sleep(BLOCKED_AFTER)
        say("full", tag)
        await FULL[call](sse)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send_without_end(sse: SSE) -> None:
    while True:
        await sse.send(BLOCK)


async def waiting(sse: SSE) -> None:
    call = sse.scope["path"].rpartition("/")[2]
    await sse.send("hello")
    say("called", sse.query_params["tag"])
    await WAITING[call](sse)


async def late(sse: SSE) -> None:
    """Before the response has started, if the query says ``start=no``."""
    tag = sse.query_params["tag"]
    if sse.query_params.get("start") != "no":
        await sse.send("hello")
    say("called", tag)
    try:
        await asyncio.sleep(3600)
    finally:
        outcomes = {}
        for name, call in CALLS.items():
            try:
                outcomes[name] = outcome(await call(sse))
            except Exception as error:
                outcomes[name] = outcome(error)
        say("late", tag, outcomes=outcomes, left=sse.client_left)


ENDPOINTS = {function.__name__: sse_endpoint(function) for function in (full, waiting, late)}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Says how each call of an endpoint ended."""
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    *front, name = [part for part in scope["path"].split("/") if part in (*ENDPOINTS, "wrapped")]
    tag = scope["query_string"].decode().partition("tag=")[2].partition("&")[0]

    async def seen(message: dict[str, Any]) -> None:
        await send(message)

    try:
        await ENDPOINTS[name](scope, receive, seen if front else send)
    except BaseException as error:
        say("ended", tag, outcome=outcome(error))
        raise
    say("ended", tag, outcome=None)
