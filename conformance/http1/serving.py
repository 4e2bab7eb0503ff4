"""Starts a server and ends it."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from support.wire import Connection

from benchmarks.process import free_port, stop
from conformance.reliability.servers import SUBJECT, command

FOLDER = Path(__file__).resolve().parent
HOST = "127.0.0.1"
APPLICATION = "echo:app"
READY_WITHIN = 30.0


class NotServing(Exception):
    """The server ended, or was not ready in time; the text is what it wrote."""


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server-command",
        default=SUBJECT,
        help="name of a server or command that starts one, with {python}, {app} and {port}; without {app} the "
        "application and --port follow it as uvicorn takes them (default: %(default)s)",
    )
    parser.add_argument(
        "--python", type=os.path.abspath, default=sys.executable, help="the interpreter that has it"
    )


@contextlib.contextmanager
def serving(server: str, python: str, apps: Path = FOLDER) -> Iterator[tuple[str, int]]:
    """The address at which a server, by its name or a template (``reliability.servers``), serves the
    ``echo.py`` of the folder.

    Raises NotServing.
    """
    port = free_port()
    # This folder and not the tree's root, where an installed fasterapi would be hidden by its source.
    paths = [str(apps), *filter(None, [os.environ.get("PYTHONPATH")])]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command(server, python, APPLICATION, port),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            if not _wait_until_ready(process, port):
                output.seek(0)
                raise NotServing(output.read().decode(errors="replace")[-2000:])
            yield HOST, port
        finally:
            stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    """An answer and not only a connection: some servers listen before their worker has begun."""
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with Connection((HOST, port)) as connection:
                return bool(connection.get("/").status == 200)
        except (OSError, AssertionError):
            time.sleep(0.05)
    return False
