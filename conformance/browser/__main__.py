"""Chromium, headless, opens ``page.html`` from a server; the page's script talks to WebSockets of that server and
posts what it saw.

Prints a line for each check. The exit code is 1 if one failed or the page did not come to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.wire import Connection, Silence  # noqa: E402

from benchmarks.process import stop  # noqa: E402
from conformance.browser.devtools import OPTIONS, find  # noqa: E402
from conformance.http1.serving import serving  # noqa: E402
from conformance.reliability.servers import SUBJECT  # noqa: E402

FOLDER = Path(__file__).resolve().parent
CHECKS = 12
"""As many as the page has; fewer mean that it stopped on its way."""


def main() -> int:
    options = arguments()
    with serving(options.server_command, options.python, FOLDER) as address:
        outcomes = visit(options.browser, address, options.patience)
    for outcome in outcomes:
        print(f"{'passed' if outcome['passed'] else 'FAILED':8}{outcome['name']}  {outcome['seen']}")
    passed = sum(outcome["passed"] for outcome in outcomes)
    print(f"{passed} of {CHECKS} checks passed")
    return int(passed != CHECKS)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.browser", description=__doc__)
    parser.add_argument(
        "--server-command",
        default=SUBJECT,
        help="name of a server or command that starts one, with {python}, {app} and {port}; without {app} the "
        "application and --port follow it as uvicorn takes them (default: %(default)s)",
    )
    parser.add_argument(
        "--python", type=os.path.abspath, default=sys.executable, help="the interpreter that has it"
    )
    parser.add_argument("--browser", default="chromium", help="a Chromium (default: %(default)s)")
    parser.add_argument(
        "--patience", type=float, default=120.0, help="seconds for the whole page (default: %(default)s)"
    )
    return parser.parse_args()


def visit(browser: str, address: tuple[str, int], patience: float) -> list[dict[str, Any]]:
    """What the page has posted when it came to its end; nothing if it did not in ``patience`` seconds."""
    host, port = address
    # It still writes into its folders while it ends.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process = subprocess.Popen(
            [find(browser), *OPTIONS, f"--user-data-dir={home}/data", f"http://{host}:{port}/"],
            env={**os.environ, "HOME": home},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            with Connection(address, timeout=patience) as connection:
                outcomes: list[dict[str, Any]] = json.loads(connection.get("/outcome").body)
                return outcomes
        except Silence:
            return []
        finally:
            stop(process)


if __name__ == "__main__":
    sys.exit(main())
