"""The raw ASGI applications under load: complete and correct, and nothing more.

Each answers its lifespan and refuses a scope it does not know, as the specification asks, because
a server that may rely on less would be measured with less.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TEXT = (b"content-type", b"text/plain; charset=utf-8")
BYTES = (b"content-type", b"application/octet-stream")
HELLO = b"Hello, World!"
CHUNK = b"x" * 128
CHUNKS = 100
BIG = b"x" * (1024 * 1024)
PUSHED = 10_000  # how often websocket_apps.push sends what it was sent
SENT_EVENTS = 10_000  # in one response of sse_apps
SENT_TIMES = 100  # in one response of sse_apps.clock


async def lifespan(receive: Receive, send: Send) -> None:
    """Answer the lifespan protocol; there is nothing to start or stop."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return


async def not_http(scope: Scope, receive: Receive, send: Send) -> None:
    """Deal with every scope that is not a request."""
    if scope["type"] != "lifespan":
        raise ValueError(f"unsupported scope type {scope['type']!r}")
    await lifespan(receive, send)


async def answer(send: Send, body: bytes, content_type: tuple[bytes, bytes] = TEXT) -> None:
    """Send `body` whole, with its length."""
    headers = [content_type, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Thirteen bytes of text."""
    if scope["type"] != "http":
        await not_http(scope, receive, send)
        return
    await answer(send, HELLO)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The request's body, read to its end and sent back."""
    if scope["type"] != "http":
        await not_http(scope, receive, send)
        return
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    await answer(send, b"".join(parts), BYTES)


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """A hundred chunks of 128 bytes, each by a send() of its own, length unknown beforehand."""
    if scope["type"] != "http":
        await not_http(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [BYTES]})
    for _ in range(CHUNKS):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def big(scope: Scope, receive: Receive, send: Send) -> None:
    """One body of 1 MiB."""
    if scope["type"] != "http":
        await not_http(scope, receive, send)
        return
    await answer(send, BIG, BYTES)


async def sleep(scope: Scope, receive: Receive, send: Send) -> None:
    """A millisecond of the event loop's timers, then thirteen bytes."""
    if scope["type"] != "http":
        await not_http(scope, receive, send)
        return
    await asyncio.sleep(0.001)
    await answer(send, HELLO)
