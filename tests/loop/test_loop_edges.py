"""Rare moments in the life of a loop, each of which once went wrong; each passes on asyncio's own loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import socket
import subprocess
import sys
import warnings
import weakref

import pytest

LIMIT = 20


def one_turn(loop):
    loop.stop()
    loop.run_forever()


@pytest.fixture
def script(new_loop):
    """``script(code)`` runs code, where ``new_loop`` makes a loop, in an interpreter of its own."""
    name = (
        "fasterapi.loop import new_event_loop"
        if new_loop is not asyncio.SelectorEventLoop
        else ("asyncio import SelectorEventLoop")
    )

    def script(code):
        process = subprocess.run(
            [sys.executable, "-c", f"from {name} as new_loop\n{code}"],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert (process.returncode, process.stderr) == (0, "")
        return process.stdout.split()

    return script


def test_a_descriptor_may_be_closed_before_the_loop_polls(script):
    code = """
import os, socket
loop = new_loop()
reader, writer = os.pipe()
loop.add_reader(reader, print)
os.close(reader)
loop.call_later(0.001, loop.stop)
loop.run_forever()
print("alive", loop.remove_reader(reader))
loop.close()
"""
    assert script(code) == ["alive", "True"]


def test_a_descriptor_may_be_closed_before_one_of_two_is_removed(script):
    """asyncio's loop raises OSError from remove_writer(); either is better than to abort."""
    code = """
import os, socket
loop = new_loop()
left, right = socket.socketpair()
number = left.fileno()
loop.add_reader(number, print)
loop.add_writer(number, int)
loop.call_later(0.001, loop.stop)
loop.run_forever()
left.close()
try:
    loop.remove_writer(number)
except OSError:
    pass
loop.call_later(0.001, loop.stop)
loop.run_forever()
print("alive")
loop.close()
"""
    assert script(code) == ["alive"]


def test_a_replaced_reader_whose_destructor_removes_it(script):
    code = """
import os
loop = new_loop()
reader, writer = os.pipe()
class Protocol:
    def readable(self):
        pass
    def __del__(self):
        print("removed", loop.remove_reader(reader))
loop.add_reader(reader, Protocol().readable)
loop.add_reader(reader, print)
loop.call_later(0.001, loop.stop)
loop.run_forever()
loop.remove_reader(reader)
loop.close()
print("alive")
"""
    assert script(code) == ["removed", "True", "alive"]


def test_a_loop_in_a_daemon_thread_when_the_interpreter_ends(script):
    code = """
import asyncio, sys, threading, time
async def busy():
    running.set()
    while True:
        await asyncio.sleep(0.0005)
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.05)  # while the interpreter takes itself apart
running = threading.Event()
threading.Thread(target=new_loop().run_until_complete, args=(busy(),), daemon=True).start()
running.wait()
sys.modules["slow"] = Slow()
print("alive")
"""
    assert script(code) == ["alive"]


@pytest.mark.parametrize("way", ["cancelled", "run"])
def test_a_handle_in_an_object_that_a_context_holds(loop, way):
    """As of a request's state in a ContextVar: the context holds it, it holds the handle, that the context."""
    variable = contextvars.ContextVar("variable")
    alive = []

    class State:
        pass

    def begin():
        state = State()
        variable.set(state)
        state.handle = loop.call_soon(int)
        if way == "cancelled":
            state.handle.cancel()
        alive.append(weakref.ref(state))

    contextvars.Context().run(begin)
    one_turn(loop)
    gc.collect()
    assert alive[0]() is None


def test_a_loop_left_unclosed_is_collected_with_a_warning(new_loop):
    loop = new_loop()
    alive = weakref.ref(loop)
    loop.call_later(3600, loop.stop)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del loop
        gc.collect()
    assert alive() is None
    assert [str(each.message)[:20] for each in caught if each.category is ResourceWarning][:1] == [
        "unclosed event loop "
    ]


def test_stop_before_run_forever_polls_once_and_runs_what_that_brings(loop):
    """In asyncio's documentation of run_forever() in these words."""
    reader, writer = os.pipe()
    os.write(writer, b"x")
    ran = []
    loop.add_reader(reader, lambda: (ran.append("reader"), loop.remove_reader(reader)))
    loop.call_soon(ran.append, "soon")
    loop.call_soon_threadsafe(ran.append, "threadsafe")
    loop.call_at(loop.time() - 1, ran.append, "timer")
    one_turn(loop)
    assert sorted(ran) == ["reader", "soon", "threadsafe", "timer"]
    os.close(reader)
    os.close(writer)


def test_readiness_of_an_earlier_run_is_not_told_to_the_next(loop, forever):
    left, right = socket.socketpair()
    left.setblocking(False)
    called = []
    loop.add_writer(left, called.append, "room")
    loop.call_later(0.001, loop.stop)
    forever(loop)
    assert called
    called.clear()
    try:
        while True:
            left.send(b"x" * 65536)
    except BlockingIOError:
        pass
    loop.call_later(0.001, loop.stop)
    forever(loop)
    assert called == []
    loop.remove_writer(left)
    left.close()
    right.close()


def test_a_closed_loop_cannot_be_run(new_loop):
    loop = new_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_forever()


def test_a_running_loop_is_running_between_its_turns_too(new_loop):
    """There other threads get the interpreter, and ask, and close the loop if it says that it is not running."""
    seen = []
    kind = type(loop := new_loop())
    loop.close()

    class Told(kind):
        def _run_once(self):
            seen.append(self.is_running())
            super()._run_once()

    loop = Told()
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    assert seen
    assert all(seen)


def test_threadsafe_calls_of_a_loop_at_rest_keep_their_place(loop):
    ran = []
    loop.call_soon_threadsafe(ran.append, 1)
    loop.call_soon(ran.append, 2)
    loop.call_soon_threadsafe(ran.append, 3)
    loop.call_soon(ran.append, 4)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert ran == [1, 2, 3, 4]


def test_watching_does_not_change_the_descriptor(loop):
    """O_NONBLOCK belongs to the open file: of a terminal it would reach the shell and our own stdout."""
    reader, writer = os.pipe()
    loop.add_reader(reader, print)
    loop.add_writer(writer, print)
    assert os.get_blocking(reader)
    assert os.get_blocking(writer)
    loop.remove_reader(reader)
    loop.remove_writer(writer)
    os.close(reader)
    os.close(writer)


def test_a_socket_closed_while_watched_can_be_removed_by_the_object(loop):
    left, right = socket.socketpair()
    loop.add_reader(left, print)
    left.close()
    assert loop.remove_reader(left) is True
    right.close()


def test_the_message_of_an_exception_is_asyncios(loop):
    messages = []
    loop.set_exception_handler(lambda _, context: messages.append(context["message"]))

    def fails():
        raise ValueError

    loop.call_soon(fails)
    one_turn(loop)
    assert messages[0].startswith(
        "Exception in callback test_the_message_of_an_exception_is_asyncios.<locals>.fails() at "
    )


def test_an_error_in_a_debugged_callback_is_told_before_it_is_slow(loop, logged):
    """asyncio tells of both; the warning must not be lost with the error."""
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    loop.call_soon(lambda: 1 / 0)
    one_turn(loop)
    levels = [record.levelname for record in logged() if record.levelname in ("ERROR", "WARNING")]
    assert levels[:2] == ["ERROR", "WARNING"]
