"""Signals: asyncio's handlers, plain handlers, and the interrupt of asyncio.Runner."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading

import pytest

from fasterapi.loop import EventLoop

LIMIT = 20


@pytest.fixture(autouse=True)
def restored():
    """The handlers and the wakeup descriptor are after a test what they were before it."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in numbers}
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    yield
    after = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before
    assert signal.set_wakeup_fd(descriptor) == descriptor


def send(number):
    os.kill(os.getpid(), number)


def tick(loop):
    """asyncio's own loop may sleep on when a signal reaches another thread; fasterapi's need not be woken."""
    if not isinstance(loop, EventLoop):
        loop.call_later(0.02, tick, loop)


@pytest.fixture
def send_when_blocked():
    """``send_when_blocked(loop, signal)``: from another thread, when the loop has run what is ready."""
    threads = []

    def start(loop, number):
        blocked = threading.Event()

        def work():
            if blocked.wait(LIMIT):
                send(number)

        thread = threading.Thread(target=work)
        threads.append(thread)
        thread.start()
        loop.call_soon(blocked.set)

    yield start
    for thread in threads:
        thread.join(LIMIT)


def test_a_handler_is_called_by_the_loop(loop, forever):
    got = []

    def handler(*arguments):
        got.append((arguments, asyncio.get_running_loop() is loop))
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler, "argument", 2)
    loop.call_soon(send, signal.SIGUSR1)
    forever(loop)
    assert got == [(("argument", 2), True)]
    assert loop.remove_signal_handler(signal.SIGUSR1) is True


def test_a_signal_wakes_a_loop_that_blocks(loop, forever, send_when_blocked):
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    for _ in range(20):
        send_when_blocked(loop, signal.SIGUSR1)
        forever(loop)
    loop.remove_signal_handler(signal.SIGUSR1)


def test_handlers_added_while_the_loop_runs(loop, forever, send_when_blocked):
    got = []

    def begin():
        loop.add_signal_handler(signal.SIGUSR1, got.append, 1)
        loop.add_signal_handler(signal.SIGUSR2, lambda: (got.append(2), loop.stop()))
        send(signal.SIGUSR1)
        send_when_blocked(loop, signal.SIGUSR2)

    loop.call_soon(begin)
    forever(loop)
    assert got == [1, 2]
    assert loop.remove_signal_handler(signal.SIGUSR1)
    assert loop.remove_signal_handler(signal.SIGUSR2)


def test_a_second_handler_replaces_the_first(loop, forever):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, "first")
    loop.add_signal_handler(signal.SIGUSR1, lambda: (got.append("second"), loop.stop()))
    loop.call_soon(send, signal.SIGUSR1)
    forever(loop)
    assert got == ["second"]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_one_handler_goes_on_when_another_is_removed(loop, forever, send_when_blocked):
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    loop.add_signal_handler(signal.SIGUSR2, print)
    loop.call_soon(loop.remove_signal_handler, signal.SIGUSR2)
    loop.call_soon(send_when_blocked, loop, signal.SIGUSR1)
    forever(loop)
    loop.remove_signal_handler(signal.SIGUSR1)


def test_an_error_in_a_handler_goes_to_the_exception_handler(loop, forever):
    contexts = []
    loop.set_exception_handler(lambda _, context: (contexts.append(context), loop.stop()))
    loop.add_signal_handler(signal.SIGUSR1, lambda: 1 / 0)
    loop.call_soon(send, signal.SIGUSR1)
    forever(loop)
    assert isinstance(contexts[0]["exception"], ZeroDivisionError)
    loop.remove_signal_handler(signal.SIGUSR1)


def test_the_signal_of_an_interval_timer(loop, forever):
    got = []
    before = signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    try:
        loop.add_signal_handler(signal.SIGVTALRM, lambda: (got.append(1), loop.stop()))
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.001)

        def spin():
            loop.call_soon(spin)

        loop.call_soon(spin)
        forever(loop)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        loop.remove_signal_handler(signal.SIGVTALRM)
        signal.signal(signal.SIGVTALRM, before)
    assert got


def test_a_signal_between_two_runs_is_not_lost(loop, forever):
    got = []

    async def main():
        loop.add_signal_handler(signal.SIGUSR1, lambda: (got.append(1), loop.stop()))

    loop.run_until_complete(main())
    send(signal.SIGUSR1)
    forever(loop)
    assert got == [1]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_no_closed_descriptor_is_left_to_signals(new_loop):
    """The wakeup descriptor of a closed loop would be written to, whosever number it is by then."""
    loop = new_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)

    async def main():
        loop.remove_signal_handler(signal.SIGUSR1)

    loop.run_until_complete(main())
    loop.close()
    assert signal.set_wakeup_fd(-1) == -1


