"""S6: what an application can go on "sending" when the client has left, and how ``send()`` then ends.

The client reads the first MB and leaves; the server has time to see it; then the application goes on with blocks
of 64 KB, at most 16 MB. ASGI HTTP 2.4: send() raises a subclass of OSError. A client that only sent a FIN may
still read (RFC 9112 9.6), so a server that serves such clients needs one block to find out.
"""

from __future__ import annotations

import time

from conformance.reliability import apps
from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server

KB = 1 << 10
SEEN_WITHIN = 0.2


def measure(start: Start) -> Outcome:
    values, ends, notes = [], 0, []
    with start() as server:
        for path, how in (("goes_on", "reset"), ("goes_on/listens", "close"), ("goes_on", "close")):
            taken, raised = leave(server, path, how)
            values.append(taken / KB)
            ends += raised == "OSError"
            if raised != "OSError":
                notes.append(f"{path}, {how}: send() ended with {raised or 'no exception'}")
        assert server.answers(), "the next client is not answered"
    return Outcome((*values, ends), notes)


def leave(server: Server, path: str, how: str) -> tuple[int, str]:
    """The bytes taken by send() after the client left, and the exception that ended it."""
    tag = f"{path}.{how}"
    with server.connect() as connection:
        connection.request("GET", f"/{path}?{tag}")
        connection.head()
        server.probe.expect("begun", tag)
        connection.read_exactly(apps.BEGUN * len(apps.BLOCK))
        getattr(connection, how)()
    time.sleep(SEEN_WITHIN)
    server.answers()  # on a busy machine it may not have run at all until now
    server.probe.open(tag)
    ended = server.probe.expect("ended", tag)
    return ended["taken"], ended["raised"]


ROW = Row(
    "S6",
    "clients that have gone",
    (
        Figure("sent after RST, KB", at_most=0, count=True),
        Figure("sent after FIN and http.disconnect, KB", at_most=0, count=True),
        Figure("sent after FIN alone, KB", at_most=64, count=True),
        Figure("ended by OSError, of 3", at_least=3, count=True),
    ),
    measure,
)
