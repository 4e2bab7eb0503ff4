"""Several workers: who is started, replaced and ended when, and that no request is lost on the way."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.server import START_LIMIT, ServerProcess
from support.wire import TIMEOUT, Connection

Serve = Callable[..., ServerProcess]


@pytest.fixture
def workers(serve: Serve, tmp_path: Path) -> Callable[..., ServerProcess]:
    """``workers(2, "--option", …)``: a server of so many workers that are all up."""

    def start(count: int, *options: str, **given: Any) -> ServerProcess:
        env = {"WORKERS_FOLDER": str(tmp_path)}
        server = serve("apps.workers:app", "--workers", str(count), *options, env=env, **given)
        if given.get("wait", True):
            server.probe.expect("startup", limit=START_LIMIT, count=count)
        return server

    return start


def pids(server: ServerProcess, event: str = "startup") -> list[int]:
    """The processes that have said ``event``, in order."""
    return [record["pid"] for record in server.probe.seen(event)]


def answering(server: ServerProcess, count: int) -> set[int]:
    """The processes that answer new connections, once there are ``count``."""
    found: set[int] = set()
    for _ in range(1000):
        found.add(int(server.get("/").body))
        if len(found) == count:
            return found
    raise AssertionError(f"only {found} answer:\n{server.stderr}")


class Client(threading.Thread):
    """Asks for its server's process again and again, on one connection as long as it may, or on new ones."""

    def __init__(self, server: ServerProcess, *, keep: bool) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.keep = keep
        self.ends = threading.Event()
        self.answers: list[int] = []
        self.failures: list[tuple[int | None, Exception]] = []
        """With the process that the connection had been answered by before."""

    def run(self) -> None:
        while not self.ends.is_set():
            last: int | None = None
            try:
                with self.server.connect() as connection:
                    while not self.ends.is_set():
                        headers = [] if self.keep else [("Connection", "close")]
                        answer = connection.ask("GET", "/", headers)
                        last = int(answer.body)
                        self.answers.append(last)
                        if answer.header("connection") == b"close":
                            break
            except (OSError, AssertionError) as failure:
                self.failures.append((last, failure))


