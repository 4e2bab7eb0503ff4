"""A plugin of pytest's: runs the tests of rows only, and writes how each ended to a file.

A test for which the peer lacks an option, or whose extension it does not advertise, has not failed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from .launch import MISSING_FILE
from .rows import rows_of

PASSED, FAILED, MISSING, UNADVERTISED = "passed", "failed", "option missing", "not advertised"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--row-results", required=True, help="file for the results, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Collector(Path(config.getoption("--row-results"))))


class Collector:
    """One run's results."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.missing = file.with_suffix(".missing")
        os.environ[MISSING_FILE] = str(self.missing)
        self.results: list[dict[str, Any]] = []
        self.failed: set[str] = set()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept = [item for item in items if rows_of(item.nodeid)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Passes over the other tests of a row that has failed: what hangs once may hang long and often."""
        rows = rows_of(item.nodeid)
        if self.failed.issuperset(rows):
            pytest.skip("its row has failed")
        self.missing.write_text("")
        self.results.append({"test": item.nodeid, "rows": rows, "outcome": PASSED, "why": ""})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if report.skipped:
            return report
        result = self.results[-1]
        # How a server is taken down is no part of a row, unless it went down by itself.
        counts = call.when != "teardown" or (
            call.excinfo and call.excinfo.errisinstance(pytest.fail.Exception)
        )
        missing = self.missing.read_text().split("\n")[0]
        if result["outcome"] == PASSED and missing:
            result.update(outcome=MISSING, why=missing)
        elif result["outcome"] == PASSED and report.failed and counts and call.excinfo:
            unadvertised = call.excinfo.typename == "NotAdvertised"
            result.update(outcome=UNADVERTISED if unadvertised else FAILED, why=call.excinfo.exconly())
            if not unadvertised:
                self.failed.update(result["rows"])
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Any:
        """A server that failed a test is not asked again: what it does then may be of that."""
        yield
        servers = getattr(item, "funcargs", {}).get("shared_servers")
        if servers and self.results and self.results[-1]["outcome"] == FAILED:
            for server in servers.values():
                server.kill()
            servers.clear()

    def pytest_sessionfinish(self) -> None:
        self.missing.unlink(missing_ok=True)
        self.file.write_text(json.dumps(self.results, indent=1))
