"""S17: control characters of a client that reach the log: escape sequences for a terminal, forged lines.

Each reaches for the log by the path, the query, or a header that servers log or put in the client's place
(X-Forwarded-For). A line of the log is dirty if it holds a control character, C1 ones included, or was begun by
a client.
"""

from __future__ import annotations

import time

from support.wire import Malformed, Silence, Truncated, request_bytes

from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server

ATTACKS = (b"\x1b[2J", b"\nFORGED: line", b"\rFORGED: line", b"\r\nFORGED: line", b"\x9b2J", b"\xc2\x9b2J", b"\xc2\x85FORGED",
           b"\x00", b"\x07", b"\x7f", b"\x08\x08\x08", b"\xe2\x80\xa8FORGED")  # fmt: skip
FIELDS = ("X-Forwarded-For", "X-Forwarded-Proto", "User-Agent", "Referer", "Host")
WRITTEN_WITHIN = 0.5


def measure(start: Start) -> Outcome:
    with start() as server:
        begun = len(server.log())
        for request in requests():
            send(server, request)
        assert server.answers(), "the next client is not answered"
        time.sleep(WRITTEN_WITHIN)
        lines = server.log()[begun:].split(b"\n")
    dirty = [line for line in lines if is_dirty(line)]
    return Outcome((len(dirty),), [repr(line[:120]) for line in dirty[:5]])


def requests() -> list[bytes]:
    wire = []
    for attack in ATTACKS:
        quoted = b"".join(b"%%%02x" % byte for byte in attack)
        for text in (attack, quoted):
            wire.append(request_bytes("GET", b"/hello/" + text))
            wire.append(request_bytes("GET", b"/hello?" + text))
        for field in FIELDS:
            host = None if field == "Host" else "localhost"
            wire.append(request_bytes("GET", "/hello", [(field, b"127.0.0.1" + attack)], host=host))
        wire.append(request_bytes(b"GE" + attack, "/hello"))
    return wire


def send(server: Server, request: bytes) -> None:
    with server.connect() as connection:
        try:
            connection.send(request)
            connection.finish_writing()
            connection.response()
        except (OSError, Silence, Truncated, Malformed):
            pass  # refused, as it may be


def is_dirty(line: bytes) -> bool:
    text = line.decode("utf-8", "surrogateescape")
    # A lone surrogate is a byte that is no UTF-8: a terminal that reads Latin-1 takes it for what it is.
    shown = "".join(chr(ord(char) - 0xDC00) if 0xDC80 <= ord(char) <= 0xDCFF else char for char in text)
    return any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in shown) or shown.startswith("FORGED")


ROW = Row("S17", "log injection", (Figure("dirty lines in the log", at_most=0, count=True),), measure)
