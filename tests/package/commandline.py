"""A server process started as a user would start it, and requests to it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import IO

import pytest

import fasterapi

LIMIT = 20.0
RUNNING = re.compile(r"FasterAPI running on (?P<place>\S+)")
PACKAGE = Path(fasterapi.__file__).absolute().parents[1]

HELLO = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})
"""


class Process:
    """``python -m fasterapi`` or another command, with its output as it comes."""

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str], **popen: object) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self.cwd = cwd
        self._changed = threading.Condition()
        self._open = 2
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **popen,  # type: ignore[call-overload]
        )
        for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            threading.Thread(target=self._read, args=(stream, lines), daemon=True).start()

    def _read(self, stream: IO[bytes], lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line.decode().rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self.process.pid

    def expect(self, pattern: str, lines: list[str] | None = None, limit: float = LIMIT) -> re.Match[str]:
        """Waits for a line of stderr, or of ``lines``, that matches."""
        lines = self.err if lines is None else lines

        def find() -> re.Match[str] | None:
            return next((match for line in lines if (match := re.search(pattern, line))), None)

        end = time.monotonic() + limit
        with self._changed:
            while not (match := find()):
                if self._open == 0 or not self._changed.wait(max(0.0, end - time.monotonic())):
                    raise AssertionError(f"no {pattern!r} in\n" + "\n".join(self.err + self.out))
        return match

    @property
    def port(self) -> int:
        """The port in the log; waits until the server runs."""
        place = self.expect(RUNNING.pattern)["place"]
        return int(place.rpartition(":")[2])

    def get(self, path: str = "/") -> tuple[int, bytes]:
        return get(self.port, path)

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, limit: float = LIMIT) -> int:
        """The exit code; ``out`` and ``err`` are whole afterwards."""
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running after\n" + "\n".join(self.err + self.out)) from None
        with self._changed:
            assert self._changed.wait_for(lambda: self._open == 0, LIMIT)
        return code

    def stop(self, number: int = signal.SIGINT) -> int:
        self.expect(RUNNING.pattern)
        self.send(number)
        return self.wait()

    def end(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def get(port: int, path: str = "/") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def get_from(listener: socket.socket) -> bytes:
    """The whole answer of whoever listens on ``listener``."""
    with socket.socket(listener.family, socket.SOCK_STREAM) as peer:
        peer.settimeout(LIMIT)
        peer.connect(listener.getsockname())
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := peer.recv(65536):
            answer += data
        return answer


def loop_or_skip(loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
