"""Event streams with a history: in memory, or in the Redis that TEST_REDIS names."""

from __future__ import annotations

import os
from typing import Any

from support.probe import say

from apps.registry import Receive, Scope, Send, read_body, reply
from fasterapi import SSE, MemoryHistory, RedisHistory, UnknownEventId, sse_endpoint

history: Any = RedisHistory(os.environ["TEST_REDIS"]) if "TEST_REDIS" in os.environ else MemoryHistory()


async def follow(sse: SSE) -> None:
    """Everything since the client's last event; one that was away for too long is told so, and goes on from now."""
    channel = sse.query_params["channel"]
    position = await history.position(channel)
    await sse.start()
    say("following", channel)
    try:
        await sse.follow(history, channel)
    except UnknownEventId as error:
        await sse.send(str(error.event_id), event="lost", event_id=position)
        await sse.follow(history, channel, after=position)


async def one_by_one(sse: SSE) -> None:
    """A stream that ends after each seventh event."""
    channel = sse.query_params["channel"]
    count = 0
    async for event in history.follow(channel, sse.last_event_id):
        await sse.send(event)
        count += 1
        if count == 7:
            return


async def append(scope: Scope, receive: Receive, send: Send) -> None:
    """Each line of the body is an event; answers with the last id."""
    channel = scope["query_string"].decode().partition("=")[2]
    event_id = ""
    for line in (await read_body(receive)).decode().split("\n"):
        event_id = await history.append(channel, line)
    await reply(send, event_id)


ROUTES = {"/follow": sse_endpoint(follow), "/one_by_one": sse_endpoint(one_by_one), "/append": append}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if isinstance(history, RedisHistory):
            await history.aclose()
            # redis keeps the last transport of each of its connections.
            del globals()["history"]
        await send({"type": "lifespan.shutdown.complete"})
        return
    await ROUTES[scope["path"]](scope, receive, send)
