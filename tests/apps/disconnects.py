"""Scenarios about clients that leave."""

from __future__ import annotations

import asyncio

from support.probe import gate, say

from apps.registry import (
    Message,
    Receive,
    Scope,
    Send,
    body,
    outcome,
    read_body,
    reply,
    scenario,
    start,
    tag_of,
)

BLOCK = b"d" * 65536
MANY = 100_000


@scenario
async def waits_for_disconnect(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, receives, then receives twice more."""
    tag = tag_of(scope)
    await read_body(receive)
    say("waiting", tag)
    say("left", tag, message=await receive())
    types = [(await receive())["type"] for _ in range(2)]
    say("received_again", tag, types=types)


@scenario
async def watched_stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Streams while a parallel task waits for the disconnect; then sends once more."""
    tag = tag_of(scope)
    await read_body(receive)
    left: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def watch() -> None:
        left.set_result((await receive())["type"])
        say("watched", tag, type=left.result())

    watcher = asyncio.ensure_future(watch())
    after = []
    try:
        await send(start())
        for _ in range(MANY):
            if left.done():
                break
            await send(body(BLOCK, more=True))
            await asyncio.sleep(0)
    except Exception as error:
        after.append(outcome(error))
    await watcher
    for more in (True, False):
        try:
            await send(body(b"late", more=more))
            after.append(None)
        except Exception as error:
            after.append(outcome(error))
    say("ended", tag, after=after)


@scenario
async def blind_stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Streams without ever receiving, until send() raises or a large number of blocks is gone."""
    tag = tag_of(scope)
    error: BaseException | None = None
    await send(start())
    sent = 0
    try:
        while sent < MANY:
            await send(body(BLOCK, more=True))
            sent += 1
            if sent == 1:
                say("streaming", tag)
            await asyncio.sleep(0)
    except Exception as raised:
        error = raised
    say("ended", tag, error=outcome(error), sent=sent)


@scenario
async def uncaught_stream(scope: Scope, receive: Receive, send: Send) -> None:
    """The same, and what send() raises goes to the server. A send() that raises nothing is as good."""
    say("streaming", tag_of(scope))
    try:
        await send(start())
        for _ in range(MANY):
            await send(body(BLOCK, more=True))
            await asyncio.sleep(0)
    finally:
        say("ended", tag_of(scope))


@scenario
async def cleans_up(scope: Scope, receive: Receive, send: Send) -> None:
    """After the disconnect it goes on for half a second."""
    tag = tag_of(scope)
    await read_body(receive)
    say("waiting", tag)
    message: Message = await receive()
    try:
        for _ in range(10):
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        say("cancelled", tag)
        raise
    say("cleaned", tag, type=message["type"])


@scenario
async def answers_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, waits for the gate ``<tag>.go`` without receiving, answers."""
    tag = tag_of(scope)
    await read_body(receive)
    say("waiting", tag)
    await gate(tag + ".go")
    error = None
    try:
        await reply(send, "late answer")
    except Exception as raised:
        error = raised
    say("answered", tag, error=outcome(error))


@scenario
async def listens_and_answers(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers while a parallel task waits in receive()."""
    tag = tag_of(scope)
    await read_body(receive)
    listener = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    await reply(send, "answered")
    say("listened", tag, message=await listener)
