"""What other threads may do with a loop, and what the loop does with threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import queue
import threading

import pytest

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")
LIMIT = 20


@pytest.fixture
def threads():
    """``threads(function, *arguments)`` starts a thread; all have ended, without error, after the test."""
    failures, started = [], []

    def run(function, arguments):
        try:
            function(*arguments)
        except BaseException as failure:
            failures.append(failure)

    def start(function, *arguments):
        thread = threading.Thread(target=run, args=(function, arguments), daemon=True)
        started.append(thread)
        thread.start()
        return thread

    yield start
    for thread in started:
        thread.join(LIMIT)
        assert not thread.is_alive()
    assert not failures


@pytest.fixture
def background(loop, threads):
    """The loop runs in a thread of its own, with nothing to do."""
    running = threading.Event()
    loop.call_soon(running.set)
    thread = threads(loop.run_forever)
    assert running.wait(LIMIT)
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LIMIT)


def test_calls_from_several_threads_at_once_keep_each_threads_order(loop, threads, forever):
    calls, count = 8, 5000
    got = [[] for _ in range(calls)]
    finished = []

    def end(number):
        finished.append(number)
        if len(finished) == calls:
            loop.stop()

    def work(number):
        for value in range(count):
            loop.call_soon_threadsafe(got[number].append, value)
        loop.call_soon_threadsafe(end, number)

    for number in range(calls):
        loop.call_soon(threads, work, number)
    forever(loop)
    assert got == [list(range(count))] * calls


def test_a_call_wakes_a_loop_that_blocks(background):
    """Each call is made after the one before it was answered, when the loop has nothing to do."""
    answers = queue.SimpleQueue()
    for number in range(500):
        background.call_soon_threadsafe(answers.put, number)
        assert answers.get(timeout=LIMIT) == number


def test_a_call_wakes_a_loop_that_waits_for_a_timer(background):
    background.call_soon_threadsafe(background.call_later, 3600, print)
    answers = queue.SimpleQueue()
    background.call_soon_threadsafe(background.call_later, 0.001, answers.put, "timer")
    assert answers.get(timeout=LIMIT) == "timer"
    background.call_soon_threadsafe(answers.put, "call")
    assert answers.get(timeout=LIMIT) == "call"


def test_calls_made_before_the_loop_runs_wait_for_it(loop, threads, forever):
    ran = []
    loop.call_soon_threadsafe(ran.append, "own thread")
    threads(loop.call_soon_threadsafe, ran.append, "other thread").join(LIMIT)
    loop.call_soon_threadsafe(loop.stop)
    forever(loop)
    assert ran == ["own thread", "other thread"]


def test_calls_from_the_loops_own_thread(loop, forever):
    ran = []

    def callback():
        loop.call_soon_threadsafe(ran.append, 1)
        loop.call_soon(ran.append, 2)
        loop.call_soon_threadsafe(ran.append, 3)
        loop.call_soon(loop.stop)
        assert ran == []

    loop.call_soon(callback)
    forever(loop)
    assert ran == [1, 2, 3]


def test_a_call_from_a_thread_has_that_threads_context(background, threads):
    answers = queue.SimpleQueue()

    def work():
        VARIABLE.set("thread")
        background.call_soon_threadsafe(lambda: answers.put(VARIABLE.get()))

    threads(work)
    assert answers.get(timeout=LIMIT) == "thread"


def test_a_call_from_a_thread_can_be_cancelled(loop, forever):
    ran = []
    handle = loop.call_soon_threadsafe(ran.append, "cancelled")
    handle.cancel()
    assert handle.cancelled()
    loop.call_soon_threadsafe(loop.stop)
    forever(loop)
    assert ran == []


def test_a_closed_loop_refuses_calls(new_loop, threads):
    loop = new_loop()
    loop.close()

    def work():
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            loop.call_soon_threadsafe(print)

    work()
    threads(work).join(LIMIT)


def test_threads_may_call_while_the_loop_closes(new_loop, threads):
    """Each call is either taken or refused."""
    for _ in range(5):
        loop = new_loop()
        refused = threading.Barrier(4)

        def call(loop=loop):
            while True:
                loop.call_soon_threadsafe(int)

        def work(call=call, refused=refused):
            with pytest.raises(RuntimeError, match="Event loop is closed"):
                call()
            refused.wait(LIMIT)

        for _ in range(3):
            threads(work)
        loop.call_later(0.002, loop.stop)
        loop.run_forever()
        loop.close()
        refused.wait(LIMIT)


def test_a_coroutine_is_run_for_another_thread(background):
    async def main(error=None):
        await asyncio.sleep(0.001)
        if error is not None:
            raise error
        return threading.get_ident()

    result = asyncio.run_coroutine_threadsafe(main(), background).result(LIMIT)
    assert result != threading.get_ident()
    with pytest.raises(LookupError):
        asyncio.run_coroutine_threadsafe(main(LookupError()), background).result(LIMIT)


def test_a_coroutine_run_for_another_thread_can_be_cancelled(background):
    begun, ended = threading.Event(), threading.Event()

    async def main():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    future = asyncio.run_coroutine_threadsafe(main(), background)
    assert begun.wait(LIMIT)
    assert future.cancel()
    assert ended.wait(LIMIT)


def test_the_loop_is_stopped_by_another_thread(loop, threads, forever):
    loop.call_soon(threads, loop.call_soon_threadsafe, loop.stop)
    forever(loop)


# --- Executors -----------------------------------------------------------------------------


def test_run_in_executor(run):
    def work(value):
        if value < 0:
            raise LookupError(value)
        return value, threading.get_ident()

    async def main():
        loop = asyncio.get_running_loop()
        value, thread = await loop.run_in_executor(None, work, 1)
        assert value == 1
        assert thread != threading.get_ident()
        with pytest.raises(LookupError):
            await loop.run_in_executor(None, work, -1)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = await asyncio.gather(*(loop.run_in_executor(pool, work, n) for n in range(100)))
        assert [value for value, _ in results] == list(range(100))

    run(main())


def test_the_loop_goes_on_while_an_executor_works(run):
    async def main():
        release = threading.Event()
        loop = asyncio.get_running_loop()
        working = loop.run_in_executor(None, release.wait, LIMIT)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not working.done()
        release.set()
        assert await working is True

    run(main())


def test_to_thread_carries_the_context(run):
    async def main():
        VARIABLE.set("carried")
        assert await asyncio.to_thread(VARIABLE.get) == "carried"

    run(main())


def test_the_default_executor_ends_with_the_loop(run):
    async def main():
        return await asyncio.to_thread(threading.current_thread)

    assert not run(main()).is_alive()


# --- Several loops -------------------------------------------------------------------------


def test_two_loops_in_two_threads_talk(new_loop, threads):
    rounds = 300
    loops = [new_loop(), new_loop()]
    seen = [[], []]

    def arrive(number, value):
        assert asyncio.get_running_loop() is loops[number]
        seen[number].append(value)
        if value < rounds:
            loops[1 - number].call_soon_threadsafe(arrive, 1 - number, value + 1)
        else:
            for each in loops:
                each.call_soon_threadsafe(each.stop)

    loops[0].call_soon(arrive, 0, 0)
    workers = [threads(each.run_forever) for each in loops]
    for worker in workers:
        worker.join(LIMIT)
    for each in loops:
        each.close()
    assert seen[0] == list(range(0, rounds + 1, 2))
    assert seen[1] == list(range(1, rounds + 1, 2))


def test_many_threads_each_with_its_loop(new_loop, threads):
    results = []

    def work(number):
        loop = new_loop()
        try:

            async def main():
                reader, writer = await asyncio.open_connection(*address)
                writer.write(b"%d\n" % number)
                line = await reader.readline()
                writer.close()
                await writer.wait_closed()
                return int(line)

            results.append(loop.run_until_complete(main()))
        finally:
            loop.close()

    served = new_loop()

    async def answer(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = served.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0))
    address = server.sockets[0].getsockname()
    serving = threads(served.run_forever)
    workers = [threads(work, number) for number in range(8)]
    for worker in workers:
        worker.join(LIMIT)
    served.call_soon_threadsafe(served.stop)
    serving.join(LIMIT)
    server.close()
    served.run_until_complete(server.wait_closed())
    left = asyncio.all_tasks(served)
    if left:
        served.run_until_complete(asyncio.wait(left))
    served.close()
    assert sorted(results) == list(range(8))
