"""Scenarios of WebSockets. What a test needs step by step is done by the scenario ``script``."""

from __future__ import annotations

import asyncio

from support.probe import say

from apps.generic import readable, state_seen
from apps.registry import Message, Receive, Scope, Send, argument, scenario, tag_of
from apps.streams import TAKEN

ACCEPT = {"type": "websocket.accept"}
BLOCK = b"w" * 65536
MANY = 100_000


async def accept(receive: Receive, send: Send) -> None:
    await receive()
    await send(ACCEPT)


@scenario
async def websocket_scope(scope: Scope, receive: Receive, send: Send) -> None:
    """The scope, as a Python literal in a message."""
    await accept(receive, send)
    await send({"type": "websocket.send", "text": repr(readable(scope))})


@scenario
async def websocket_state(scope: Scope, receive: Receive, send: Send) -> None:
    """The lifespan's state as this connection sees it."""
    await accept(receive, send)
    await send({"type": "websocket.send", "text": repr(state_seen(scope["state"]))})


@scenario
async def websocket_echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends every message back; says how the connection ended."""
    await accept(receive, send)
    say("called", tag_of(scope))
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    say("left", tag_of(scope), message=readable(message))


@scenario
async def websocket_duplex(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends ``<argument>`` numbers and receives as many messages, neither waiting for the other."""
    count = int(argument(scope))
    await accept(receive, send)

    async def count_up() -> None:
        for number in range(count):
            await send({"type": "websocket.send", "text": str(number)})
            await asyncio.sleep(0)

    sender = asyncio.ensure_future(count_up())
    received: list[Message] = [await receive() for _ in range(count)]
    await sender
    say("received", tag_of(scope), texts=[message.get("text") for message in received])


@scenario
async def websocket_flood(scope: Scope, receive: Receive, send: Send) -> None:
    """``<argument>`` bytes in messages of 64 KB; ``taken`` tells how many send() has taken."""
    await accept(receive, send)
    for taken in range(0, int(argument(scope)), len(BLOCK)):
        await send({"type": "websocket.send", "bytes": BLOCK})
        TAKEN[tag_of(scope)] = taken + len(BLOCK)


@scenario
async def websocket_blind(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends without ever receiving; what send() raises goes to the server."""
    await accept(receive, send)
    error = None
    try:
        for _ in range(MANY):
            await send({"type": "websocket.send", "bytes": BLOCK})
            await asyncio.sleep(0)
    except Exception as raised:
        error = raised
        raise
    finally:
        say("ended", tag_of(scope), oserror=isinstance(error, OSError), error=repr(error))
