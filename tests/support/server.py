"""Starts one server process on a free port, reads its log, and always ends it.

The command is a template (``--server-command``), so the same tests run against any server with uvicorn's
options.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from support import probe
from support.wire import TIMEOUT, Address, Connection

TESTS = Path(__file__).resolve().parents[1]
START_LIMIT = 30.0
STOP_LIMIT = 15.0
DEFAULT_COMMAND = "{python} -m fasterapi run"
RUNNING = re.compile(
    r"running on (?:https?://(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:\s]+)):(?P<port>\d+)"
    r"|unix socket (?P<path>\S+)|socket )"
)


class NotStarted(AssertionError):
    """The server ended, or said nothing, before it was ready."""


class Watched:
    """A list that grows in other threads and can be waited for."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.changed = threading.Condition()

    def add(self, item: Any) -> None:
        with self.changed:
            self.items.append(item)
            self.changed.notify_all()

    def wait(self, find: Callable[[list[Any]], Any], limit: float) -> Any:
        """The first true answer of ``find``, or None after ``limit`` seconds."""
        deadline = time.monotonic() + limit
        with self.changed:
            while not (found := find(self.items)):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return None
                self.changed.wait(remaining)
            return found


class Probe:
    """The test's end of the line to the application (its end: ``support.probe``)."""

    def __init__(self) -> None:
        self.events = Watched()
        self._peers: list[socket.socket] = []
        self._opened: list[str] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._peers.append(peer)
                for name in self._opened:
                    peer.sendall(repr(name).encode() + b"\n")
            threading.Thread(target=self._read, args=(peer,), daemon=True).start()

    def _read(self, peer: socket.socket) -> None:
        try:
            for line in peer.makefile("rb"):
                self.events.add(ast.literal_eval(line.decode()))
        except OSError:
            pass
        self.events.add({"event": "line-closed", "tag": ""})

    def open(self, name: str) -> None:
        """Opens a gate at which the application waits, or will wait."""
        with self._lock:
            self._opened.append(name)
            for peer in self._peers:
                try:
                    peer.sendall(repr(name).encode() + b"\n")
                except OSError:
                    pass

    def seen(self, event: str, tag: str = "") -> list[dict[str, Any]]:
        with self.events.changed:
            return [item for item in self.events.items if (item["event"], item["tag"]) == (event, tag)]

    def order(self) -> list[str]:
        with self.events.changed:
            return [
                item["event"]
                for item in self.events.items
                if item["event"] not in ("line-closed", "live_objects")
            ]

    def expect(self, event: str, tag: str = "", limit: float = TIMEOUT, count: int = 1) -> dict[str, Any]:
        """Waits for the ``count``-th ``event`` of ``tag`` and returns it."""

        def find(items: list[dict[str, Any]]) -> dict[str, Any] | None:
            found = [item for item in items if (item["event"], item["tag"]) == (event, tag)]
            return found[count - 1] if len(found) >= count else None

        record = self.events.wait(find, limit)
        if record is None:
            told = [item for item in self.events.items if item["tag"] == tag]
            raise AssertionError(f"the application did not say {event!r} within {limit} s; it said {told}")
        return dict(record)

    def drain(self, limit: float = TIMEOUT) -> None:
        """Waits for the rest of what processes that have ended had said."""

        def closed(items: list[dict[str, Any]]) -> bool:
            return sum(item["event"] == "line-closed" for item in items) >= len(self._peers)

        self.events.wait(closed, limit)

    def close(self) -> None:
        self._listener.close()
        for peer in self._peers:
            peer.close()


