"""What conformance.autobahn makes of the suite's own report, and of a suite that does not finish its work."""

from __future__ import annotations

import json
import stat

import pytest

from conformance.autobahn.fuzzing_client import Suite
from conformance.autobahn.report import bad_cases, counts, parse, table


def entry(behaviour, close, milliseconds, code):
    return {"behavior": behaviour, "behaviorClose": close, "duration": milliseconds, "remoteCloseCode": code}


# Recorded: Autobahn|Testsuite 25.10.1 against uvicorn 0.54.0, and for 12.1.1 against granian 2.8.7.
RECORDED = {
    "server": {
        "1.1.1": entry("OK", "OK", 5, 1000),
        "10.1.1": entry("OK", "OK", 15, 1000),
        "12.1.1": entry("UNIMPLEMENTED", "OK", 1, 1000),
        "4.1.3": entry("NON-STRICT", "OK", 5, 1002),
        "7.1.5": entry("FAILED", "WRONG CODE", 3, 1002),
        "7.1.6": entry("INFORMATIONAL", "INFORMATIONAL", 12, 1000),
        "9.1.1": entry("OK", "OK", 19, 1000),
    }
}


def recorded(**changed):
    return parse(json.dumps({"server": {**RECORDED["server"], **changed}}))


def test_counts_by_behaviour():
    assert counts(recorded()) == {
        "OK": 3,
        "NON-STRICT": 1,
        "INFORMATIONAL": 1,
        "UNIMPLEMENTED": 1,
        "FAILED": 1,
        "bad close": 1,
    }


def test_every_bad_case_is_listed_in_the_order_of_the_suite():
    assert bad_cases(recorded()) == [
        "4.1.3: NON-STRICT, close OK",
        "7.1.5: FAILED, close WRONG CODE",
        "12.1.1: UNIMPLEMENTED, close OK",
    ]


def test_a_good_message_with_a_bad_close_is_bad():
    results = recorded(**{"1.1.1": entry("OK", "UNCLEAN", 5, None)})
    assert bad_cases(results)[0] == "1.1.1: OK, close UNCLEAN"


def test_a_behaviour_that_is_not_known_is_an_error():
    with pytest.raises(ValueError, match=r"1\.1\.1.*'MAYBE'"):
        recorded(**{"1.1.1": entry("MAYBE", "OK", 5, 1000)})


def test_table():
    line = table({"uvicorn": (recorded(), 2, 61.4)}).splitlines()[-1]
    assert line == "| uvicorn | 7 | 3 | 1 | 1 | 1 | 1 | 1 | 2 | 61 |"


@pytest.fixture
def suite(tmp_path):
    """``suite(script)``: a suite whose interpreter is a shell script, started where the report is to be."""

    def make(script):
        file = tmp_path / "python"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return Suite(str(file), tmp_path)

    return make


def one_run(suite, pattern="7.*", excluded=(), patience=60.0):
    (run,) = suite.run("ws://127.0.0.1:1", [pattern], list(excluded), patience)
    return run


def write_report(cases):
    """A script that announces so many cases and reports the recorded ones."""
    return f"echo 'Ok, will run {cases} test cases'; echo '{json.dumps(RECORDED)}' >index.json"


def test_a_whole_run_has_no_problem(suite):
    run = one_run(suite(write_report(7)))
    assert (len(run.results), run.expected, run.problem) == (7, 7, "")


def test_cases_that_are_missing_from_the_report_are_a_problem(suite):
    run = one_run(suite(write_report(9)))
    assert (len(run.results), run.expected) == (7, 9)
    assert "cases are missing" in run.problem


def test_a_suite_that_does_not_start_is_a_problem(suite):
    run = one_run(suite("echo 'ImportError: no module named autobahn' >&2; exit 1"))
    assert "ImportError: no module named autobahn" in run.problem


def test_a_suite_that_hangs_is_ended(suite):
    run = one_run(suite("sleep 1000"), patience=0.1)
    assert run.problem.startswith("not finished in 0.1 s")
    assert run.results == {}


def test_the_suite_is_told_what_to_run_and_where(suite):
    run = one_run(suite(r"""echo "Ok, will run 1 test cases $(cat fuzzingclient.json)" """), "6.*", ["6.1.1"])
    for part in ('"url": "ws://127.0.0.1:1"', '"cases": ["6.*"]', '"exclude-cases": ["6.1.1"]'):
        assert part in run.problem


def test_a_pattern_that_is_excluded_whole_is_not_run(suite):
    assert list(suite("exit 1").run("ws://127.0.0.1:1", ["12.1.*", "9.*"], ["9.*", "12.*"], 60.0)) == []
