"""S7: the time from a client's leaving to ``http.disconnect``, and clients that close only their sending side.

Both times are of the clock that all processes share (CLOCK_MONOTONIC); the application waits in receive().
"""

from __future__ import annotations

import contextlib
import time
from statistics import median

from support.wire import Malformed, Silence, Truncated

from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server

TIMES = 30
HALF_CLOSED = 10
SEEN_WITHIN = 0.2


def measure(start: Start) -> Outcome:
    with start() as server:
        fin, rst = (milliseconds(server, how) for how in ("close", "reset"))
        return Outcome((fin, rst, half_closed(server)))


def milliseconds(server: Server, how: str) -> float:
    samples = []
    for number in range(TIMES):
        tag = f"{how}{number}"
        with server.connect() as connection:
            connection.request("GET", f"/waits?{tag}")
            server.probe.expect("waiting", tag)
            left = time.monotonic()
            getattr(connection, how)()
            samples.append(server.probe.expect("disconnected", tag)["at"] - left)
    return median(samples) * 1000


def half_closed(server: Server) -> int:
    """How many are answered whose whole request was followed by a FIN."""
    answered = 0
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(HALF_CLOSED)]
        for number, connection in enumerate(connections):
            connection.request("GET", f"/late?late.{number}")
            server.probe.expect("waiting", f"late.{number}")
            connection.finish_writing()
        time.sleep(SEEN_WITHIN)
        server.probe.open("late.go")
        for connection in connections:
            with contextlib.suppress(OSError, Silence, Truncated, Malformed):
                answered += connection.response().body == b"late"
    return answered


ROW = Row(
    "S7",
    "disconnects",
    (
        Figure("http.disconnect after FIN, ms", at_most=2),
        Figure("http.disconnect after RST, ms", at_most=2),
        Figure("half-closed and answered, of 10", at_least=HALF_CLOSED, count=True),
    ),
    measure,
)
