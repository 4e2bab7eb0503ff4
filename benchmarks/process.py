"""Runs one server in a process group of its own, pinned, and reads what its process tree used from /proc."""

import contextlib
import http.client
import os
import random
import resource
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.peers import Server, environment

HOST = "127.0.0.1"
# Long enough for the slowest import on a busy machine; a server that needs more is broken.
READY_WITHIN = 30.0
STOP_WITHIN = 5.0
# Descriptors a process needs besides its connections.
SPARE_FILES = 200

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Failed(Exception):
    """A server, or the load on it, did not do what the row asks.

    `reason` is for the report; the server's own last words are for stderr, since they name local paths.
    """

    def __init__(self, reason: str, output: str = "") -> None:
        super().__init__(reason + output)
        self.reason = reason


@dataclass(frozen=True)
class Cpu:
    """CPU seconds."""

    user: float
    system: float

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(self.user - other.user, self.system - other.system)


@dataclass(frozen=True)
class Where:
    """What the run was asked to use: the interpreter, the limit's executable, the two CPUs."""

    python: str
    limit: Path
    server_cpu: int
    client_cpu: int

    @property
    def websocket_load(self) -> Path:
        """The load client of the WebSocket rows, built beside the limit."""
        return self.limit.with_name("fasterapi_websocket_load")


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the third on, or None if the process has gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def process_tree(root: int) -> list[int]:
    """The root and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))):
            children.setdefault(int(fields[1]), []).append(int(entry))
    tree = [root]
    for pid in tree:
        tree.extend(children.get(pid, ()))
    return tree


def cpu_time(root: int) -> Cpu:
    """CPU time of the tree so far: every thread, and every child already waited for."""
    user = system = 0
    for pid in process_tree(root):
        if fields := _stat(pid):
            user += int(fields[11]) + int(fields[13])
            system += int(fields[12]) + int(fields[14])
    return Cpu(user / _TICKS_PER_SECOND, system / _TICKS_PER_SECOND)


def resident_bytes(root: int) -> int:
    """Resident memory of the tree. Pages that two of its processes share count twice."""
    total = 0
    for pid in process_tree(root):
        if fields := _stat(pid):
            total += int(fields[21]) * _PAGE
    return total


def allow_files(connections: int) -> None:
    """Raise the limit of open files, for this process and the servers and clients it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(
            f"the hard limit of open files is {hard}; {wanted} are needed (or use --connections)"
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def free_port() -> int:
    """A port nobody listens on just now, below those that the kernel gives to whoever asks for any: it stays free
    until the server listens, whatever connects meanwhile."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(lowest // 2, lowest)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


@dataclass
class Running:
    """A server that was started; `port` is where it listens."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    started: float
    output: IO[bytes]

    @property
    def pid(self) -> int:
        """The root of its process tree."""
        return self.process.pid

    def fail(self, reason: str) -> Failed:
        """The failure to raise, with the last lines the server wrote."""
        self.output.seek(0)
        lines = self.output.read().decode(errors="replace").strip().splitlines()[-15:]
        return Failed(f"{self.name}: {reason}", "".join(f"\n    {line}" for line in lines))

    def request(self, method: str, body: bytes | None, timeout: float) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=timeout)
        try:
            connection.request(method, "/", body=body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def wait_until_ready(self, poll: float = 0.02) -> float:
        """Wait for the first answer; the seconds since the start.

        An answer and not only a connection: some servers listen before their worker has begun.
        """
        while time.monotonic() - self.started < READY_WITHIN:
            if self.process.poll() is not None:
                raise self.fail(f"ended with code {self.process.returncode} instead of serving")
            try:
                self.request("GET", None, timeout=READY_WITHIN)
                return time.monotonic() - self.started
            except (OSError, http.client.HTTPException):
                time.sleep(poll)
        raise self.fail(f"not ready within {READY_WITHIN:.0f} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server, politely first; then whatever is left of its process group."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WITHIN)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def running(server: Server, app: str, where: Where, extra: tuple[str, ...] = ()) -> Iterator[Running]:
    """Start the server pinned to its CPU and stop it on leaving. It may not be ready yet."""
    port = 0 if server.prints_port else free_port()
    command = [*server.command(where.python, where.limit, app, port), *extra]
    # An empty folder to run in: granian, for one, would take this one for the package that it is.
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if server.prints_port else output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {where.server_cpu}),
        )
        try:
            if process.stdout:
                port = int(process.stdout.readline() or b"0")
            yield Running(server.name, process, port, started, output)
        finally:
            stop(process)
            if process.stdout:
                process.stdout.close()
