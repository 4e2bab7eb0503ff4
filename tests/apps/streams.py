"""Scenarios about long answers."""

from __future__ import annotations

from support.probe import block, say

from apps.registry import Receive, Scope, Send, argument, body, outcome, reply, scenario, start, tag_of

BLOCK = b"s" * 65536


@scenario
async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """An answer of ``<argument>`` bytes in one body message."""
    await reply(send, b"0123456789abcdef" * (int(argument(scope)) // 16))


@scenario
async def flood(scope: Scope, receive: Receive, send: Send) -> None:
    """Up to ``<argument>`` bytes in blocks of 64 KB, with Content-Length; says how many send() has taken."""
    await _flood(scope, send, [(b"content-length", argument(scope).encode())])


@scenario
async def chunked_flood(scope: Scope, receive: Receive, send: Send) -> None:
    await _flood(scope, send, [])


async def _flood(scope: Scope, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    tag, size = tag_of(scope), int(argument(scope))
    taken = 0
    error = None
    try:
        await send(start(200, headers))
        while taken < size:
            await send(body(BLOCK, more=taken + len(BLOCK) < size))
            taken += len(BLOCK)
            TAKEN[tag] = taken
    except OSError as raised:
        error = type(raised).__name__
    say("flood_ended", tag, taken=taken, error=error)


@scenario
async def stands_still(scope: Scope, receive: Receive, send: Send) -> None:
    """Lets nobody else run until the gate ``<tag>.go`` opens; then answers ``<argument>`` bytes."""
    tag = tag_of(scope)
    say("called", tag)
    block(f"{tag}.go")
    error = None
    try:
        await reply(send, bytes(int(argument(scope))))
    except Exception as raised:
        error = raised
    say("answered", tag, error=outcome(error))


TAKEN: dict[str, int] = {}


@scenario
async def taken(scope: Scope, receive: Receive, send: Send) -> None:
    """How many bytes send() has taken in the flood of this tag."""
    await reply(send, str(TAKEN.get(tag_of(scope), 0)))
