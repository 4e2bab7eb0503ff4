"""``conformance.parity`` finds no difference from uvicorn that it does not explain."""

from __future__ import annotations

from support import conformance


@conformance.within_limit
def test_answers_are_those_of_uvicorn(server_command):
    conformance.passes("parity", "--server-command", server_command)
