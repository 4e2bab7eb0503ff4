"""The child's half of a run: which tests are wanted, and what has become of each, a line of JSON on stdout.

``follow.py`` is the other half. Whatever the tests print goes to stderr.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from typing import Any, NoReturn


class Teller:
    """Made before anything replaces the descriptors 0 to 2; there is one in a process."""

    def __init__(self, limit: int) -> None:
        """``limit``: seconds for one test. After them the process ends with everybody's traceback: the test hangs."""
        selection = json.load(sys.stdin)
        self._only = set(selection["only"])
        self._without = set(selection["without"])
        self._limit = limit
        self._out = os.fdopen(os.dup(1), "w")
        self._errors = os.fdopen(os.dup(2), "w")
        os.dup2(2, 1)

    def wants(self, test: str) -> bool:
        return (not self._only or test in self._only) and test not in self._without

    def begins(self, test: str) -> None:
        faulthandler.dump_traceback_later(self._limit, exit=True, file=self._errors)
        self._tell({"begins": test})

    def ended(self, test: str, outcome: str, detail: str, ours: bool) -> None:
        """``outcome``: passed, failed, skipped, xfailed. ``ours``: a loop of ours has been made or has run."""
        faulthandler.cancel_dump_traceback_later()
        self._tell({"test": test, "outcome": outcome, "detail": detail, "ours": ours})

    def close(self) -> NoReturn:
        """Ends the process: threads that a failed test has left behind do not matter any more."""
        sys.stderr.flush()
        os._exit(0)

    def _tell(self, line: dict[str, Any]) -> None:
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()
