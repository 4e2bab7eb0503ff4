"""Runs the same applications under uvicorn and under fasterapi and compares every answer.

Prints a table; the exit code is 1 if there is a difference that ``accepted.py`` does not name.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from support.server import DEFAULT_COMMAND, ServerProcess  # noqa: E402

from .accepted import ACCEPTED, Accepted  # noqa: E402
from .cases import CASES, OPTION_CASES, OPTIONS, Case  # noqa: E402
from .compare import differences, perform  # noqa: E402

UVICORN = "{python} -m uvicorn"


def main() -> int:
    options = arguments()
    unexplained = 0
    used: set[Accepted] = set()
    for run, target, server_options, cases in runs(options.only):
        print(f"\n{run}")
        peer = start(options.peer, target, server_options)
        subject = start(options.server_command, target, server_options)
        try:
            for case in cases:
                unexplained += compare(case, peer, subject, used, options.verbose)
        finally:
            subject.end()
            peer.end()
    if not options.only:
        for accepted in [entry for entry in ACCEPTED if entry not in used]:
            print(f"accepted, but not seen: {accepted.case}: {accepted.reason}")
    print(f"\n{unexplained} unexplained difference{'' if unexplained == 1 else 's'}")
    return 1 if unexplained else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.parity", description=__doc__)
    command = "command that starts a server; {python} is this interpreter (default: %(default)s)"
    parser.add_argument("--server-command", default=DEFAULT_COMMAND, help=command)
    parser.add_argument(
        "--peer", default=UVICORN, help="the same for the server to compare with (default: %(default)s)"
    )
    parser.add_argument("--only", default="", help="only the runs whose name contains this")
    parser.add_argument("--verbose", action="store_true", help="print the cases that agree too")
    return parser.parse_args()


def runs(only: str) -> Iterator[tuple[str, str, tuple[str, ...], list[Case]]]:
    table = [(target, target, (), cases) for target, cases in CASES.items()]
    table += [(run, run.partition(" ")[0], options, OPTION_CASES) for run, options in OPTIONS.items()]
    return (entry for entry in table if only in entry[0])


def start(command: str, target: str, options: tuple[str, ...]) -> ServerProcess:
    # A fixed seed: what is made of a set (Starlette's Allow header) is in the same order.
    server = ServerProcess(command, target, options, {"PYTHONHASHSEED": "0"})
    try:
        server.wait_until_running()
    except BaseException:
        server.end()
        raise
    return server


def compare(
    case: Case, peer: ServerProcess, subject: ServerProcess, used: set[Accepted], verbose: bool
) -> int:
    """Prints the lines of one case; returns the number of differences that nobody accepted."""
    found = differences(perform(case, peer), perform(case, subject))
    unexplained = 0
    for aspect, (theirs, ours) in found.items():
        accepted = next((entry for entry in ACCEPTED if entry.matches(case.name, aspect)), None)
        if accepted is not None:
            used.add(accepted)
            print(f"  {'accepted':9} {case.name:34} {aspect:8} {accepted.reason}")
        else:
            unexplained += 1
            print(f"  {'DIFFERENT':9} {case.name:34} {aspect:8} peer {shorten(theirs)}")
            print(f"  {'':9} {'':34} {'':8} ours {shorten(ours)}")
    if not found and verbose:
        print(f"  {'same':9} {case.name}")
    return unexplained


def shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:400]}… ({len(text)} characters)"


if __name__ == "__main__":
    sys.exit(main())
