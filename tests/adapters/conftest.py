"""Tests of the classes for applications run under this server and under uvicorn: ``serve``, ``shared`` and
``in_process`` start each of them."""

from __future__ import annotations

import pytest

COMMANDS = {"fasterapi": None, "uvicorn": "{python} -m uvicorn"}


@pytest.fixture(scope="session", params=COMMANDS)
def server_name(request: pytest.FixtureRequest) -> str:
    """``fasterapi`` (whatever ``--server-command`` says) or ``uvicorn``."""
    return str(request.param)


@pytest.fixture(scope="session")
def server_command(server_name: str, request: pytest.FixtureRequest) -> str:
    return COMMANDS[server_name] or str(request.config.getoption("--server-command"))
