"""Runs one module of CPython's asyncio tests in this process, and tells what becomes of them.

Started by ``__main__`` with the interpreter under test, which needs nothing installed.
"""

from __future__ import annotations

import argparse
import importlib
import unittest
from collections.abc import Callable, Iterator
from typing import Any

from .tell import Teller

LIMIT = 30
"""Seconds for one test: the longest takes 2 on a machine at leisure."""


class Recorder(unittest.TestResult):
    """Tells what became of each test, and whether it has used a loop of ours."""

    def __init__(self, teller: Teller, count: Callable[[], int]) -> None:
        super().__init__()
        self._teller = teller
        self._count = count
        self._outcome = ""
        self._detail = ""
        self._before = 0  # at the end of the last test: some loops are made before startTest()

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._outcome, self._detail = "passed", ""
        self._teller.begins(_name(test))

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self._teller.ended(_name(test), self._outcome, self._detail, ours=self._count() > self._before)
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
            self._teller.ended(str(test), "failed", traceback, ours=True)


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
    options = parser.parse_args()
    teller = Teller(LIMIT)
    count = lambda: 0  # noqa: E731
    if options.loop == "fasterapi":
        substitute = importlib.import_module("conformance.loop.substitute")
        substitute.install(options.module)
        count = lambda: substitute.Loop.uses  # noqa: E731
    module = importlib.import_module(f"test.test_asyncio.{options.module}")
    tests = _each(unittest.defaultTestLoader.loadTestsFromModule(module))
    unittest.TestSuite(test for test in tests if teller.wants(_name(test))).run(Recorder(teller, count))
    teller.close()


if __name__ == "__main__":
    main()
