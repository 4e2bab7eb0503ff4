"""The applications that are served: ``/<name>?<tag>``. Those that break the rules are in ``bad_apps``.

They know nothing of the server below them, and tell the row what they saw by ``support.probe``.
"""

from __future__ import annotations

import asyncio
import time

from apps.registry import Receive, Scope, Send, body, read_body, reply, start, tag_of
from support.probe import gate, say

from conformance.reliability import bad_apps

BLOCK = bytes(64 * 1024)
# Much more than lies in the kernel's buffers; a server that takes it all for 50 readers still fits into memory.
LARGE = 32 * 1024 * 1024
LARGE_HEADERS = [(b"content-length", b"%d" % LARGE)]
# What a client reads before it leaves, and what an application then goes on sending at most.
BEGUN = 16
MOST_AFTER = 256


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"Hello, World!")


async def tasks(scope: Scope, receive: Receive, send: Send) -> None:
    """How many tasks the event loop has."""
    await reply(send, str(len(asyncio.all_tasks())))


async def reads(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers when the body has come; not at all when the client leaves before."""
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    if message["type"] == "http.request":
        await reply(send, b"read")


async def never_reads(scope: Scope, receive: Receive, send: Send) -> None:
    tag = tag_of(scope)
    say("called", tag)
    await gate(tag)
    await reply(send, b"never read")


async def flood(scope: Scope, receive: Receive, send: Send) -> None:
    """A large answer, each block of it made anew; says when it ended."""
    try:
        await send(start(200, LARGE_HEADERS))
        for _ in range(LARGE // len(BLOCK)):
            await send(body(b"x" * len(BLOCK), more=True))
    finally:
        say("ended", tag_of(scope))


async def streams(scope: Scope, receive: Receive, send: Send) -> None:
    """A small stream that takes a tenth of a second; the OSError of a client that left is not caught."""
    await send(start())
    for _ in range(20):
        await send(body(BLOCK[:16384], more=True))
        await asyncio.sleep(0.005)
    await send(body())


async def goes_on(scope: Scope, receive: Receive, send: Send) -> None:
    """Streams on after the client left; ``/goes_on/listens`` waits for http.disconnect before."""
    tag, taken, raised = tag_of(scope), 0, ""
    try:
        await send(start(200, LARGE_HEADERS))
        for _ in range(BEGUN):
            await send(body(BLOCK, more=True))
        say("begun", tag)
        while scope["path"].endswith("/listens") and (await receive())["type"] != "http.disconnect":
            pass
        await gate(tag)
        while taken < MOST_AFTER * len(BLOCK):
            await send(body(BLOCK, more=True))
            taken += len(BLOCK)
    except BaseException as error:
        raised = "OSError" if isinstance(error, OSError) else type(error).__name__
        raise
    finally:
        say("ended", tag, taken=taken, raised=raised)


async def waits(scope: Scope, receive: Receive, send: Send) -> None:
    """Says when http.disconnect came, by the clock that all processes share."""
    tag = tag_of(scope)
    await read_body(receive)
    say("waiting", tag)
    while (await receive())["type"] != "http.disconnect":
        pass
    say("disconnected", tag, at=time.monotonic())


async def late(scope: Scope, receive: Receive, send: Send) -> None:
    tag = tag_of(scope)
    await read_body(receive)
    say("waiting", tag)
    await gate(f"{tag.partition('.')[0]}.go")
    await reply(send, b"late")


async def socket(scope: Scope, receive: Receive, send: Send) -> None:
    """A WebSocket whose messages are taken and forgotten."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def socket_echo(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": message["text"]})


async def socket_never_receives(scope: Scope, receive: Receive, send: Send) -> None:
    tag = tag_of(scope)
    await receive()
    await send({"type": "websocket.accept"})
    say("called", tag)
    await gate(tag)


async def socket_flood(scope: Scope, receive: Receive, send: Send) -> None:
    """1 GB, each block of it made anew, until the client is gone."""
    try:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range((1 << 30) // len(BLOCK)):
            await send({"type": "websocket.send", "bytes": b"x" * len(BLOCK)})
    finally:
        say("ended", tag_of(scope))


APPS = {function.__name__: function for function in (
    hello, tasks, reads, never_reads, flood, streams, goes_on, waits, late, socket,
    socket_echo, socket_never_receives, socket_flood
)}  # fmt: skip


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    name = scope["path"].split("/")[1]
    application = bad_apps.APPS.get(name) or APPS.get(name, hello)
    await application(scope, receive, send)
