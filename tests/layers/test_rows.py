"""Every row of conformance/asgi/rows.txt has a test of its id, or says why it has none. Reads names only."""

from __future__ import annotations

import pytest

from conformance.asgi.rows import named_in_tests, read_rows, rows_of

ROWS = read_rows()


def test_each_row_has_a_test_or_a_reason():
    named = named_in_tests()
    assert [row.id for row in ROWS.values() if not (row.later or row.untestable or row.id in named)] == []


def test_what_comes_later_is_not_there():
    named = named_in_tests()
    assert [row.id for row in ROWS.values() if row.later and row.id in named] == []


def test_no_test_is_of_a_row_that_does_not_exist():
    assert {row: files for row, files in named_in_tests().items() if row not in ROWS} == {}


@pytest.mark.parametrize(
    ("test", "rows"),
    [
        ("tests/asgi/test_x.py::test_A09_wrong_types", ["A09"]),
        ("tests/asgi/test_x.py::test_A09_wrong_types[A09b_name_str]", ["A09b"]),
        ("tests/asgi/test_x.py::test_A09_wrong_types[A1000-str]", ["A09"]),
        ("tests/asgi/test_x.py::test_H29_H30_are_of_each_connection", ["H29", "H30"]),
        ("tests/asgi/test_A01.py::test_wrong_types", []),
    ],
)
def test_rows_of_a_name(test, rows):
    assert rows_of(test) == rows
