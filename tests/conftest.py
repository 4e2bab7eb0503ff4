"""Fixtures of every test that needs a running server; see ``support``."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent
for place in (TESTS, TESTS.parent):
    if str(place) not in sys.path:
        sys.path.append(str(place))

from support.inprocess import InProcess  # noqa: E402
from support.server import DEFAULT_COMMAND, ServerProcess  # noqa: E402

pytest.register_assert_rewrite("support.checks")


def pytest_configure() -> None:
    """Undoes what a shell does to a command in the background: SIGINT ignored, also by every child."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files run side by side (scripts/test), the longest must not be left for the end: it builds the wheel."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path.name != "test_install.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server-command",
        default=os.environ.get("TEST_SERVER_COMMAND", DEFAULT_COMMAND),
        help="command that starts the server under test; the application and options follow it. {python} is "
        f"this interpreter. Default: TEST_SERVER_COMMAND or {DEFAULT_COMMAND!r}; the peer: "
        "'{python} -m uvicorn'",
    )


@pytest.fixture(scope="session")
def server_command(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--server-command"))


@pytest.fixture
def tag() -> str:
    """Marks what the application says about this test's requests."""
    return uuid.uuid4().hex


@pytest.fixture
def serve(server_command: str) -> Iterator[Callable[..., ServerProcess]]:
    """``serve("apps.module:app", "--option", …)`` starts a server of this test's own.

    ``wait=False`` returns at once, for servers that are not to become ready. ``env`` adds variables.
    """
    started: list[ServerProcess] = []

    def start(
        target: str, *options: str, wait: bool = True, env: dict[str, str] | None = None, **popen: Any
    ) -> ServerProcess:
        server = ServerProcess(server_command, target, options, env or {}, **popen)
        started.append(server)
        if wait:
            server.wait_until_running()
        return server

    yield start
    for server in started:
        server.end()


@pytest.fixture(scope="session")
def shared_servers(server_command: str) -> Iterator[dict[Any, ServerProcess]]:
    servers: dict[Any, ServerProcess] = {}
    yield servers
    for server in servers.values():
        server.ask_to_end()
    for server in servers.values():
        server.end()


@pytest.fixture
def shared(
    server_command: str, shared_servers: dict[Any, ServerProcess]
) -> Iterator[Callable[..., ServerProcess]]:
    """As ``serve``, but one server for all tests that ask for the same; it must live through each of them."""
    used: list[Any] = []

    def get(target: str, *options: str, env: dict[str, str] | None = None) -> ServerProcess:
        key = (target, options, *(env or {}).items())
        if key not in shared_servers:
            server = ServerProcess(server_command, target, options, env or {})
            try:
                server.wait_until_running()
            except BaseException:
                server.end()
                raise
            shared_servers[key] = server
        used.append(key)
        return shared_servers[key]

    yield get
    for key in set(used):
        if not shared_servers[key].alive():
            server = shared_servers.pop(key)
            server.end()
            code = server.process.returncode
            pytest.fail(f"the server ended with {code} during this test:\n{server.stderr[-4000:]}")


@pytest.fixture
def server(shared: Callable[..., ServerProcess]) -> ServerProcess:
    """The server of ``apps.scenarios``, with uvicorn's defaults."""
    return shared("apps.scenarios:app")


@pytest.fixture
def in_process(server_command: str) -> Iterator[Callable[..., InProcess]]:
    """``in_process(app, **config)`` runs the server in a thread of this process.

    After the test no native object may be alive.
    """
    started: list[InProcess] = []
    module = "uvicorn" if "uvicorn" in server_command else "fasterapi"

    def start(app: Any, **config: Any) -> InProcess:
        server = InProcess(module, app, **config)
        started.append(server)
        return server

    yield start
    try:
        for server in started:
            server.stop()
    finally:
        started.clear()
    InProcess.check_nothing_lives(module)