class ServerProcess:
    """One server process and its children, in a process group of their own."""

    def __init__(
        self, command: str, target: str, options: tuple[str, ...], env: dict[str, str], **popen: Any
    ) -> None:
        self.target = target
        self.probe = Probe()
        self.log = Watched()
        self.output = Watched()
        arguments = shlex.split(command.format(python=shlex.quote(sys.executable)))
        if not {"--port", "--uds", "--fd"} & set(options):
            options = ("--port", "0", *options)
        self.process = subprocess.Popen(
            [*arguments, target, *options],
            cwd=TESTS,
            env=environment(env, self.probe.port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **popen,
        )
        self._readers = [
            threading.Thread(target=_copy, args=(stream, kept), daemon=True)
            for stream, kept in ((self.process.stdout, self.output), (self.process.stderr, self.log))
        ]
        for reader in self._readers:
            reader.start()
        self._address: Address | None = None
        self._running = False
        self._asked_to_end = False
        self.ended = False

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until_running(self) -> None:
        def find(lines: list[str | None]) -> Any:
            for line in lines:
                if line is None:
                    return "ended"
                if match := RUNNING.search(line):
                    return match
            return None

        found = self.log.wait(find, START_LIMIT)
        if not isinstance(found, re.Match):
            raise NotStarted(f"{self.target} is not running ({found or 'silent'}):\n{self.stderr}")
        self._running = True
        if found["port"]:
            self._address = (found["v6"] or found["v4"], int(found["port"]))
        elif found["path"]:
            self._address = found["path"]

    @property
    def address(self) -> Address:
        assert self._address is not None, (
            "no address: the server was given a socket, or has not been waited for"
        )
        return self._address

    def connect(self, **options: Any) -> Connection:
        return Connection(self.address, **options)

    def get(self, target: str | bytes, headers: Any = ()) -> Any:
        """One request on a connection of its own."""
        with self.connect() as connection:
            return connection.ask("GET", target, [*headers, ("Connection", "close")])

    @property
    def stderr(self) -> str:
        with self.log.changed:
            return "".join(line for line in self.log.items if line is not None)

    @property
    def stdout(self) -> str:
        with self.output.changed:
            return "".join(line for line in self.output.items if line is not None)

    def expect_log(self, pattern: str, limit: float = TIMEOUT) -> re.Match[str]:
        """Waits until a line of stderr matches."""

        def find(lines: list[str | None]) -> re.Match[str] | None:
            return next((match for line in lines if line and (match := re.search(pattern, line))), None)

        match = self.log.wait(find, limit)
        if match is None:
            raise AssertionError(f"no {pattern!r} in the log:\n{self.stderr}")
        return match

    def alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, limit: float = STOP_LIMIT) -> int:
        """The exit code; the log and the probe's events are whole afterwards.

        A server that was not waited for has the time to start as well.
        """
        if not self._running:
            limit += START_LIMIT
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server has not ended after {limit} s:\n{self.stderr}") from None
        for reader in self._readers:
            reader.join(STOP_LIMIT)
        self.probe.drain()
        return code

    def terminate(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Ends the server and its children at once, without a word."""
        self.ended = True
        self._kill_all()
        self.probe.close()

    def _kill_all(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def ask_to_end(self) -> None:
        """The first half of ``end``, so that several may end at once."""
        if self.alive() and not self._asked_to_end:
            self._asked_to_end = True
            self.signal(signal.SIGINT)

    def end(self) -> None:
        """Ends the server, by force if it has to; then checks what it left behind."""
        if self.ended:
            return
        self.ended = True
        self.ask_to_end()
        try:
            if self._asked_to_end:
                self.wait()
        finally:
            self._kill_all()
            for reader in self._readers:
                reader.join(STOP_LIMIT)
            self.probe.drain(1.0)
            self.probe.close()
        left = [item["live"] for item in self.probe.seen("live_objects") if item["live"]]
        assert not left, f"native objects left after the server stopped: {left}"


def _copy(stream: IO[bytes], kept: Watched) -> None:
    with stream:
        for line in stream:
            kept.add(line.decode("utf-8", "backslashreplace"))
    kept.add(None)


def environment(extra: dict[str, str], probe_port: int) -> dict[str, str]:
    paths = [str(TESTS), *package_path(), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        probe.PORT: str(probe_port),
        **extra,
    }


def package_path() -> list[str]:
    """Where the child finds the fasterapi that the tests would import: nowhere special if it is installed."""
    spec = importlib.util.find_spec("fasterapi")
    if spec is None:
        return [str(TESTS.parent)]
    return [str(Path(place).parent) for place in spec.submodule_search_locations or ()]
