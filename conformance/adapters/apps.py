"""The applications that are served. ``BROADCAST`` is the Broadcaster's URL, ``HISTORY`` that of the Redis with the history.

/subscribe  a WebSocket that a channel is forwarded to; its query has the options of ``Broadcaster.forward``
/publish    publishes the body, and says how many subscribe
/load       a WebSocket on whose "go" numbers are published, or appended to the history, until it says something else
/follow     the history as events, in streams that end now and then
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from typing import Any

from apps.registry import Receive, Scope, Send, read_body, reply
from redis.exceptions import RedisError

from fasterapi import (
    SSE,
    Broadcaster,
    RedisHistory,
    UnknownEventId,
    WebSocket,
    sse_endpoint,
    websocket_endpoint,
)
from fasterapi.broadcast import BroadcastUnavailable

CHANNEL = "load"
BEGUN = "begun"
"""A follower's first event."""
LOST = "lost"
SLOW = "slow"
"""What subscribers are told in the place of messages: those of an outage, those that they were too slow for."""
EVENTS_PER_STREAM = (500, 3000)
"""A follower's stream ends after so many, so that it comes back with ``Last-Event-ID``."""
PAUSE = 0.02
"""Seconds until what failed is tried again."""

broadcaster = Broadcaster(os.environ.get("BROADCAST", "memory://"))
history = RedisHistory(os.environ.get("HISTORY", "redis://"), max_events=200_000, max_bytes=1 << 26)


async def subscribe(ws: WebSocket) -> None:
    given: dict[str, Any] = dict(ws.query_params)
    if "limit" in given:
        given["limit"] = int(given["limit"])
    if given.pop(LOST, None):
        given["on_lost"] = lambda lost: LOST if lost.count is None else SLOW
    async with broadcaster.forward(CHANNEL, ws, **given):
        await ws.send(str(os.getpid()))
        async for _ in ws:
            pass


async def load(ws: WebSocket) -> None:
    """``?to=history`` or ``?to=channel``; the messages are the connection's name and a number."""
    to_history = ws.query_params["to"] == "history"
    put: Callable[[str, str], Awaitable[Any]] = history.append if to_history else broadcaster.publish
    await ws.send(str(os.getpid()))
    name = await ws.receive()
    stopped = asyncio.ensure_future(ws.receive())
    number, failed = 0, []
    while not stopped.done():
        try:
            await put(CHANNEL, f"{name} {number}")
        except (BroadcastUnavailable, RedisError, OSError):
            failed.append(number)
            await asyncio.sleep(PAUSE)
        number += 1
    await ws.send_json({"count": number, "failed": failed})
    await ws.receive()


async def follow(sse: SSE) -> None:
    after = sse.last_event_id
    if after is None:
        after = await history.position(CHANNEL)
        await sse.send(BEGUN, event_id=after, retry=0)
    left = random.randint(*EVENTS_PER_STREAM)
    while True:
        try:
            async for event in history.follow(CHANNEL, after):
                await sse.send(event)
                left -= 1
                if not left:
                    return
        except UnknownEventId:
            after = await history.position(CHANNEL)
            await sse.send(LOST, event_id=after)


async def publish(scope: Scope, receive: Receive, send: Send) -> None:
    await broadcaster.publish(CHANNEL, (await read_body(receive)).decode())
    await reply(send, b"published")


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"Hello, World!")


ROUTES: dict[str, Any] = {
    "/subscribe": websocket_endpoint(subscribe),
    "/load": websocket_endpoint(load),
    "/follow": sse_endpoint(follow),
    "/publish": publish,
    "/hello": hello,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        async with broadcaster:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await history.aclose()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await ROUTES[scope["path"]](scope, receive, send)