def test_remove_gives_back_the_default(loop):
    assert loop.remove_signal_handler(signal.SIGUSR1) is False
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGINT, print)
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    assert loop.remove_signal_handler(signal.SIGINT) is True
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_wrong_signals_and_handlers_are_refused(loop):
    async def coroutine_function():
        pass

    with pytest.raises(RuntimeError):
        loop.add_signal_handler(signal.SIGKILL, print)
    with pytest.raises(ValueError, match="signal"):
        loop.add_signal_handler(12345, print)
    with pytest.raises(TypeError):
        loop.add_signal_handler("SIGUSR1", print)
    with pytest.raises(TypeError):
        loop.add_signal_handler(signal.SIGUSR1, coroutine_function)


def test_handlers_are_refused_in_other_threads(new_loop):
    failures = []

    def work():
        loop = new_loop()
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except (RuntimeError, ValueError) as failure:
            failures.append(failure)
        finally:
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(LIMIT)
    assert len(failures) == 1


def test_close_takes_the_handlers_away(new_loop):
    loop = new_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGUSR2, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL


def test_somebody_elses_wakeup_descriptor_is_back_after_a_run(loop):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    try:
        loop.run_until_complete(asyncio.sleep(0.001))
    finally:
        assert signal.set_wakeup_fd(before) == writer
        os.close(reader)
        os.close(writer)


# --- Handlers that asyncio does not know ---------------------------------------------------


def test_a_plain_handler_runs_while_the_loop_blocks(loop, forever, send_when_blocked, request):
    if "asyncio" in request.node.callspec.id:
        pytest.skip("asyncio sleeps on when the signal reaches another thread")
    got = []

    def handler(number, frame):
        got.append(number)
        loop.call_soon_threadsafe(loop.stop)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        for _ in range(20):
            send_when_blocked(loop, signal.SIGUSR1)
            forever(loop)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert got == [signal.SIGUSR1] * 20


def test_a_plain_handler_runs_while_the_loop_is_busy(loop, forever):
    def handler(number, frame):
        loop.stop()

    def spin():
        loop.call_soon(spin)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        loop.call_soon(spin)
        loop.call_later(0.002, send, signal.SIGUSR1)
        forever(loop)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_an_interrupt_ends_a_loop_that_blocks(loop, forever, send_when_blocked):
    loop.call_soon(tick, loop)
    send_when_blocked(loop, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        forever(loop)
    assert not loop.is_running()
    loop.run_until_complete(asyncio.sleep(0.001))


def test_an_interrupt_ends_run_until_complete(loop, send_when_blocked):
    loop.call_soon(tick, loop)
    send_when_blocked(loop, signal.SIGINT)
    task = loop.create_task(asyncio.sleep(LIMIT))
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


# --- asyncio.Runner ------------------------------------------------------------------------

needs_runner = pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.Runner is new in Python 3.11")


@needs_runner
@pytest.mark.parametrize("where", ["blocked", "in a callback"])
def test_an_interrupt_cancels_the_runners_main_task(new_loop, send_when_blocked, where):
    ended = []

    async def main():
        loop = asyncio.get_running_loop()
        tick(loop)
        if where == "blocked":
            send_when_blocked(loop, signal.SIGINT)
        else:
            loop.call_soon(send, signal.SIGINT)
        try:
            await asyncio.sleep(LIMIT)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def after():
        await asyncio.sleep(0.001)
        return "usable"

    with asyncio.Runner(loop_factory=new_loop) as runner:
        with pytest.raises(KeyboardInterrupt):
            runner.run(main())
        assert ended == ["cancelled"]
        assert runner.run(after()) == "usable"


@needs_runner
def test_a_second_interrupt_is_not_held_back(new_loop, send_when_blocked):
    async def main():
        loop = asyncio.get_running_loop()
        tick(loop)
        send_when_blocked(loop, signal.SIGINT)
        try:
            await asyncio.sleep(LIMIT)
        except asyncio.CancelledError:
            send_when_blocked(loop, signal.SIGINT)
            await asyncio.sleep(LIMIT)

    with asyncio.Runner(loop_factory=new_loop) as runner, pytest.raises(KeyboardInterrupt):
        runner.run(main())
