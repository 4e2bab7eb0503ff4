"""The loop's debug mode."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest


@pytest.fixture
def debug_loop(loop):
    loop.set_debug(True)
    return loop


def one_turn(loop):
    loop.stop()
    loop.run_forever()


def test_debug_mode_is_set_and_unset(loop):
    assert loop.get_debug() is False
    loop.set_debug(True)
    assert loop.get_debug() is True
    loop.set_debug(False)
    assert loop.get_debug() is False


def test_slow_callbacks_are_logged(debug_loop, forever, logged):
    def slow_callback():
        time.sleep(0.02)

    debug_loop.slow_callback_duration = 0.01
    debug_loop.call_soon(slow_callback)
    debug_loop.call_later(0.001, debug_loop.stop)
    forever(debug_loop)
    messages = [record.getMessage() for record in logged() if record.levelname == "WARNING"]
    assert any("Executing <Handle" in message and "slow_callback" in message for message in messages)
    assert any("seconds" in message for message in messages)


def test_slow_tasks_are_logged_by_their_name(run, logged):
    async def main():
        asyncio.get_running_loop().slow_callback_duration = 0.01
        time.sleep(0.02)  # noqa: ASYNC251 - it is to be slow
        await asyncio.sleep(0)

    run(main(), debug=True)
    assert any("Executing <Task" in record.getMessage() for record in logged())


def test_quick_callbacks_are_not_logged(debug_loop, logged):
    debug_loop.slow_callback_duration = 100
    debug_loop.call_soon(int)
    one_turn(debug_loop)
    assert not [record for record in logged() if record.levelname == "WARNING"]


def test_nothing_slow_is_logged_without_debug_mode(loop, logged):
    loop.slow_callback_duration = 0
    loop.call_soon(time.sleep, 0.001)
    one_turn(loop)
    assert not [record for record in logged() if record.levelname == "WARNING"]


@pytest.mark.parametrize("call", ["call_soon", "call_later", "call_at"])
def test_calls_from_a_wrong_thread_are_refused(debug_loop, forever, call):
    failures = []
    leading = () if call == "call_soon" else (0,)

    def work():
        try:
            getattr(debug_loop, call)(*leading, print)
        except RuntimeError as failure:
            failures.append(failure)
        debug_loop.call_soon_threadsafe(debug_loop.stop)

    thread = threading.Thread(target=work)
    debug_loop.call_soon(thread.start)
    forever(debug_loop)
    thread.join(20)
    assert len(failures) == 1
    assert "Non-thread-safe" in str(failures[0])


@pytest.mark.parametrize("call", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def test_coroutines_are_refused_as_callbacks(debug_loop, call):
    async def coroutine_function():
        pass

    coroutine = coroutine_function()
    leading = (0,) if call in ("call_later", "call_at") else ()
    for wrong in (coroutine, coroutine_function):
        with pytest.raises(TypeError, match="coroutines cannot be used"):
            getattr(debug_loop, call)(*leading, wrong)
    with pytest.raises(TypeError, match="callable"):
        getattr(debug_loop, call)(*leading, "not callable")
    coroutine.close()


@pytest.mark.parametrize("call", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_exceptions_tell_where_their_callback_was_scheduled(debug_loop, forever, call):
    contexts = []
    debug_loop.set_exception_handler(lambda _, context: (contexts.append(context), debug_loop.stop()))

    def schedules():
        leading = (0,) if call == "call_later" else ()
        getattr(debug_loop, call)(*leading, lambda: 1 / 0)

    schedules()
    forever(debug_loop)
    assert isinstance(contexts[0]["exception"], ZeroDivisionError)
    assert any(frame.name == "schedules" for frame in contexts[0]["source_traceback"])


def test_the_default_handler_logs_where_the_callback_was_scheduled(debug_loop, logged):
    debug_loop.call_soon(lambda: 1 / 0)
    one_turn(debug_loop)
    # Another record tells of a callback that took long, where the machine is busy.
    [message] = [record.getMessage() for record in logged() if record.exc_info]
    assert "created at (most recent call last)" in message
    assert "test_the_default_handler_logs_where" in message


def test_exceptions_and_interrupts_are_handled_as_ever(debug_loop):
    contexts = []
    debug_loop.set_exception_handler(lambda _, context: contexts.append(context))
    debug_loop.slow_callback_duration = 0
    debug_loop.call_soon(lambda: 1 / 0)
    one_turn(debug_loop)
    assert len(contexts) == 1

    def interrupt():
        raise KeyboardInterrupt

    debug_loop.call_soon(interrupt)
    with pytest.raises(KeyboardInterrupt):
        one_turn(debug_loop)


def test_programs_run_in_debug_mode(run):
    async def main():
        async def echo(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"line\n")
        assert await reader.readline() == b"line\n"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        assert await asyncio.to_thread(int, "3") == 3

    run(main(), debug=True)
