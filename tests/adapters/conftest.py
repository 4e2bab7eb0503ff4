"""Tests of the classes for applications run under this server and under uvicorn: ``serve``, ``shared`` and
``in_process`` start each of them."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.redis_server import RedisServer

from fasterapi.loop import new_event_loop

COMMANDS = {"fasterapi": None, "uvicorn": "{python} -m uvicorn"}
# A sanitizer (scripts/test) looks at what is ours.
SERVERS = [name for name in COMMANDS if name == "fasterapi" or "FASTERAPI_SANITIZER" not in os.environ]
LIMIT = 60.0
"""Seconds that one coroutine of a test may take."""


@pytest.fixture(scope="session", params=SERVERS)
def server_name(request: pytest.FixtureRequest) -> str:
    """``fasterapi`` (whatever ``--server-command`` says) or ``uvicorn``."""
    return str(request.param)


@pytest.fixture(scope="session")
def server_command(server_name: str, request: pytest.FixtureRequest) -> str:
    return COMMANDS[server_name] or str(request.config.getoption("--server-command"))


@pytest.fixture(params=["asyncio", "fasterapi"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """``run(coroutine)`` in asyncio's own loop and in ours; afterwards no task may be left."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        loop = asyncio.SelectorEventLoop() if request.param == "asyncio" else new_event_loop()
        try:
            result = loop.run_until_complete(asyncio.wait_for(main, LIMIT))
            left = asyncio.all_tasks(loop)
            assert not left, left
            return result
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    return run


@pytest.fixture
def seed() -> int:
    """Of what a test makes up; told where it fails."""
    chosen = random.randrange(2**32)
    print(f"seed {chosen}")
    return chosen


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that runs."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One for all tests that leave it running."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def meeting_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where ``host://`` Broadcasters of this test meet; a Unix socket's path has at most 107 bytes."""
    directory = tempfile.mkdtemp()
    monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
    yield Path(directory)
    shutil.rmtree(directory)
