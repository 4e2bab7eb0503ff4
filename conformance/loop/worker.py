"""Runs one module of CPython's asyncio tests in this process; a line of JSON on stdout for each test.

Started by ``__main__`` with the interpreter under test, which needs nothing installed.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import json
import os
import sys
import unittest
from collections.abc import Iterator
from typing import Any

LIMIT = 30
"""Seconds for one test: the longest takes 2 on a machine at leisure. After them the process ends with
everybody's traceback: the test hangs."""


class Recorder(unittest.TestResult):
    """Tells what became of each test, and whether it has made a loop of ours."""

    def __init__(self, out: Any, count: Any) -> None:
        super().__init__()
        self._out = out
        self._count = count
        self._outcome = ""
        self._detail = ""
        self._before = 0  # at the end of the last test: some loops are made before startTest()

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._outcome, self._detail = "passed", ""
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        self._tell({"begins": _name(test)})

    def stopTest(self, test: unittest.TestCase) -> None:
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)
        self._tell(
            {
                "test": _name(test),
                "outcome": self._outcome,
                "detail": self._detail,
                "ours": self._count() > self._before,
            }
        )
        self._before = self._count()

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self._failed(test, self.errors[-1][1])

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self._failed(test, self.failures[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._failed(test, self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._outcome, self._detail = "skipped", reason

    def _failed(self, test: unittest.TestCase, traceback: str) -> None:
        self._outcome, self._detail = "failed", traceback
        if not isinstance(test, unittest.TestCase):  # setUpClass, tearDownModule
            self._tell({"test": str(test), "outcome": "failed", "detail": traceback, "ours": True})

    def _tell(self, line: dict[str, Any]) -> None:
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()


def _name(test: unittest.TestCase) -> str:
    """``Class.test_method``."""
    return ".".join(test.id().rsplit(".", 2)[-2:])


def _each(suite: Any) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from _each(item)
        else:
            yield item


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("--loop", choices=["fasterapi", "asyncio"], required=True)
    parser.add_argument("--only", default="", help="names, with commas between")
    parser.add_argument("--without", default="", help="names, with commas between")
    options = parser.parse_args()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the tests print goes elsewhere
    if options.loop == "fasterapi":
        substitute = importlib.import_module("conformance.loop.substitute")
        substitute.install(options.module)
        recorder = Recorder(out, lambda: substitute.Loop.made)
    else:
        recorder = Recorder(out, lambda: 0)
    module = importlib.import_module(f"test.test_asyncio.{options.module}")
    only, without = (set(filter(None, names.split(","))) for names in (options.only, options.without))
    tests = [
        test
        for test in _each(unittest.defaultTestLoader.loadTestsFromModule(module))
        if (not only or _name(test) in only) and _name(test) not in without
    ]
    unittest.TestSuite(tests).run(recorder)
    out.flush()
    sys.stderr.flush()
    os._exit(0)  # threads that a failed test has left behind do not matter any more


if __name__ == "__main__":
    main()
