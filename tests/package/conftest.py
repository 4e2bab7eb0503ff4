"""Fixtures for the command line and the Python interface: a folder with the user's files, a server process in it."""

from __future__ import annotations

import logging
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commandline import HELLO, PACKAGE, Process

Project = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """``project(**{"app.py": text})`` writes files into an empty folder and returns it. hello.py is always there."""

    def write(**files: str) -> Path:
        for name, text in {"hello.py": HELLO, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return tmp_path

    return write


@pytest.fixture
def start(project: Project) -> Iterator[Callable[..., Process]]:
    """``start("hello:app", "--port", "0", files={...}, env={...})``: a server process in the project's folder.

    ``script=`` runs that Python text instead of the command line.
    """
    started: list[Process] = []

    def begin(
        *arguments: str,
        files: dict[str, str] | None = None,
        env: dict[str, str] | None = None,
        script: str | None = None,
        **popen: object,
    ) -> Process:
        folder = project(**(files or {}))
        command = [sys.executable, "-m", "fasterapi", *arguments]
        if script is not None:
            (folder / "script.py").write_text(textwrap.dedent(script))
            command = [sys.executable, "script.py", *arguments]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FASTERAPI_")}
        clean.pop("PYTHONUNBUFFERED", None)
        path = [str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**clean, "PYTHONPATH": os.pathsep.join(path), **(env or {})}
        process = Process(command, folder, environment, **popen)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.end()


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Leaves the server's loggers as they were: a Config made in the test process changes them."""
    names = ("fasterapi", "fasterapi.error", "fasterapi.access", "fasterapi.asgi")
    kept = [
        (log, log.level, log.handlers[:], log.filters[:], log.propagate)
        for log in map(logging.getLogger, names)
    ]
    yield
    for log, level, handlers, filters, propagate in kept:
        log.setLevel(level)
        log.handlers, log.filters, log.propagate = handlers, filters, propagate
