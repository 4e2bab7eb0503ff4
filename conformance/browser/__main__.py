"""Chromium, headless, opens pages from a server; their scripts use what they are served.

websockets: WebSockets of any server. events: fasterapi.js and event streams; binary events, and channels that are
added, dropped and kept over a lost connection.

Prints a line for each check of a page. The exit code is 1 if one failed.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from conformance.browser.checks import Checks, add_arguments  # noqa: E402
from conformance.browser.devtools import Page, chromium  # noqa: E402
from conformance.http1.serving import add_server_arguments, serving  # noqa: E402

FOLDER = Path(__file__).resolve().parent
PAGES = ("websockets", "events")


def main() -> int:
    options = arguments()
    checks = Checks()
    for name in options.pages or PAGES:
        with (
            serving(options.server_command, options.python, FOLDER / name) as (host, port),
            chromium(options.browser, options.patience) as page,
        ):
            page.open(f"http://{host}:{port}/")
            for check in page.evaluate("Object.keys(checks)"):
                checks.run(f"{name}: {check}", functools.partial(passes, page, check))
    return checks.report()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.browser", description=__doc__)
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"of {', '.join(PAGES)} (default: all)")
    add_server_arguments(parser)
    add_arguments(parser)
    options = parser.parse_args()
    if unknown := set(options.pages) - set(PAGES):
        parser.error(f"no such page: {', '.join(sorted(unknown))}")
    return options


def passes(page: Page, check: str) -> bool:
    seen, expected = page.evaluate(f"checks[{json.dumps(check)}]()")
    assert seen == expected, f"{seen} instead of {expected}"[:400]
    return True


if __name__ == "__main__":
    sys.exit(main())
