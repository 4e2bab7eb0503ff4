"""S2: of thirty applications that misbehave, how many are handled right, and what it costs in processes.

Right is, in each case: the client gets the answer that is due, or an error, or an end that shows that the
answer is not whole; nothing that HTTP/1.1 forbids is written; the connection serves the next request or is
closed; a new connection is served; every process lives.
"""

from __future__ import annotations

import contextlib
import enum

from support.checks import next_is_right_or_closed
from support.wire import Connection, Response, Truncated

from conformance.reliability import bad_apps
from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server


class Ending(enum.Enum):
    """How the client sees the exchange end."""

    FAILED = "a 5xx, or a close without a byte"
    CUT = "an answer that is visibly not whole"
    WHOLE = "a whole answer"
    LEFT = "the client leaves, nobody waits"


FAILED, CUT, WHOLE, LEFT = Ending
ERROR = {FAILED}
# For a fault after the head the server may have sent that already, or not.
BROKEN = {FAILED, CUT}

EXPECTED: dict[str, set[Ending]] = {
    **dict.fromkeys(bad_apps.APPS, ERROR),
    # Not what ASGI asks for, but it can be understood.
    "header_as_text": {FAILED, WHOLE},
    "length_too_short": {*BROKEN, WHOLE},
    "length_too_long": BROKEN,
    "body_as_text": BROKEN,
    "start_twice": BROKEN,
    # ASGI: ignored.
    "body_after_the_end": {WHOLE},
    "huge_body": {WHOLE},
    "returns_after_start": BROKEN,
    "raises_after_start": BROKEN,
    "never_returns": {LEFT},
    "endless": {LEFT},
    "from_a_thread": set(Ending),
    "receives_twice": {WHOLE},
    "closes_its_descriptor": set(Ending),
}
BODIES = {
    "header_as_text": b"x",
    "length_too_short": b"01234",
    "body_after_the_end": b"x",
    "huge_body": bytes(bad_apps.HUGE),
    "from_a_thread": b"from a thread",
    "receives_twice": b"received",
    "closes_its_descriptor": b"closed",
}


def measure(start: Start) -> Outcome:
    notes, lost = [], 0
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(start())
        processes = server.processes()
        for name in bad_apps.APPS:
            fault = fault_of(server, name)
            if gone := len(processes - server.processes()):
                fault = fault or "a process ended"
                lost += gone
                stack.close()
                server = stack.enter_context(start())
                processes = server.processes()
            if fault:
                notes.append(f"{name}: {fault}")
    return Outcome((len(bad_apps.APPS) - len(notes), lost), notes)


def fault_of(server: Server, name: str) -> str | None:
    """What the clients saw that was not right, or None."""
    try:
        with server.connect() as connection:
            ask(server, connection, name)
    except (AssertionError, OSError) as error:
        return f"{type(error).__name__}: {str(error)[:150]}"
    return None if server.answers() else "the next client is not answered"


def ask(server: Server, connection: Connection, name: str) -> None:
    """Makes one request; raises AssertionError for an ending that is not right."""
    connection.request("POST" if name == "receives_twice" else "GET", f"/{name}?{name}", body=b"")
    if EXPECTED[name] == {LEFT}:
        server.probe.expect("called", name)
        return
    ending, answer = ending_of(connection)
    assert ending in EXPECTED[name], ending.value
    if answer is not None:
        assert not answer.values("x-evil"), "a header that the application forged"
        assert ending is not WHOLE or answer.body == BODIES[name], answer.body[:50]
        assert not connection.buffer, f"bytes behind the answer: {bytes(connection.buffer[:50])!r}"
        next_is_right_or_closed(connection)


def ending_of(connection: Connection) -> tuple[Ending, Response | None]:
    try:
        answer = connection.response()
    except Truncated as cut:
        return (FAILED if cut.head is None and not cut.body else CUT), None
    return (FAILED if answer.status >= 500 else WHOLE), answer


ROW = Row(
    "S2",
    "applications that misbehave",
    (
        Figure("handled right, of 30", at_least=30, count=True),
        Figure("processes lost", at_most=0, count=True),
    ),
    measure,
)
