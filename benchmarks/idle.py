"""What each of 5,000 idle connections adds to a server's resident memory.

Usage: python -m benchmarks.idle --python PYTHON_WITH_THE_SERVERS

Each connection makes one request and then stays open, silent: kept alive, as behind a proxy or a browser.
"""

import contextlib
import select
import socket
import sys
import time
from statistics import median

from benchmarks import apps, options, report
from benchmarks.peers import Server
from benchmarks.process import HOST, Failed, Running, Where, allow_files, resident_bytes, running
from benchmarks.rows import ROWS

BAR = 2000  # bytes for each connection
REQUEST = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
# Kept open beside the counted ones, so that what the first connection brings in is not counted.
FIRST = 50
SETTLE = 1.0


def open_connections(server: Running, count: int, held: contextlib.ExitStack) -> list[socket.socket]:
    """Open `count` connections, each with one answered request."""
    opened = []
    for number in range(count):
        try:
            connection = held.enter_context(socket.create_connection((HOST, server.port), timeout=10))
            connection.sendall(REQUEST)
            received = b""
            while apps.HELLO not in received:
                part = connection.recv(4096)
                if not part:
                    raise server.fail(f"closed connection {number + 1} of {count} early")
                received += part
        except OSError as error:
            raise server.fail(f"connection {number + 1} of {count}: {error}") from None
        opened.append(connection)
    return opened


def check_open(server: Running, connections: list[socket.socket]) -> None:
    """A connection that the server has closed in the meantime costs nothing and must not be counted."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    if closed := len(poll.poll(0)):
        raise server.fail(f"closed {closed} of {len(connections)} idle connections")


def bytes_each(server: Server, count: int, where: Where) -> float:
    """One run: resident bytes added, divided by the connections."""
    with (
        running(server, ROWS["hello"].app, where, server.many_idle) as served,
        contextlib.ExitStack() as held,
    ):
        served.wait_until_ready()
        first = open_connections(served, FIRST, held)
        time.sleep(SETTLE)
        before = resident_bytes(served.pid)
        connections = open_connections(served, count, held)
        time.sleep(SETTLE)
        added = resident_bytes(served.pid) - before
        check_open(served, first + connections)
    return added / count


def main() -> int:
    """Measure and report; 1 when a server failed, or the bar was missed under --enforce."""
    parser = options.parser("Resident memory added by each idle connection.", repeats=3)
    parser.add_argument("--connections", type=int, default=5000, help="how many are opened")
    chosen = parser.parse_args()
    versions = options.versions_of(chosen)
    about = options.about(versions)
    where = options.where(chosen)
    allow_files(chosen.connections + FIRST)
    samples: dict[str, list[float]] = {}
    failures: dict[str, str] = {}
    servers = options.installed(chosen, versions, about)
    for repeat in range(chosen.repeats):
        for server in options.rotated(servers, repeat):
            if server.name in failures:
                continue
            try:
                added = bytes_each(server, chosen.connections, where)
            except Failed as failure:
                failures[server.name] = failure.reason
                options.progress(f"FAILED {failure}")
                continue
            samples.setdefault(server.name, []).append(added)
            options.progress(f"{repeat + 1}/{chosen.repeats} {server.name}: {added:,.0f} bytes")
    samples = {server.name: samples[server.name] for server in servers if server.name not in failures}
    print("\n".join(f"- {name}: {value}" for name, value in about.items()), end="\n\n")
    lines = [[name, f"{median(runs):,.0f}"] for name, runs in samples.items()]
    print(report.table(["server", f"bytes for each of {chosen.connections:,} idle connections"], lines))
    reached = False
    if chosen.subject in samples:
        ours = median(samples[chosen.subject])
        reached = ours <= BAR
        print(f"\n{chosen.subject}: {ours:,.0f} bytes (bar ≤ {BAR:,}, {'reached' if reached else 'missed'})")
    options.write_json(chosen.json, {"about": about, "bytes": samples, "failures": failures})
    return 1 if failures or (chosen.enforce and not reached) else 0


if __name__ == "__main__":
    sys.exit(main())
