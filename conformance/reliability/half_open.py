"""S3: of nine phases in which a client stops halfway, how many the server ends by its defaults.

All nine connections are opened at once and watched until the server has let go of each, or LIMIT is over.
A drip is one byte a second.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.wire import Connection, request_bytes

from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server

# The longest deadline of a server that means to have one is a minute.
LIMIT = 75.0
HEAD = request_bytes("POST", "/reads", [("Content-Length", "1000000")])
HALF_LINE = b"GET /hello HT"
HALF_HEAD = b"GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Half: "


def says(data: bytes) -> Callable[[Connection], None]:
    return lambda connection: connection.send(data)


def keeps_alive(rest: bytes = b"") -> Callable[[Connection], None]:
    def begin(connection: Connection) -> None:
        connection.get("/hello")
        connection.send(rest)

    return begin


@dataclass(frozen=True)
class Phase:
    name: str
    begin: Callable[[Connection], None]
    drips: bool = False


PHASES = (
    Phase("no bytes", says(b"")),
    Phase("half a request line", says(HALF_LINE)),
    Phase("half a head, silent", says(HALF_HEAD)),
    Phase("half a head, a drip", says(HALF_HEAD), drips=True),
    Phase("half a body, silent", says(HEAD + b"half")),
    Phase("half a body, a drip", says(HEAD + b"half"), drips=True),
    Phase("kept alive", keeps_alive()),
    Phase("kept alive, then half a line", keeps_alive(HALF_LINE)),
    Phase("an answer that is not read", says(request_bytes("GET", "/flood"))),
)


def measure(start: Start) -> Outcome:
    with start() as server, contextlib.ExitStack() as stack:
        open_phases = {}
        for phase in PHASES:
            connection = stack.enter_context(server.connect())
            phase.begin(connection)
            open_phases[phase] = connection
        longest, begun = 0.0, time.monotonic()
        while open_phases and time.monotonic() - begun < LIMIT:
            time.sleep(1)
            held = held_by(server)
            for phase, connection in list(open_phases.items()):
                if connection.port not in held:
                    longest = time.monotonic() - begun
                    del open_phases[phase]
                elif phase.drips:
                    with contextlib.suppress(OSError):
                        connection.send(b"x")
    notes = [f"open after {LIMIT:g} s: {phase.name}" for phase in open_phases]
    return Outcome((len(PHASES) - len(open_phases), longest), notes)


def held_by(server: Server) -> set[int]:
    """The ports of the clients whose sockets a process of the server has open (/proc/net/tcp)."""
    held = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(fields[column].rpartition(":")[2], 16) for column in (1, 2))
        # A socket that was closed and still has something to send has no inode.
        if local == server.port and fields[9] != "0":
            held.add(remote)
    return held


ROW = Row(
    "S3",
    "half-open phases",
    (
        Figure("ended by default, of 9", at_least=9, count=True),
        Figure("the last of them, s", at_most=LIMIT, count=True),
    ),
    measure,
)