@contextmanager
def load(server: ServerProcess, *, keep: int = 4, new: int = 2) -> Iterator[list[Client]]:
    clients = [Client(server, keep=number < keep) for number in range(keep + new)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.ends.set()
        for client in clients:
            client.join(TIMEOUT)
    assert not any(client.is_alive() for client in clients)


def failures(clients: list[Client]) -> list[tuple[int | None, Exception]]:
    return [failure for client in clients for failure in client.failures]


# --- The whole ---------------------------------------------------------------------------------


def test_each_worker_has_one_lifespan(workers: Callable[..., ServerProcess]) -> None:
    server = workers(2)
    started = pids(server)
    assert len({*started, server.pid}) == 3
    assert answering(server, 2) == set(started)
    assert server.terminate() == 0
    assert sorted(pids(server)) == sorted(started)
    assert sorted(pids(server, "shutdown")) == sorted(started)

    lines = server.stderr.splitlines()
    assert lines[0].startswith("INFO:     FasterAPI running on http://127.0.0.1:")
    assert lines[1] == f"INFO:     Started parent process [{server.pid}]"
    assert lines[-1] == f"INFO:     Stopping parent process [{server.pid}]"
    assert lines.count("INFO:     Received SIGTERM, exiting.") == 1
    for pid in started:
        of_this = [line for line in lines if f"[{pid}]" in line]
        assert of_this[:2] == [
            f"INFO:     Started server process [{pid}]",
            f"INFO:     Terminated child process [{pid}]",
        ]
        # The parent goes on to wait while the worker ends: their lines may come in either order.
        assert sorted(of_this[2:]) == [
            f"INFO:     Finished server process [{pid}]",
            f"INFO:     Waiting for child process [{pid}]",
        ]


def test_unix_socket(workers: Callable[..., ServerProcess], tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = workers(2, "--uds", str(path))
    assert answering(server, 2) == set(pids(server))
    assert server.terminate() == 0
    assert not path.exists()


@pytest.fixture
def pair(shared: Serve) -> ServerProcess:
    """A server of two workers, for all tests that leave it as it is."""
    server = shared("apps.workers:app", "--workers", "2")
    server.probe.expect("startup", limit=START_LIMIT, count=2)
    answering(server, 2)
    return server


def test_connections_go_to_the_workers_in_turn(pair: ServerProcess) -> None:
    """Those that stay open, a proxy's, would all be one worker's otherwise."""
    connections = []
    served: Counter[int] = Counter()
    try:
        for _ in range(20):
            connections.append(pair.connect())
            served[int(connections[-1].ask("GET", "/").body)] += 1
    finally:
        for connection in connections:
            connection.close()
    assert len(served) == 2
    assert min(served.values()) >= 5, served


def test_a_blocked_worker_takes_no_connections(pair: ServerProcess) -> None:
    with pair.connect() as blocked:
        blocked.request("GET", "/blocks")
        busy = pair.probe.expect("blocks")["pid"]
        assert busy not in {int(pair.get("/").body) for _ in range(20)}
        pair.probe.open("answer")
        assert int(blocked.response().body) == busy


# --- Workers that end --------------------------------------------------------------------------


def test_a_killed_worker_is_replaced(workers: Callable[..., ServerProcess]) -> None:
    server = workers(2)
    killed, other = pids(server)
    answering(server, 2)
    with load(server) as clients:
        os.kill(killed, signal.SIGKILL)
        server.expect_log(rf"Child process \[{killed}\] died")
        fresh = server.probe.expect("startup", limit=START_LIMIT, count=3)["pid"]
        assert answering(server, 2) == {other, fresh}
    # Lost is what the killed worker had in hand, at most one request of each client.
    lost = failures(clients)
    assert len(lost) <= len(clients)
    assert {last for last, _ in lost} <= {killed, None}, lost
    assert not [failure for _, failure in lost if isinstance(failure, ConnectionRefusedError)]


def test_a_crash_loop_slows_down(workers: Callable[..., ServerProcess], tmp_path: Path) -> None:
    server = workers(2)
    killed, other = pids(server)
    answering(server, 2)
    (tmp_path / "crash").touch()
    begun = time.monotonic()
    os.kill(killed, signal.SIGKILL)
    server.expect_log("WARNING:  Starting another child process in 1 s.", START_LIMIT)
    assert answering(server, 1) == {other}
    server.expect_log("WARNING:  Starting another child process in 2 s.", START_LIMIT)
    assert time.monotonic() - begun >= 1  # and did so
    (tmp_path / "crash").unlink()
    fresh = server.probe.expect("startup", limit=START_LIMIT, count=3)["pid"]
    assert answering(server, 2) == {other, fresh}


@pytest.mark.parametrize("target", ["apps.workers:app", "apps.lifespans:startup_failed"])
def test_an_application_that_does_not_start_stops_the_parent(
    target: str, serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "broken").touch()
    env = {"WORKERS_FOLDER": str(tmp_path)}
    server = serve(target, "--workers", "2", wait=False, env=env)
    assert server.wait(START_LIMIT) == 3
    lines = server.stderr.splitlines()
    stopping = r"ERROR:    Child process [] failed to start, stopping the parent process."
    assert [line for line in lines if line.replace(line[line.find("[") + 1 : line.find("]")], "") == stopping]
    assert lines[-1] == f"INFO:     Stopping parent process [{server.pid}]"


def test_a_worker_that_has_had_its_requests_is_replaced(workers: Callable[..., ServerProcess]) -> None:
    server = workers(2, "--limit-max-requests", "20")
    first = pids(server)
    with load(server, keep=2, new=2) as clients:
        gone = server.probe.events.wait(lambda _: set(first) <= set(pids(server, "shutdown")), START_LIMIT)
    assert gone, server.stderr
    assert failures(clients) == []
    server.expect_log("Maximum request limit of 20 exceeded. Terminating process.")
    server.probe.expect("startup", count=4)
    assert set(pids(server)) > set(first)


# --- Restart -----------------------------------------------------------------------------------


def test_restart_under_load_loses_nothing(workers: Callable[..., ServerProcess]) -> None:
    server = workers(2, "--timeout-keep-alive", "60")
    first = set(pids(server))
    answering(server, 2)
    with load(server) as clients, ExitStack() as opened:
        idle = [opened.enter_context(server.connect()) for _ in range(20)]
        assert {int(connection.ask("GET", "/").body) for connection in idle} <= first
        server.signal(signal.SIGHUP)
        server.expect_log("Received SIGHUP, restarting processes.")
        server.log.wait(
            lambda lines: sum("Waiting for connections" in (line or "") for line in lines) >= 2, TIMEOUT
        )
        # A connection that was opened before is good for one more request, which says so.
        assert {connection.ask("GET", "/").header("connection") for connection in idle} == {b"close"}
        server.probe.expect("shutdown", limit=START_LIMIT, count=2)
        server.probe.expect("startup", count=4)  # by another line than the words of those that have ended
        assert answering(server, 2) == set(pids(server)) - first
    assert failures(clients) == []
    assert set(pids(server, "shutdown")) == first


def test_restart_with_a_broken_application_keeps_the_workers(
    workers: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = workers(2)
    first = set(pids(server))
    (tmp_path / "broken").touch()
    with load(server) as clients:
        server.signal(signal.SIGHUP)
        server.expect_log(
            r"New child process \[\d+\] failed to start, keeping child process \[\d+\]", START_LIMIT
        )
        assert answering(server, 2) == first
        (tmp_path / "broken").unlink()
        server.signal(signal.SIGHUP)
        server.probe.expect("shutdown", limit=START_LIMIT, count=2)
        server.probe.expect("startup", count=4)  # by another line than the words of those that have ended
        assert answering(server, 2) == set(pids(server)) - first
    assert failures(clients) == []


def test_number_of_workers_can_be_changed(workers: Callable[..., ServerProcess]) -> None:
    server = workers(2)
    server.signal(signal.SIGTTIN)
    server.expect_log("Received SIGTTIN, increasing the number of processes.")
    server.probe.expect("startup", limit=START_LIMIT, count=3)
    assert answering(server, 3) == set(pids(server))
    for ended in (1, 2):
        server.signal(signal.SIGTTOU)
        server.probe.expect("shutdown", count=ended)
    server.signal(signal.SIGTTOU)
    server.expect_log("Already reached one process, cannot decrease the number of processes anymore.")
    assert answering(server, 1) == set(pids(server)) - set(pids(server, "shutdown"))


# --- The end -----------------------------------------------------------------------------------


def waiting_request(server: ServerProcess, path: str = "/waits") -> Connection:
    connection = server.connect()
    connection.request("GET", path)
    server.probe.expect(path[1:])
    return connection


def test_a_request_in_hand_is_finished(workers: Callable[..., ServerProcess]) -> None:
    server = workers(2)
    with waiting_request(server) as connection:
        server.signal(signal.SIGTERM)
        server.expect_log("Received SIGTERM, exiting.")
        server.probe.expect("shutdown")  # the worker that has nothing to do
        server.expect_log("Waiting for connections to close")  # the other one; it too listens no more
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        server.probe.open("answer")
        assert connection.response().status == 200
    assert server.wait() == 0
    assert len(pids(server, "shutdown")) == 2


def test_a_second_signal_ends_all_at_once(workers: Callable[..., ServerProcess]) -> None:
    server = workers(2)
    with waiting_request(server) as connection:
        server.signal(signal.SIGINT)
        idle = server.probe.expect("shutdown")["pid"]
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        connection.expect_end()
    assert pids(server, "shutdown") == [idle]


def test_an_interrupt_of_the_process_group(workers: Callable[..., ServerProcess]) -> None:
    """What Ctrl+C is: each process has it, and the parent tells its workers once more."""
    server = workers(2)
    answering(server, 2)
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait() == 0
    assert len(pids(server, "shutdown")) == 2
    assert "Traceback" not in server.stderr
    assert "died" not in server.stderr


def test_an_interrupt_while_workers_start(workers: Callable[..., ServerProcess]) -> None:
    server = workers(3, wait=False)
    server.expect_log("Started parent process", START_LIMIT)
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait() == 0
    assert "Traceback" not in server.stderr


def test_a_worker_that_does_not_end_is_killed(workers: Callable[..., ServerProcess]) -> None:
    server = workers(2, "--timeout-graceful-shutdown", "0")
    with waiting_request(server, "/blocks"):
        busy = server.probe.expect("blocks")["pid"]
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    server.expect_log(rf"ERROR:    Child process \[{busy}\] has not ended in its time, killing it.")
    assert busy not in pids(server, "shutdown")


def test_workers_end_when_the_parent_is_killed(workers: Callable[..., ServerProcess]) -> None:
    server = workers(2)
    host, port = server.address
    with waiting_request(server) as connection:
        server.signal(signal.SIGKILL)
        server.expect_log("WARNING:  The parent process has died. Shutting down.")
        server.probe.expect("shutdown")
        server.probe.open("answer")
        assert connection.response().status == 200
    server.probe.expect("shutdown", count=2)
    socket.create_server((host, port)).close()
    assert server.wait() == -signal.SIGKILL
