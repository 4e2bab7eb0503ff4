"""S4: an upload of 2 GB, announced or chunked, to an application that never reads: what it costs in memory.

Taken is what the server has read of it: written by the client, less what lies in the kernel's buffers.
A server that goes on taking is stopped at MOST.
"""

from __future__ import annotations

from support.measure import push_until_blocked, queues
from support.wire import Connection, chunk, request_bytes

from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server

MB = 1 << 20
MOST = 256 * MB
CODINGS = {
    "length": (("Content-Length", str(2 << 30)), bytes(MB)),
    "chunked": (("Transfer-Encoding", "chunked"), chunk(bytes(65536))),
}


def measure(start: Start) -> Outcome:
    growths, takens = [], []
    for name in CODINGS:
        with start() as server:
            server.get("/reads")
            before = server.memory()
            taken, after = upload(server, name)
            takens.append(taken / 1024)
            growths.append((after - before) / MB)
    return Outcome((growths[0], growths[1], max(takens)))


def upload(server: Server, coding: str) -> tuple[int, int]:
    """The bytes that the server took, and its memory then."""
    field, block = CODINGS[coding]
    with server.connect() as connection:
        connection.send(request_bytes("POST", f"/never_reads?{coding}", [field]))
        server.probe.expect("called", coding)
        pushed = push_until_blocked(connection.socket, block, MOST)
        taken = pushed - in_kernel(server, connection)
        memory = server.memory()
    server.probe.open(coding)
    assert server.answers(), "the next client is not answered"
    return taken, memory


def in_kernel(server: Server, connection: Connection) -> int:
    there = queues(connection.port, server.port).unsent
    return there + queues(server.port, connection.port).unread


ROW = Row(
    "S4",
    "an upload of 2 GB that nobody reads",
    (
        Figure("memory, Content-Length, MB", at_most=1),
        Figure("memory, chunked, MB", at_most=1),
        Figure("taken, KB", at_most=256),
    ),
    measure,
)
