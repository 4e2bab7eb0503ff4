"""``fasterapi.run`` with workers: what is refused before one is started, and what comes back to the caller."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from commandline import Process

from fasterapi import Config, supervisor

Start = Callable[..., Process]


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            "import hello; fasterapi.run(hello.app, workers=2)",
            "WARNING:  You must pass the application as an import string to enable 'reload' or 'workers'.",
        ),
        (
            "fasterapi.run('hello:app', workers=2, loop=lambda: None)",
            "ERROR:    The settings cannot be handed to worker processes: Can't ",
        ),
        (
            "fasterapi.run('hello:app', workers=2, host='no such host')",
            "ERROR:    [Errno 99] cannot listen on host 'no such host': ",
        ),
    ],
)
def test_what_cannot_be_served_by_workers_is_refused_in_one_line(call: str, line: str, start: Start) -> None:
    process = start(script=f"import fasterapi\nif __name__ == '__main__':\n    {call}\n")
    assert process.wait() == 3
    assert len(process.err) == 1
    assert process.err[0].startswith(line)


def test_a_port_in_use(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        process = start("hello:app", "--workers", "2", "--port", str(other.getsockname()[1]))
        assert process.wait() == 3
    assert len(process.err) == 1
    assert "address already in use" in process.err[0]


def test_a_script_that_would_start_workers_from_workers(start: Start) -> None:
    process = start(script="import fasterapi\nfasterapi.run('hello:app', port=0, workers=2)\n")
    assert process.wait() == 3
    line = "ERROR:    fasterapi.run() with workers must stand behind `if __name__ == '__main__':`."
    assert line in process.err
    assert not any("Traceback" in line for line in process.err)


def test_run_returns_when_the_workers_have_ended(start: Start) -> None:
    script = """
        import fasterapi, signal
        if __name__ == "__main__":
            before = signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM)
            fasterapi.run("hello:app", port=0, workers=2)
            assert (signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM)) == before
            print("returned", flush=True)
    """
    process = start(script=script)
    assert process.get() == (200, b"hello")
    assert process.stop(signal.SIGTERM) == 0
    assert process.out[-1] == "returned"


def test_the_worker_that_has_served_longest_is_replaced_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose successors have had their requests as soon as they are there would keep the others from theirs."""
    monkeypatch.setattr(supervisor, "Worker", lambda *arguments, **options: SimpleNamespace())
    parent = supervisor.Supervisor(Config("hello:app", workers=2), [])
    for place, ready_at in zip(parent._places, (2.0, 1.0), strict=True):
        place.worker = SimpleNamespace(outdated=True, ready_at=ready_at)
    parent._start_due()
    assert [place.successor is not None for place in parent._places] == [False, True]
