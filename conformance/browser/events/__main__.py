"""Chromium, headless, uses ``fasterapi.js`` with event streams: binary events, and channels that are added, dropped and kept over a
lost connection.

Prints a line for each check of ``page.html``. The exit code is 1 if one failed or the page did not come to its end.
"""

from __future__ import annotations

import sys
from pathlib import Path

from conformance.browser.__main__ import arguments, visit
from conformance.http1.serving import serving

FOLDER = Path(__file__).resolve().parent
CHECKS = 7
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


if __name__ == "__main__":
    sys.exit(main())
