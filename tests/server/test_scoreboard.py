"""The quick rows of the reliability scoreboard, by the scripts that measure every server (conformance/reliability).

Times, memory and the long waits are for `make conformance`; S4, S5 and S15 have tests of their own beside this.
"""

from __future__ import annotations

import functools
import sys

import pytest

from conformance.reliability import aborts, bad_applications, disconnects, gone_clients, log_injection, server


@pytest.fixture
def start(server_command):
    return functools.partial(server.start, server_command, sys.executable)


def misses(row, outcome):
    """The figures that miss their target, and what the row says about them."""
    missed = [
        f"{figure.name}: {value:g}"
        for figure, value in zip(row.figures, outcome.values, strict=True)
        if not figure.met(value)
    ]
    return [*missed, *outcome.notes]


def test_S2_applications_that_misbehave(start):
    assert misses(bad_applications.ROW, bad_applications.measure(start)) == []


def test_S6_send_after_the_client_left(start):
    assert misses(gone_clients.ROW, gone_clients.measure(start)) == []


def test_S7_half_closed_clients_are_answered(start):
    with start() as running:
        assert disconnects.half_closed(running) == disconnects.HALF_CLOSED


def test_S17_what_clients_say_cannot_write_to_the_log(start):
    assert misses(log_injection.ROW, log_injection.measure(start)) == []


def test_S25_clients_that_break_off_leave_nothing(start):
    assert misses(aborts.ROW, aborts.measure(start, aborts=300)) == []
