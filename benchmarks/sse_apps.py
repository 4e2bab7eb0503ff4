"""The applications of the rows of server-sent events: one response with 10,000 events, each sent on its own.

On this server by the class SSE, on others by sse-starlette, which is what is used there; `raw` is the same by hand.
"""

import json
from collections.abc import AsyncIterator, Callable

from apps import SENT_EVENTS, Receive, Scope, Send, not_http
from sse_starlette import EventSourceResponse, ServerSentEvent

from fasterapi import SSE, SSEStream

TEXT = "x" * 64
VALUE = {"symbol": "ACME", "price": 12.5, "change": -0.25, "volume": 1000}
HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]

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


def _has_sse(scope: Scope) -> bool:
    return "fasterapi.sse" in (scope.get("extensions") or {})


async def _by_starlette(events: Generated, scope: Scope, receive: Receive, send: Send) -> None:
    await EventSourceResponse(events(), sep="\n")(scope, receive, send)


async def _texts() -> AsyncIterator[ServerSentEvent]:
    for _ in range(SENT_EVENTS):
        yield ServerSentEvent(TEXT, sep="\n")


async def _values() -> AsyncIterator[ServerSentEvent]:
    for _ in range(SENT_EVENTS):
        yield ServerSentEvent(json.dumps(VALUE, separators=(",", ":")), sep="\n")


async def text(scope: Scope, receive: Receive, send: Send) -> None:
    """Text of 64 letters."""
    if scope["type"] != "http":
        await not_http(scope, receive, send)
    elif _has_sse(scope):
        async with SSE(scope, receive, send) as sse:
            for _ in range(SENT_EVENTS):
                await sse.send(TEXT)
    else:
        await _by_starlette(_texts, scope, receive, send)


async def value(scope: Scope, receive: Receive, send: Send) -> None:
    """A small object as JSON."""
    if scope["type"] != "http":
        await not_http(scope, receive, send)
    elif _has_sse(scope):
        async with SSE(scope, receive, send) as sse:
            for _ in range(SENT_EVENTS):
                await sse.send_json(VALUE)
    else:
        await _by_starlette(_values, scope, receive, send)


async def keep_alive(scope: Scope, receive: Receive, send: Send) -> None:
    """Text, with pings whenever nothing else is sent; sse-starlette always does that."""
    if scope["type"] != "http":
        await not_http(scope, receive, send)
    elif _has_sse(scope):
        async with SSE(scope, receive, send) as sse, SSEStream(sse):
            for _ in range(SENT_EVENTS):
                await sse.send(TEXT)
    else:
        await _by_starlette(_texts, scope, receive, send)
