"""asyncio's subprocesses on the loop."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

import pytest

BIG = b"x" * (1 << 20)


def python(code):
    return sys.executable, "-S", "-c", code


def test_communicate_with_a_program(run):
    async def main():
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        assert process.returncode is None
        assert await process.communicate(b"to and fro") == (b"to and fro", None)
        assert process.returncode == 0

    run(main())


def test_more_than_pipes_take(run):
    async def main():
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        out, _ = await process.communicate(BIG)
        assert out == BIG

    run(main())


def test_a_shell(run):
    async def main():
        process = await asyncio.create_subprocess_shell(
            "echo out; echo err >&2; exit 3", stdout=PIPE, stderr=PIPE
        )
        assert await process.communicate() == (b"out\n", b"err\n")
        assert process.returncode == 3
        process = await asyncio.create_subprocess_shell("echo out; echo err >&2", stdout=PIPE, stderr=STDOUT)
        assert await process.communicate() == (b"out\nerr\n", None)

    run(main())


def test_a_dialogue(run):
    async def main():
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        for number in range(50):
            process.stdin.write(b"%d\n" % number)
            assert await process.stdout.readline() == b"%d\n" % number
        process.stdin.close()
        assert await process.wait() == 0
        assert await process.stdout.read() == b""

    run(main())


@pytest.mark.parametrize("end", ["kill", "terminate", "send_signal"])
def test_a_program_is_ended_by_a_signal(run, end):
    async def main():
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=DEVNULL)
        if end == "send_signal":
            process.send_signal(signal.SIGUSR1)
        else:
            getattr(process, end)()
        expected = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "send_signal": signal.SIGUSR1}[end]
        assert await process.wait() == -expected

    run(main())


def test_wait_wakes_a_loop_with_nothing_else_to_do(run):
    async def main():
        process = await asyncio.create_subprocess_exec(*python("raise SystemExit(7)"))
        assert await process.wait() == 7
        assert await process.wait() == 7

    run(main())


def test_many_programs_at_once(run):
    async def one(number):
        process = await asyncio.create_subprocess_shell(f"echo {number}; exit {number}", stdout=PIPE)
        out, _ = await process.communicate()
        return int(out), process.returncode

    async def main():
        assert await asyncio.gather(*map(one, range(20))) == [(number, number) for number in range(20)]

    run(main())


def test_a_program_that_does_not_read(run, logged):  # Python 3.10 may log the broken pipe
    async def main():
        process = await asyncio.create_subprocess_exec("true", stdin=PIPE)
        await process.communicate(BIG)
        assert process.returncode == 0

    run(main())


def test_a_program_that_is_not_there(run):
    async def main():
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/nowhere/program")

    run(main())


def test_communicate_can_be_cancelled(run):
    async def main():
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        reading = asyncio.ensure_future(process.stdout.read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        process.kill()
        assert await process.wait() == -signal.SIGKILL

    run(main())


def test_a_protocol_sees_data_before_the_end(run):
    events = []

    class Protocol(asyncio.SubprocessProtocol):
        def __init__(self):
            self.ended = asyncio.get_running_loop().create_future()

        def pipe_data_received(self, number, data):
            events.append((number, data))

        def pipe_connection_lost(self, number, error):
            events.append(f"lost {number}")

        def process_exited(self):
            events.append("exited")

        def connection_lost(self, error):
            self.ended.set_result(error)

    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(Protocol, "echo", "told", stdin=None, stderr=None)
        assert await protocol.ended is None
        assert transport.get_returncode() == 0
        transport.close()

    run(main())
    assert events.index((1, b"told\n")) < events.index("lost 1")
    assert "exited" in events


def test_a_loop_in_another_thread(run):
    results = []

    async def main():
        process = await asyncio.create_subprocess_exec("echo", "thread", stdout=PIPE)
        results.append(await process.communicate())

    thread = threading.Thread(target=lambda: run(main()))
    thread.start()
    thread.join(20)
    assert results == [(b"thread\n", None)]
