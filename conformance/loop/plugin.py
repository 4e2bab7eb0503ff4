"""Pytest plugin for ``packages.py``: puts fasterapi's loop in place, or not, and tells what becomes of each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .substitute import Loop, replace_classes
from .tell import Teller

LIMIT = 120
"""Seconds for one test: the longest takes 10 on a machine at leisure."""

teller = Teller(LIMIT)  # pytest captures the descriptors before the first of its hooks


class Recorder:
    """Joins the reports of a test's phases."""

    def __init__(self) -> None:
        self._outcome, self._detail = "", ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._outcome, self._detail = "passed", ""
        before = Loop.uses
        teller.begins(item.nodeid)
        told = yield
        teller.ended(item.nodeid, self._outcome, self._detail, ours=Loop.uses > before)
        return told

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._outcome, self._detail = "failed", self._detail + report.longreprtext
        elif report.skipped and self._outcome == "passed":
            self._outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"
            self._detail = getattr(report, "wasxfail", str(report.longrepr))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            teller.ended(report.nodeid, report.outcome, str(report.longrepr), ours=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--loop", choices=["fasterapi", "asyncio"], required=True)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--loop") == "fasterapi":
        replace_classes()
    config.pluginmanager.register(Recorder())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if teller.wants(item.nodeid)]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        teller.close()
