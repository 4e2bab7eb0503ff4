"""How a server ends: log lines in order, exit codes, requests in hand, the second Ctrl+C."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import Callable

import pytest
from commandline import LIMIT, Process, loop_or_skip

import fasterapi

Start = Callable[..., Process]

LOOPS = ["auto", "asyncio", "uvloop", "custom:new"]
CUSTOM = {
    "custom.py": "import asyncio\ndef new():\n    print('made', flush=True)\n    return asyncio.SelectorEventLoop()\n"
}

# Says when the first signal has been handled: a second one that comes before that is the same to Python. It sleeps in
# naps, since a signal that comes right before a long sleep would be handled after it only.
BLOCK = """
import signal, time

def block():
    while not signal.getsignal(signal.SIGINT).__self__.should_exit:
        time.sleep(0.01)
    print("told", flush=True)
    while True:
        time.sleep(0.01)
"""

# /wait answers when the file "go" exists, /endless never, /stubborn ignores its cancellation,
# /busy blocks the loop, /thread a worker thread.
SLOW = """
import asyncio, os, sys, time
from hello import app as hello

def say(text):
    print(text, flush=True)

async def app(scope, receive, send):
    path = scope.get("path")
    if scope["type"] == "lifespan":
        await hello(scope, receive, send)
        return say("application down")
    say("began " + path)
    if path == "/wait":
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
        return await hello(scope, receive, send)
    if path == "/busy":
        from block import block
        try:
            block()
        finally:
            say("interrupted")
    if path == "/thread":
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        say("cancelled " + path)
        if path == "/stubborn":
            await asyncio.sleep(3600)
        raise
"""

# Like /endless, but it has answered: only the task is left.
BACKGROUND = """
import asyncio
from hello import app as hello

async def app(scope, receive, send):
    await hello(scope, receive, send)
    if scope["type"] == "http":
        try:
            await asyncio.sleep(3600)
        finally:
            print("background ended", flush=True)
