"""S5: memory for each reader who takes nothing of an answer of 32 MB, and what is left when they have gone.

The application sends blocks of 64 KB, each made anew, as fast as ``send()`` lets it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from support.wire import Connection, request_bytes

from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server

KB = 1 << 10
MANY = 50
# How often the same memory is seen before it counts as settled.
LOOKS = 10
# A server that does not tell the application that its client has left sends all of the answer to nobody.
ENDED_WITHIN = 60.0


def measure(start: Start) -> Outcome:
    with start() as server:
        server.get("/streams")  # what the first stream brings in is not a reader's
        base = settled(server)
        return growths(server, base, opened)


def opened(server: Server, tag: str) -> Connection:
    """A connection whose answer has begun."""
    connection = server.connect()
    connection.send(request_bytes("GET", f"/flood?{tag}"))
    connection.head()
    return connection


def growths(server: Server, base: int, open_one: Callable[[Server, str], Connection]) -> Outcome:
    """What one reader and each of many cost beyond the base, and what is left when they have gone."""
    _, one = readers(server, "one", 1, open_one)
    left, many = readers(server, "many", MANY, open_one)
    return Outcome(((one - base) / KB, (many - base) / KB / MANY, (left - base) / KB / MANY))


def readers(
    server: Server, tag: str, count: int, open_one: Callable[[Server, str], Connection]
) -> tuple[int, int]:
    """The server's memory after ``count`` readers have left, and while they are there."""
    with contextlib.ExitStack() as stack:
        for number in range(count):
            stack.enter_context(open_one(server, f"{tag}{number}"))
        meanwhile = settled(server)
    deadline = time.monotonic() + ENDED_WITHIN
    for number in range(count):
        with contextlib.suppress(AssertionError):  # it still sends, to nobody
            server.probe.expect("ended", f"{tag}{number}", limit=max(0, deadline - time.monotonic()))
    return settled(server), meanwhile


def settled(server: Server) -> int:
    """Its memory once that has not grown for a while."""
    last, same = 0, 0
    while same < LOOKS:
        time.sleep(0.05)
        now = server.memory()
        same = same + 1 if now <= last else 0
        last = now
    return last


ROW = Row(
    "S5",
    "readers who do not read",
    (
        Figure("memory, one reader, KB", at_most=64),
        Figure("memory, each of 50, KB", at_most=64),
        Figure("left when they have gone, each of 50, KB", at_most=64),
    ),
    measure,
)
