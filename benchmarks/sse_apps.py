"""The applications of the rows of server-sent events.

By the class SSE where the server has its extension (this one), by sse-starlette on the others, which is what is used
there; `raw` is the same by hand.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from apps import SENT_EVENTS, SENT_TIMES, Receive, Scope, Send, not_http
from sse_starlette import EventSourceResponse, ServerSentEvent

from fasterapi import SSE, SSEStream

TEXT = "x" * 64
VALUE = {"symbol": "ACME", "price": 12.5, "change": -0.25, "volume": 1000}
HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
BETWEEN = 0.001  # seconds from one event of `clock` to the next

App = Callable[[Scope, Receive, Send], Awaitable[None]]
Sent = Callable[[SSE], Awaitable[None]]
Generated = Callable[[], AsyncIterator[ServerSentEvent]]


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """Text, without a class."""
    if scope["type"] != "http":
        await not_http(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    for _ in range(SENT_EVENTS):
        body = f"data: {TEXT}\n\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def served(by_class: Sent, by_starlette: Generated) -> App:
    """One response of events, by what the server has."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await not_http(scope, receive, send)
        elif "fasterapi.sse" in (scope.get("extensions") or {}):
            async with SSE(scope, receive, send) as sse:
                await by_class(sse)
        else:
            await EventSourceResponse(by_starlette(), sep="\n")(scope, receive, send)

    return app


async def _send_texts(sse: SSE) -> None:
    for _ in range(SENT_EVENTS):
        await sse.send(TEXT)


async def _send_texts_kept_alive(sse: SSE) -> None:
    async with SSEStream(sse):
        await _send_texts(sse)


async def _send_values(sse: SSE) -> None:
    for _ in range(SENT_EVENTS):
        await sse.send_json(VALUE)


async def _send_times(sse: SSE) -> None:
    for _ in range(SENT_TIMES):
        await sse.send(str(time.monotonic_ns()))
        await asyncio.sleep(BETWEEN)


async def _texts() -> AsyncIterator[ServerSentEvent]:
    for _ in range(SENT_EVENTS):
        yield ServerSentEvent(TEXT, sep="\n")


async def _values() -> AsyncIterator[ServerSentEvent]:
    for _ in range(SENT_EVENTS):
        yield ServerSentEvent(json.dumps(VALUE, separators=(",", ":")), sep="\n")


async def _times() -> AsyncIterator[ServerSentEvent]:
    for _ in range(SENT_TIMES):
        yield ServerSentEvent(str(time.monotonic_ns()), sep="\n")
        await asyncio.sleep(BETWEEN)


text = served(_send_texts, _texts)
value = served(_send_values, _values)
# With pings whenever nothing else is sent; sse-starlette always does that.
keep_alive = served(_send_texts_kept_alive, _texts)
# Each event is what the clock said when it was sent.
clock = served(_send_times, _times)
