"""The application's end of the line to its test.

An application imports this module; it connects to the port in TEST_PROBE_PORT. ``say`` tells the test what
the application has seen, ``gate`` waits until the test opens a gate by name. Lines are Python literals, so
bytes, tuples and None arrive as they were sent. When the test process has gone, so does the server: no run
leaves one behind.
"""

from __future__ import annotations

import ast
import asyncio
import atexit
import gc
import os
import socket
import sys
import threading
from typing import Any

PORT = "TEST_PROBE_PORT"
GATE_LIMIT = 60.0


class _Line:
    """One process's connection to the test, with the gates opened so far."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.any_opened = threading.Condition(self.lock)
        self.opened: set[str] = set()
        self.waiting: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]]] = {}
        self.socket = socket.create_connection(("127.0.0.1", int(os.environ[PORT])))
        threading.Thread(target=self._read, args=(self.socket.makefile("rb"),), daemon=True).start()

    def write(self, line: str) -> None:
        with self.lock:
            self.socket.sendall(line.encode() + b"\n")

    def _read(self, lines: Any) -> None:
        for line in lines:
            self._open(ast.literal_eval(line.decode()))
        os._exit(86)

    def _open(self, name: str) -> None:
        with self.lock:
            self.opened.add(name)
            self.any_opened.notify_all()
            waiting = self.waiting.pop(name, [])
        for loop, future in waiting:
            loop.call_soon_threadsafe(_finish, future)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


_line: _Line | None = None


def _current() -> _Line | None:
    global _line
    if PORT in os.environ and (_line is None or _line.pid != os.getpid()):
        _line = _Line()
    return _line


def say(event: str, tag: str = "", **fields: Any) -> None:
    """Tells the test of ``event``; ``tag`` says which request it belongs to."""
    record = {"event": event, "tag": tag, "pid": os.getpid(), **fields}
    line = _current()
    if line is None:
        print(record, file=sys.stderr)
    else:
        line.write(repr(record))


async def gate(name: str) -> None:
    """Waits until the test has opened ``name``; raises TimeoutError when it never does."""
    line = _current()
    if line is None:
        return
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    with line.lock:
        if name in line.opened:
            return
        line.waiting.setdefault(name, []).append((loop, future))
    await asyncio.wait_for(future, GATE_LIMIT)


def block(name: str) -> None:
    """The same, and the event loop stands still meanwhile."""
    line = _current()
    if line is not None:
        with line.any_opened:
            if not line.any_opened.wait_for(lambda: name in line.opened, GATE_LIMIT):
                raise TimeoutError(name)


def _report_live_objects() -> None:
    native = sys.modules.get("fasterapi._native")
    if native is not None:
        gc.collect()
        say("live_objects", live=native.live_objects())


if PORT in os.environ:
    _current()
    atexit.register(_report_live_objects)