"""


def plain(process: Process, lines: list[str]) -> list[str]:
    port = process.port
    return [line.replace(f"[{process.pid}]", "[PID]").replace(f":{port} ", ":PORT ") for line in lines]


STARTED = [
    "INFO:     Started server process [PID]",
    "INFO:     Waiting for application startup.",
    "INFO:     Application startup complete.",
    "INFO:     FasterAPI running on http://127.0.0.1:PORT (Press CTRL+C to quit)",
]
STOPPED = [
    "INFO:     Waiting for application shutdown.",
    "INFO:     Application shutdown complete.",
    "INFO:     Finished server process [PID]",
]
CONNECTIONS = "INFO:     Waiting for connections to close. (CTRL+C to force quit)"
TASKS = "INFO:     Waiting for background tasks to complete. (CTRL+C to force quit)"
CANCELLED = "ERROR:    Cancel 1 running task(s), timeout graceful shutdown exceeded"


def open_request(process: Process, path: str) -> socket.socket:
    """A request that the application is at work on."""
    peer = socket.create_connection(("127.0.0.1", process.port), timeout=LIMIT)
    peer.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    process.expect(f"^began {path}$", process.out)
    return peer


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_clean_stop(loop: str, number: int, code: int, start: Start) -> None:
    loop_or_skip(loop)
    process = start("hello:app", "--port", "0", "--loop", loop, files=CUSTOM)
    assert process.get() == (200, b"hello")
    assert process.stop(number) == code
    assert plain(process, process.err) == [*STARTED, "INFO:     Shutting down", *STOPPED]
    assert ("made" in process.out) is (loop == "custom:new")


def test_stop_without_lifespan(start: Start) -> None:
    process = start("hello:app", "--port", "0", "--lifespan", "off")
    assert process.stop() == 0
    ended = ["INFO:     Shutting down", STOPPED[-1]]
    assert plain(process, process.err) == [STARTED[0], STARTED[-1], *ended]


@pytest.mark.parametrize("loop", LOOPS)
def test_request_in_hand_is_finished(loop: str, start: Start) -> None:
    loop_or_skip(loop)
    process = start("slow:app", "--port", "0", "--loop", loop, files={"slow.py": SLOW, **CUSTOM})
    with open_request(process, "/wait") as peer:
        process.send(signal.SIGTERM)
        process.expect("Waiting for connections to close")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", process.port))
        (process.cwd / "go").touch()
        answer = b""
        while data := peer.recv(65536):
            answer += data
    assert answer.endswith(b"hello")
    assert process.wait() == -signal.SIGTERM
    assert plain(process, process.err) == [*STARTED, "INFO:     Shutting down", CONNECTIONS, *STOPPED]


def test_idle_connections_do_not_delay(start: Start) -> None:
    process = start("hello:app", "--port", "0", "--timeout-keep-alive", "3600")
    with socket.create_connection(("127.0.0.1", process.port), timeout=LIMIT) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536)
        assert process.stop() == 0
    assert CONNECTIONS not in process.err


@pytest.mark.parametrize("path", ["/endless", "/stubborn"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_request_without_end_is_cancelled_when_the_time_is_over(
    path: str, number: int, code: int, start: Start
) -> None:
    process = start("slow:app", "--port", "0", "--timeout-graceful-shutdown", "1", files={"slow.py": SLOW})
    with open_request(process, path):
        process.send(number)
        assert process.wait() == code
    # The application is taken down after its requests, whatever they do.
    assert process.out[-2:] == [f"cancelled {path}", "application down"]
    assert plain(process, process.err) == [
        *STARTED,
        "INFO:     Shutting down",
        CONNECTIONS,
        CANCELLED,
        *STOPPED,
    ]


def test_no_time_at_all(start: Start) -> None:
    process = start("slow:app", "--port", "0", "--timeout-graceful-shutdown", "0", files={"slow.py": SLOW})
    with open_request(process, "/endless"):
        assert process.stop() == 0
    assert CANCELLED in process.err
    assert process.err[-1].startswith("INFO:     Finished server process")


def test_background_tasks_are_waited_for(start: Start) -> None:
    limit = ("--timeout-graceful-shutdown", "1")
    process = start("back:app", "--port", "0", *limit, files={"back.py": BACKGROUND})
    assert process.get() == (200, b"hello")
    assert process.stop() == 0
    assert "background ended" in process.out
    assert [line for line in process.err if line in (CONNECTIONS, TASKS, CANCELLED)] == [TASKS, CANCELLED]


@pytest.mark.parametrize("loop", LOOPS)
def test_second_sigint_ends_at_once(loop: str, start: Start) -> None:
    loop_or_skip(loop)
    process = start("slow:app", "--port", "0", "--loop", loop, files={"slow.py": SLOW, **CUSTOM})
    with open_request(process, "/endless"):
        process.send(signal.SIGINT)
        process.expect("Waiting for connections to close")
        process.send(signal.SIGINT)
        assert process.wait() == 0
    expected = [*STARTED, "INFO:     Shutting down", CONNECTIONS, STOPPED[-1]]
    assert plain(process, process.err) == expected  # and no shutdown of the application


@pytest.mark.parametrize("seconds", [0.0, 0.9, 1.1, 60.0])
def test_sigterm_behind_another_counts_once_a_second_has_passed(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = fasterapi.Server(fasterapi.Config("hello:app"))
    now = 1000.0
    monkeypatch.setattr("fasterapi.server.time.monotonic", lambda: now)
    server.handle_exit(signal.SIGTERM, None)
    now += seconds
    server.handle_exit(signal.SIGTERM, None)
    assert server.should_exit
    assert server.force_exit is (seconds > 1)


def test_sigterm_after_a_programs_own_stop_is_the_first() -> None:
    server = fasterapi.Server(fasterapi.Config("hello:app"))
    server.should_exit = True
    server.handle_exit(signal.SIGTERM, None)
    assert not server.force_exit


def test_repeated_sigterm_ends_a_shutdown_that_waits(start: Start) -> None:
    process = start("slow:app", "--port", "0", files={"slow.py": SLOW})
    with open_request(process, "/endless"):
        process.send(signal.SIGTERM)
        process.expect("Waiting for connections to close")
        while process.process.poll() is None:
            process.send(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.process.wait(0.2)
        assert process.wait() == -signal.SIGTERM
    assert plain(process, process.err)[-3:] == ["INFO:     Shutting down", CONNECTIONS, STOPPED[-1]]


def test_sigint_after_sigterm_ends_at_once(start: Start) -> None:
    process = start("slow:app", "--port", "0", files={"slow.py": SLOW})
    with open_request(process, "/stubborn"):
        process.send(signal.SIGTERM)
        process.expect("Waiting for connections to close")
        process.send(signal.SIGINT)
        assert process.wait() in (0, -signal.SIGTERM)


@pytest.mark.parametrize("loop", LOOPS)
def test_code_that_blocks_the_loop_is_interrupted_by_the_second_sigint(loop: str, start: Start) -> None:
    loop_or_skip(loop)
    files = {"slow.py": SLOW, "block.py": BLOCK, **CUSTOM}
    process = start("slow:app", "--port", "0", "--loop", loop, files=files)
    with open_request(process, "/busy"):
        process.send(signal.SIGINT)
        process.expect("^told$", process.out)
        process.send(signal.SIGINT)
        assert process.wait() == 0
    assert "interrupted" in process.out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_stuck_thread_does_not_keep_the_process(number: int, code: int, start: Start) -> None:
    process = start("slow:app", "--port", "0", "--timeout-graceful-shutdown", "1", files={"slow.py": SLOW})
    with open_request(process, "/thread"):
        process.send(number)
        assert process.wait() == code
    assert ("WARNING:  Leaving 1 thread(s) of the application behind." in process.err) is (
        number == signal.SIGINT
    )


def test_output_is_flushed_before_death_by_signal(start: Start) -> None:
    """Python's buffers are lost with a process that dies by a signal."""
    files = {"talks.py": "from hello import app\nprint('buffered')\n"}
    process = start("talks:app", "--port", "0", "--no-access-log", files=files)
    assert process.stop(signal.SIGTERM) == -signal.SIGTERM
    assert process.out == ["buffered"]


