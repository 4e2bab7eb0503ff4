"""Thirty applications that break ASGI's rules, or Python's patience. ``bad_applications`` says what is right."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from typing import Any

from apps.registry import App, Receive, Scope, Send, body, reply, start, tag_of
from support.probe import say

HUGE = 64 * 1024 * 1024


def sends(*messages: Any) -> App:
    """An application that sends these and catches nothing."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return application


def raises(error: type[BaseException], *before: Any) -> App:
    """An application that sends ``before`` and raises."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        for message in before:
            await send(message)
        raise error("on purpose")

    return application


def length(value: bytes) -> Any:
    return start(200, [(b"content-length", value)])


async def recurses(scope: Scope, receive: Receive, send: Send) -> None:
    def deeper() -> None:
        deeper()

    deeper()


async def wants_all_memory(scope: Scope, receive: Receive, send: Send) -> None:
    bytearray(sys.maxsize)


async def never_returns(scope: Scope, receive: Receive, send: Send) -> None:
    say("called", tag_of(scope))
    await asyncio.sleep(3600)


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """Waits for nothing but send(), and goes on whatever that raises, for a while."""
    await send(start())
    say("called", tag_of(scope))
    for _ in range(10_000):
        with contextlib.suppress(Exception):
            await send(body(bytes(65536), more=True))


async def from_a_thread(scope: Scope, receive: Receive, send: Send) -> None:
    """Steps send() outside the event loop's thread."""

    def answer() -> None:
        for message in (start(), body(b"from a thread")):
            with contextlib.suppress(BaseException):
                next(send(message).__await__())

    await asyncio.get_running_loop().run_in_executor(None, answer)


async def receives_twice(scope: Scope, receive: Receive, send: Send) -> None:
    waiting = [asyncio.ensure_future(receive()) for _ in range(2)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await reply(send, b"received")
    for task in waiting:
        task.cancel()


async def closes_its_descriptor(scope: Scope, receive: Receive, send: Send) -> None:
    """Closes the socket of its own connection below the server."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name))) as found:
            if found.family == socket.AF_INET and found.getpeername() == tuple(scope["client"]):
                os.close(int(name))
    await reply(send, b"closed")


APPS: dict[str, App] = {
    "status_0": sends(start(0), body(b"x")),
    "status_1000": sends(start(1000), body(b"x")),
    "header_as_text": sends(start(200, [("x-text", "text")]), body(b"x")),  # type: ignore[list-item]
    "crlf_in_value": sends(start(200, [(b"x-a", b"b\r\nx-evil: 1")]), body(b"x")),
    "crlf_in_name": sends(start(200, [(b"x-a: b\r\nx-evil", b"1")]), body(b"x")),
    "length_no_number": sends(length(b"many"), body(b"x")),
    "length_too_short": sends(length(b"5"), body(b"0123456789")),
    "length_too_long": sends(length(b"10"), body(b"01234")),
    "body_as_text": sends(start(), body("text")),  # type: ignore[arg-type]
    "body_first": sends(body(b"x")),
    "start_twice": sends(start(), start(), body(b"x")),
    "body_after_the_end": sends(length(b"1"), body(b"x"), body(b"y")),
    "no_dictionary": sends(None),
    "unknown_type": sends({"type": "http.response.nothing"}),
    "huge_body": sends(length(b"%d" % HUGE), body(bytes(HUGE))),
    "returns_at_once": sends(),
    "returns_after_start": sends(start(), body(b"x", more=True)),
    "raises": raises(ValueError),
    "raises_after_start": raises(ValueError, start(), body(b"x", more=True)),
    "SystemExit": raises(SystemExit),
    "KeyboardInterrupt": raises(KeyboardInterrupt),
    "CancelledError": raises(asyncio.CancelledError),
    "GeneratorExit": raises(GeneratorExit),
    "RecursionError": recurses,
    "MemoryError": wants_all_memory,
    "never_returns": never_returns,
    "endless": endless,
    "from_a_thread": from_a_thread,
    "receives_twice": receives_twice,
    "closes_its_descriptor": closes_its_descriptor,
}
