"""What all runs in Chromium share: options, and a line for each check."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--browser", default="chromium", help="a Chromium (default: %(default)s)")
    parser.add_argument(
        "--patience", type=float, default=60.0, help="seconds for each thing to happen (default: %(default)s)"
    )


class Checks:
    """Those that were run, counted."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def run(self, name: str, test: Callable[[], Any]) -> None:
        """Passes if it returns something true."""
        try:
            seen = test()
        except Exception as error:
            seen = None
            print(f"        {type(error).__name__}: {error}")
        passed = bool(seen)
        self.passed += passed
        self.failed += not passed
        print(f"{'passed' if passed else 'FAILED':8}{name}")

    def report(self) -> int:
        """The exit code."""
        print(f"{self.passed} of {self.passed + self.failed} checks passed")
        return int(self.failed > 0 or self.passed == 0)