def test_loop_is_closed_before_death_by_signal(start: Start) -> None:
    """Asynchronous generators and tasks of the application get their clean-up."""
    files = {
        "cleans.py": """
        import asyncio
        from hello import app as hello
        async def numbers():
            try:
                while True:
                    yield 1
            finally:
                await asyncio.sleep(0)
                print("generator closed", flush=True)
        kept = numbers()
        async def app(scope, receive, send):
            if scope["type"] == "http":
                await kept.__anext__()
            await hello(scope, receive, send)
        """
    }
    process = start("cleans:app", "--port", "0", files=files)
    assert process.get() == (200, b"hello")
    assert process.stop(signal.SIGTERM) == -signal.SIGTERM
    assert "generator closed" in process.out


def test_interrupt_while_the_module_is_imported(start: Start) -> None:
    process = start(
        "slow_import:app",
        files={"slow_import.py": "import time\nprint('here', flush=True)\nwhile True:\n    time.sleep(0.01)"},
    )
    process.expect("^here$", process.out)
    process.send(signal.SIGINT)
    assert process.wait() == 0
    assert process.err == []


HANGS = """
import asyncio

async def app(scope, receive, send):
    await receive()
    print("hanging", flush=True)
    try:
        {wait}
    finally:
        print("cleaned up", flush=True)
"""
AWAITS = HANGS.format(wait="await asyncio.sleep(3600)")
BLOCKS = "from block import block\n" + HANGS.format(wait="block()")
# Like much clean-up code: what it raises is not what was raised at it.
TURNS = AWAITS + "        raise ValueError\n"
REFUSES = """
import asyncio

async def app(scope, receive, send):
    print("hanging", flush=True)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            print("refused", flush=True)
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("code", [AWAITS, TURNS], ids=["cancelled", "raises"])
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_signal_cancels_a_hanging_startup(
    loop: str, number: int, exit_code: int, code: str, start: Start
) -> None:
    loop_or_skip(loop)
    process = start("hangs:app", "--port", "0", "--loop", loop, files={"hangs.py": code, **CUSTOM})
    process.expect("^hanging$", process.out)
    process.send(number)
    assert process.wait() == exit_code
    assert process.out[-1] == "cleaned up"
    assert [line.split("[")[0] for line in process.err] == [
        "INFO:     Started server process ",
        "INFO:     Waiting for application startup.",
        "INFO:     Application startup interrupted. Exiting.",
    ]


@pytest.mark.parametrize("loop", LOOPS)
def test_second_sigint_abandons_a_startup_that_refuses(loop: str, start: Start) -> None:
    loop_or_skip(loop)
    process = start("refuses:app", "--port", "0", "--loop", loop, files={"refuses.py": REFUSES, **CUSTOM})
    process.expect("^hanging$", process.out)
    process.send(signal.SIGINT)
    process.expect("^refused$", process.out)
    process.send(signal.SIGINT)
    assert process.wait() == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_second_sigint_interrupts_a_startup_that_blocks(loop: str, start: Start) -> None:
    loop_or_skip(loop)
    files = {"blocks.py": BLOCKS, "block.py": BLOCK, **CUSTOM}
    process = start("blocks:app", "--port", "0", "--loop", loop, files=files)
    process.expect("^hanging$", process.out)
    process.send(signal.SIGINT)
    process.expect("^told$", process.out)
    process.send(signal.SIGINT)
    assert process.wait() == 0
    assert process.out[-1] == "cleaned up"


def test_signal_during_startup_after_which_the_application_is_up_all_the_same(start: Start) -> None:
    files = {
        "stays.py": """
        import asyncio
        from hello import app as hello
        async def app(scope, receive, send):
            print("hanging", flush=True)
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass
            await hello(scope, receive, send)
        """
    }
    process = start("stays:app", "--port", "0", files=files)
    process.expect("^hanging$", process.out)
    process.send(signal.SIGINT)
    assert process.wait() == 0
    assert [line.split("[")[0] for line in process.err[-4:]] == [
        "INFO:     Shutting down",
        "INFO:     Waiting for application shutdown.",
        "INFO:     Application shutdown complete.",
        "INFO:     Finished server process ",
    ]


@pytest.mark.parametrize("loop", LOOPS)
def test_second_sigint_abandons_a_hanging_shutdown(loop: str, start: Start) -> None:
    loop_or_skip(loop)
    files = {
        "late.py": """
        import asyncio
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await asyncio.sleep(3600)
        """
    }
    process = start("late:app", "--port", "0", "--loop", loop, files={**files, **CUSTOM})
    process.expect("running on")
    process.send(signal.SIGINT)
    process.expect("Waiting for application shutdown.")
    process.send(signal.SIGINT)
    assert process.wait() == 0


def test_keyboard_interrupt_of_the_applications_own_is_a_failed_startup(start: Start) -> None:
    files = {"interrupts.py": "async def app(scope, receive, send):\n    raise KeyboardInterrupt\n"}
    process = start("interrupts:app", "--port", "0", files=files)
    assert process.wait() == 3
    assert process.err[-1] == "ERROR:    Application raised KeyboardInterrupt in its start-up. Exiting."
