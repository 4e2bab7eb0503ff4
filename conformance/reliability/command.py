"""The command of a scoreboard: measures rows on one server or several and prints one table.

What misses its target is marked. The exit code is 1 if the first server misses one.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from conformance.reliability import report
from conformance.reliability.row import Row
from conformance.reliability.server import start
from conformance.reliability.servers import SERVERS, SUBJECT


def run(program: str, description: str | None, rows: Iterable[Row]) -> int:
    """Returns the exit code."""
    by_name = {row.name: row for row in rows}
    options = arguments(program, description, by_name)
    results: report.Results = {}
    for name in options.rows or by_name:
        servers = results[by_name[name]] = {server: report.Result() for server in options.server_command}
        for _ in range(options.repeats):
            for server, result in servers.items():
                print(f"{name} {server}", file=sys.stderr)
                measure(by_name[name], server, options.python, result)
    print(report.markdown(results) if options.markdown else report.text(results))
    if options.json:
        options.json.write_text(report.as_json(results))
    first = options.server_command[0]
    return 0 if all(servers[first].met(row) for row, servers in results.items()) else 1


def arguments(program: str, description: str | None, rows: dict[str, Row]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(rows)} (default: all)")
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
    if unknown := set(options.rows) - set(rows):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return options


def measure(row: Row, server: str, python: str, result: report.Result) -> None:
    """One repeat."""
    try:
        result.outcomes.append(row.measure(functools.partial(start, server, python)))
    except (AssertionError, OSError) as error:
        result.failures.append(f"{type(error).__name__}: {str(error)[:300]}")
