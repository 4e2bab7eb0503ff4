"""S15: 1,000 clients for a process that may open 256 files.

While they are there: CPU time, the log, and whether connections from before are served. Then all of them
leave: how long a new client waits for its answer.
"""

from __future__ import annotations

import contextlib
import socket
import time

from support.wire import Connection, Malformed, Silence, Truncated

from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server

FILES = 256
CLIENTS = 1000
BEFORE = 5
SETTLE = 1.0
# Shorter than the five seconds for which servers keep an idle connection.
WATCHED = 3.0


def measure(start: Start) -> Outcome:
    with start(files=FILES) as server, contextlib.ExitStack() as stack:
        before = [stack.enter_context(server.connect()) for _ in range(BEFORE)]
        for connection in before:
            connection.get("/hello")
        said = len(noise(server))
        clients = crowd(server)
        time.sleep(SETTLE)
        used, begun = server.cpu(), time.monotonic()
        time.sleep(WATCHED)
        percent = 100 * (server.cpu() - used) / (time.monotonic() - begun)
        served = sum(map(is_served, before))
        kilobytes = (len(noise(server)) - said) / 1024
        for client in clients:
            client.close()
        left = time.monotonic()
        while not server.answers():
            assert time.monotonic() - left < 60, "it does not recover"
        return Outcome((percent, kilobytes, served, time.monotonic() - left))


def crowd(server: Server) -> list[socket.socket]:
    """Clients who connect and say nothing; those that do not fit into the backlog wait for it."""
    clients = []
    for _ in range(CLIENTS):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", server.port))
        clients.append(client)
    return clients


def is_served(connection: Connection) -> bool:
    try:
        return connection.get("/hello").status == 200
    except (OSError, Silence, Truncated, Malformed):
        return False


def noise(server: Server) -> bytes:
    """The log without the lines of requests that were served."""
    return b"\n".join(line for line in server.log().splitlines() if b"/hello" not in line)


ROW = Row(
    "S15",
    "more clients than files",
    (
        Figure("CPU while it lasts, %", at_most=5),
        Figure("log, kB", at_most=1),
        Figure("served of 5 from before", at_least=BEFORE, count=True),
        Figure("recovered after, s", at_most=0.1),
    ),
    measure,
)
