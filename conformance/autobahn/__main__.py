"""Autobahn|Testsuite's fuzzing client against a server and, if asked, its peers: counts, and every bad case.

The exit code is 1 if a case of the first server is FAILED, NON-STRICT or UNIMPLEMENTED, closes wrongly, or did not
run; peers are only told about.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from conformance.http1.serving import NotServing, add_server_arguments, serving  # noqa: E402

from .fuzzing_client import Run, Suite  # noqa: E402
from .peers import PEERS  # noqa: E402
from .report import Results, bad_cases, table  # noqa: E402

FOLDER = Path(__file__).resolve().parent
CASES = [
    *(f"{group}.*" for group in (*range(1, 8), 9, 10)),
    *(f"12.{group}.*" for group in range(1, 6)),
    *(f"13.{group}.*" for group in range(1, 8)),
]
"""All that the suite has: there is no group 8 or 11. The groups of 12 and 13 take minutes each."""
LONG = ["9.*", "12.*", "13.*"]


def main() -> int:
    options = arguments()
    suite = Suite.install()
    servers = {options.server_command: (options.server_command, options.python)}
    for peer in PEERS if "all" in options.peers else options.peers:
        servers[peer] = (PEERS[peer], options.peers_python)
    outcomes = {name: run(name, *how, suite, options) for name, how in servers.items()}
    summaries = {name: summary(runs) for name, runs in outcomes.items()}
    for name, runs in outcomes.items():
        lines = bad_cases(summaries[name][0])
        lines += [f"{one.pattern}: {one.problem}" for one in runs if one.problem]
        print(f"{name}: {len(lines)} not as they must be", *(f"  {line}" for line in lines), sep="\n")
    print("", table(summaries), sep="\n")
    if options.json:
        options.json.write_text(
            json.dumps({name: [asdict(one) for one in runs] for name, runs in outcomes.items()}, indent=1)
        )
    first = outcomes[options.server_command]
    return int(any(one.problem for one in first) or bool(bad_cases(summaries[options.server_command][0])))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.autobahn", description=__doc__)
    add_server_arguments(parser)
    parser.add_argument(
        "--peers", nargs="+", choices=[*PEERS, "all"], default=[], help="servers beside it, of peers.py"
    )
    parser.add_argument(
        "--peers-python",
        type=os.path.abspath,
        default=sys.executable,
        help="the interpreter that has the peers",
    )
    parser.add_argument("--cases", nargs="+", default=CASES, metavar="PATTERN", help="as in 1.* 6.4.* 7.1.1")
    parser.add_argument("--exclude", nargs="+", default=[], metavar="PATTERN", help="left out")
    parser.add_argument(
        "--quick", action="store_const", const=LONG, default=[], help=f"leaves out {', '.join(LONG)}"
    )
    parser.add_argument(
        "--patience", type=float, default=600.0, help="seconds for each pattern (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every case's result to this file")
    return parser.parse_args()


def run(name: str, command: str, python: str, suite: Suite, options: argparse.Namespace) -> list[Run]:
    """Every pattern against one server."""
    runs = []
    try:
        with serving(command, python, FOLDER) as (host, port):
            excluded = [*options.exclude, *options.quick]
            for one in suite.run(f"ws://{host}:{port}", options.cases, excluded, options.patience):
                print(f"{name} {one.pattern}: {len(one.results)} cases, {one.seconds:.0f} s", file=sys.stderr)
                runs.append(one)
    except NotServing as error:
        runs.append(Run("start", problem=f"does not serve: {error}"))
    return runs


def summary(runs: list[Run]) -> tuple[Results, int, float]:
    """The results of all patterns, how many cases did not run, and the seconds."""
    results = {case: result for one in runs for case, result in one.results.items()}
    missing = sum(one.expected - len(one.results) for one in runs)
    return results, missing, sum(one.seconds for one in runs)


if __name__ == "__main__":
    sys.exit(main())
