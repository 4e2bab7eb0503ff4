"""S25: 3,000 clients that break off, in six phases, half of them by RST: what they leave behind.

Tasks of the event loop, open descriptors, and tracebacks in the log; the application does nothing wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from support.wire import Connection, request_bytes

from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server

ABORTS = 3000
AT_ONCE = 50
# Longer than servers keep an idle connection.
SETTLED_WITHIN = 10.0
POST = request_bytes("POST", "/reads", [("Content-Length", "1000")])


def before_bytes(connection: Connection) -> None:
    pass


def in_head(connection: Connection) -> None:
    connection.send(b"GET /hello HTTP/1.1\r\nHost: loc")


def after_head(connection: Connection) -> None:
    connection.send(POST)


def in_body(connection: Connection) -> None:
    connection.send(POST + bytes(500))


def while_answered(connection: Connection) -> None:
    connection.request("GET", "/streams")
    connection.head()


def idle(connection: Connection) -> None:
    connection.get("/hello")


PHASES = (before_bytes, in_head, after_head, in_body, while_answered, idle)


def measure(start: Start, aborts: int = ABORTS) -> Outcome:
    with start() as server:
        files, tasks = counts(server)
        for phase in PHASES:
            for _ in range(aborts // len(PHASES) // AT_ONCE):
                abort_some(server, phase, AT_ONCE)
        files_now, tasks_now = settled(server, files, tasks)
        left = max(0, tasks_now - tasks), max(0, files_now - files)
        return Outcome((*left, server.log().count(b"Traceback")))


def abort_some(server: Server, phase: Callable[[Connection], None], count: int) -> None:
    connections = [server.connect() for _ in range(count)]
    for connection in connections:
        phase(connection)
    for number, connection in enumerate(connections):
        leave = connection.reset if number % 2 else connection.close
        leave()


def settled(server: Server, files: int, tasks: int) -> tuple[int, int]:
    """Open descriptors and tasks once they are no more than these, or after a while in which they were."""
    deadline = time.monotonic() + SETTLED_WITHIN
    last = counts(server)
    while (last[0] > files or last[1] > tasks) and time.monotonic() < deadline:
        time.sleep(0.1)
        last = counts(server)
    return last


def counts(server: Server) -> tuple[int, int]:
    tasks = int(server.get("/tasks").body)
    return server.files(), tasks


ROW = Row(
    "S25",
    "3,000 clients that break off",
    (
        Figure("tasks left", at_most=0, count=True),
        Figure("descriptors left", at_most=0, count=True),
        Figure("tracebacks", at_most=0, count=True),
    ),
    measure,
)
