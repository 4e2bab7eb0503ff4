"""What conformance/loop makes of a suite's results on two loops."""

from __future__ import annotations

import pytest

from conformance.loop.follow import Results, compare, conclude


def result(outcome: str, **more: bool) -> Results:
    return {"test": {"outcome": outcome, "detail": "why", "ours": True, **more}}


PASSED, FAILED, SKIPPED = result("passed"), result("failed"), result("skipped")


@pytest.mark.parametrize(
    ("ours", "theirs", "known", "what"),
    [
        (PASSED, PASSED, {}, "passed on our loop"),
        (PASSED, FAILED, {}, "passed on our loop"),
        (result("passed", ours=False), PASSED, {}, "passed without one"),
        (FAILED, FAILED, {}, "failed with asyncio too"),
        (FAILED, PASSED, {"test": "reason"}, "different for a reason"),
        (result("failed", passed_again=True), PASSED, {}, "failed once and passed by itself"),
    ],
)
def test_results_that_are_expected(ours, theirs, known, what):
    counts = compare("suite", ours, theirs, known, verbose=False)
    assert counts == {what: 1}
    assert conclude(counts) == 0


@pytest.mark.parametrize(
    ("ours", "theirs", "known", "what"),
    [
        (FAILED, PASSED, {}, "unexpectedly failed"),
        (result("failed", passed_again=False), PASSED, {}, "unexpectedly failed"),
        (SKIPPED, PASSED, {}, "unexpectedly skipped"),
        (FAILED, {}, {}, "unexpectedly failed"),
        (PASSED, PASSED, {"test": "reason"}, "unexpectedly passed"),
        ({}, PASSED, {}, "unexpectedly missing"),
        ({}, {}, {"test": "reason"}, "unexpectedly missing"),
    ],
)
def test_results_that_are_not(ours, theirs, known, what, capsys):
    counts = compare("suite", ours, theirs, known, verbose=False)
    assert counts == {what: 1}
    assert f"{what}: suite.test" in capsys.readouterr().out
    assert conclude(counts) == 1


def test_nothing_run_is_no_success():
    assert conclude(compare("suite", {}, {}, {}, verbose=False)) == 1
