"""Measures rows of the reliability scoreboard on one server or several and prints one table.

What misses its target is marked. The exit code is 1 if the first server misses one.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from . import (  # noqa: E402
    aborts,
    bad_applications,
    bad_input,
    descriptors,
    disconnects,
    gone_clients,
    half_open,
    log_injection,
    report,
    slow_readers,
    socket_memory,
    sockets,
    uploads,
)
from .row import Row  # noqa: E402
from .server import start  # noqa: E402
from .servers import SERVERS, SUBJECT  # noqa: E402

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        bad_input.ROW,
        bad_applications.ROW,
        half_open.ROW,
        uploads.ROW,
        slow_readers.ROW,
        gone_clients.ROW,
        disconnects.ROW,
        descriptors.ROW,
        log_injection.ROW,
        socket_memory.SENDER_ROW,
        socket_memory.READER_ROW,
        socket_memory.IDLE_ROW,
        sockets.BOMB_ROW,
        sockets.FRAMES_ROW,
        sockets.PINGS_ROW,
        aborts.ROW,
    )
}


def main() -> int:
    options = arguments()
    results: report.Results = {}
    for name in options.rows or ROWS:
        servers = results[ROWS[name]] = {server: report.Result() for server in options.server_command}
        for _ in range(options.repeats):
            for server, result in servers.items():
                print(f"{name} {server}", file=sys.stderr)
                measure(ROWS[name], server, options.python, result)
    print(report.markdown(results) if options.markdown else report.text(results))
    if options.json:
        options.json.write_text(report.as_json(results))
    first = options.server_command[0]
    return 0 if all(servers[first].met(row) for row, servers in results.items()) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.reliability", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)} (default: all)")
    parser.add_argument(
        "--server-command",
        nargs="+",
        default=[SUBJECT],
        metavar="SERVER",
        help=f"one of {', '.join(SERVERS)}, or a command such as '{{python}} -m uvicorn'; "
        "{app} and {port} in it stand for themselves, else they follow as uvicorn takes them (default: %(default)s)",
    )
    parser.add_argument(
        "--python", type=os.path.abspath, default=sys.executable, help="the interpreter that has the servers"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="measurements of each row (default: %(default)s)"
    )
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to this file")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return options


def measure(row: Row, server: str, python: str, result: report.Result) -> None:
    """One repeat."""
    try:
        result.outcomes.append(row.measure(functools.partial(start, server, python)))
    except (AssertionError, OSError) as error:
        result.failures.append(f"{type(error).__name__}: {str(error)[:300]}")


if __name__ == "__main__":
    sys.exit(main())
