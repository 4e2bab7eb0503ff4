"""One server under measurement: its start and end, its log, and what its processes use (Linux, /proc)."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from support import probe
from support.server import Probe, package_path
from support.wire import Connection, Malformed, Response, Silence, Truncated

from benchmarks.process import cpu_time, free_port, process_tree, resident_bytes
from conformance.reliability import servers

ROOT = Path(__file__).resolve().parents[2]
APP = "conformance.reliability.apps:app"
READY_WITHIN = 30.0
STOP_WITHIN = 1.0  # how it stops is not measured here


class NotServing(AssertionError):
    """The server ended, or does not answer."""


class Server:
    """A running server; made by ``start``."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: IO[bytes], line: Probe) -> None:
        self.process = process
        self.port = port
        self.probe = line
        self._log = log

    def connect(self, **options: Any) -> Connection:
        return Connection(("127.0.0.1", self.port), **options)

    def get(self, path: str) -> Response:
        """One request on a connection of its own."""
        with self.connect() as connection:
            return connection.ask("GET", path, [("Connection", "close")])

    def answers(self) -> bool:
        """Whether a new connection is answered."""
        try:
            return self.get("/hello").status == 200
        except (OSError, Silence, Truncated, Malformed):
            return False

    def log(self) -> bytes:
        """Standard output and standard error so far."""
        return os.pread(self._log.fileno(), 1 << 30, 0)

    def processes(self) -> set[int]:
        return set(process_tree(self.process.pid)) if self.process.poll() is None else set()

    def memory(self) -> int:
        """Resident bytes."""
        return int(resident_bytes(self.process.pid))

    def cpu(self) -> float:
        """Seconds of CPU time so far."""
        used = cpu_time(self.process.pid)
        return float(used.user + used.system)

    def files(self) -> int:
        """Open descriptors."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.processes())

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NotServing(f"not ready:\n{self.log()[-2000:].decode(errors='replace')}")
            time.sleep(0.05)

    def end(self) -> None:
        """Politely first; then whatever is left of its process group."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_WITHIN)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.probe.close()


@contextlib.contextmanager
def start(
    server: str,
    python: str,
    app: str = APP,
    files: int | None = None,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Starts ``server``, a name or a template (``servers``), and waits until it answers."""
    line = Probe()
    port = free_port()
    paths = [*package_path(), str(ROOT), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        probe.PORT: str(line.port),
        **(environment or {}),
    }

    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        running = Server(
            subprocess.Popen(
                [*servers.command(server, python, app, port), *options],
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=limit,
            ),
            port,
            log,
            line,
        )
        try:
            running.wait_until_ready()
            yield running
        finally:
            running.end()
