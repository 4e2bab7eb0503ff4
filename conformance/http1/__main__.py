"""Sends every case to a live server, in one write and in two, and judges what comes back.

Prints the cases that did not end as they must, with the bytes of both sides, and a table by theme. The exit
code is 1 if there is such a case.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from .cases import Case, read_all  # noqa: E402
from .exchange import PATIENCE, Result, Verdict, play_both  # noqa: E402
from .serving import add_server_arguments, serving  # noqa: E402

AT_ONCE = 16
"""Connections at a time: most cases wait for something."""

Results = list[tuple[Case, Result]]


def main() -> int:
    options = arguments()
    cases = [case for case in read_all() if options.only in (case.theme, case.id, "")]
    with contextlib.ExitStack() as stack:
        if options.address:
            host, _, port = options.address.rpartition(":")
            address = (host.strip("[]"), int(port))
        else:
            address = stack.enter_context(serving(options.server_command, options.python))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            played = pool.map(lambda case: play_both(case, address, options.patience), cases)
            results = list(zip(cases, played, strict=True))
    if options.json:
        print(json.dumps(as_data(results), indent=1))
    else:
        print_failures(results, options.quiet)
        print_table(results)
    return 0 if all(result.verdict is Verdict.RIGHT for _, result in results) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.http1", description=__doc__)
    add_server_arguments(parser)
    parser.add_argument("--address", default="", help="host:port of a server that serves echo.py already")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE,
        help="seconds to wait for an answer or an end (default: %(default)s)",
    )
    parser.add_argument("--only", default="", help="one theme, or one case by its id")
    parser.add_argument("--quiet", action="store_true", help="do not show the bytes of what failed")
    parser.add_argument("--json", action="store_true", help="print all results as JSON instead")
    return parser.parse_args()


def print_failures(results: Results, quiet: bool) -> None:
    for case, result in results:
        if result.verdict is Verdict.RIGHT:
            continue
        print(f"{result.verdict.value.upper():18} {case.id}: {case.title} ({case.section}): {result.detail}")
        if not quiet:
            print(f"  sent     {shorten(case.data)}\n  received {shorten(result.received)}")


def shorten(data: bytes, limit: int = 300) -> str:
    return (
        repr(data)[1:] if len(data) <= limit else f"{data[:limit]!r}"[1:] + f" and {len(data) - limit} more"
    )


def print_table(results: Results) -> None:
    themes = list(dict.fromkeys(case.theme for case, _ in results))
    columns = ["cases", *(verdict.value for verdict in Verdict)]
    print(f"\n{'theme':18}" + "".join(f"{column:>{len(column) + 2}}" for column in columns))
    for name in [*themes, "all"]:
        counted = Counter(result.verdict for case, result in results if name in (case.theme, "all"))
        numbers = [counted.total(), *(counted[verdict] for verdict in Verdict)]
        line = (
            f"{number or '-':>{len(column) + 2}}" for column, number in zip(columns, numbers, strict=True)
        )
        print(f"{name:18}" + "".join(line))


def as_data(results: Results) -> dict[str, object]:
    counted = Counter(result.verdict.value for _, result in results)
    return {
        "cases": len(results),
        "counts": {verdict.value: counted[verdict.value] for verdict in Verdict},
        "results": [
            {
                "id": case.id,
                "theme": case.theme,
                "section": case.section,
                "verdict": result.verdict.value,
                "detail": result.detail,
                "received": result.received.decode("latin-1"),
            }
            for case, result in results
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
