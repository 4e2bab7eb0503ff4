"""call_soon and its handles, run and stop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import weakref

import pytest

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


def one_turn(loop):
    """Runs what is ready now, and no more."""
    loop.stop()
    loop.run_forever()


# --- Order ---------------------------------------------------------------------------------


def test_callbacks_run_in_the_order_they_were_scheduled(loop):
    ran = []
    for number in range(1000):
        loop.call_soon(ran.append, number)
    one_turn(loop)
    assert ran == list(range(1000))


def test_what_a_callback_schedules_runs_in_the_next_turn(loop):
    ran = []

    def first():
        ran.append("first")
        loop.call_soon(ran.append, "third")

    loop.call_soon(first)
    loop.call_soon(ran.append, "second")
    one_turn(loop)
    assert ran == ["first", "second"]
    one_turn(loop)
    assert ran == ["first", "second", "third"]


@pytest.mark.parametrize("count", range(8))
def test_a_callback_gets_all_its_arguments(loop, count):
    got = []
    loop.call_soon(lambda *arguments: got.append(arguments), *range(count))
    one_turn(loop)
    assert got == [tuple(range(count))]


@pytest.mark.parametrize("call", ["call_soon", "call_soon_threadsafe"])
def test_a_callback_is_needed(loop, call):
    with pytest.raises(TypeError):
        getattr(loop, call)()
    with pytest.raises(TypeError):
        getattr(loop, call)(print, unknown=1)
    for timed in ("call_later", "call_at"):
        with pytest.raises(TypeError):
            getattr(loop, timed)(0)
        with pytest.raises(TypeError):
            getattr(loop, timed)()


def test_callbacks_that_schedule_themselves_starve_neither_timers_nor_descriptors(loop, forever):
    reader, writer = os.pipe()
    happened = set()

    def spin():
        if len(happened) == 2:
            loop.stop()
        else:
            loop.call_soon(spin)

    def readable():
        happened.add("readable")
        loop.remove_reader(reader)

    loop.add_reader(reader, readable)
    loop.call_later(0.01, happened.add, "timer")
    loop.call_soon(spin)
    loop.call_soon(spin)
    loop.call_soon(os.write, writer, b"x")
    forever(loop)
    assert happened == {"readable", "timer"}
    os.close(reader)
    os.close(writer)


def test_a_callback_is_let_go_of_once_it_has_run(loop):
    class Callback:
        def __call__(self, argument):
            pass

    callback, argument = Callback(), Callback()
    callback_alive, argument_alive = weakref.ref(callback), weakref.ref(argument)
    loop.call_soon(callback, argument)
    del callback, argument
    assert callback_alive() is not None
    assert argument_alive() is not None
    one_turn(loop)
    gc.collect()
    assert callback_alive() is None
    assert argument_alive() is None


# --- Contexts ------------------------------------------------------------------------------


def test_a_callback_runs_in_a_copy_of_the_context_it_was_scheduled_in(loop):
    seen = []

    def first():
        seen.append(VARIABLE.get())
        VARIABLE.set("changed by a callback")

    def schedule():
        VARIABLE.set("before")
        loop.call_soon(first)
        loop.call_soon(lambda: seen.append(VARIABLE.get()))
        VARIABLE.set("after")

    contextvars.copy_context().run(schedule)
    one_turn(loop)
    assert seen == ["before", "before"]
    assert VARIABLE.get() == "unset"


@pytest.mark.parametrize("call", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def test_a_given_context_is_used_itself(loop, forever, call):
    context = contextvars.copy_context()
    context.run(VARIABLE.set, "given")
    seen = []

    def callback(argument):
        seen.append((argument, VARIABLE.get()))
        VARIABLE.set("by callback")
        loop.stop()

    leading = {"call_later": (0,), "call_at": (loop.time(),)}.get(call, ())
    getattr(loop, call)(*leading, callback, 1, context=context)
    forever(loop)
    assert seen == [(1, "given")]
    assert context[VARIABLE] == "by callback"


def test_the_context_may_be_given_as_none(loop):
    seen = []
    context = contextvars.copy_context()
    context.run(VARIABLE.set, "current")
    context.run(lambda: loop.call_soon(lambda: seen.append(VARIABLE.get()), context=None))
    one_turn(loop)
    assert seen == ["current"]


# --- Handles -------------------------------------------------------------------------------


def test_a_cancelled_callback_does_not_run(loop):
    ran = []
    handle = loop.call_soon(ran.append, 1)
    assert not handle.cancelled()
    handle.cancel()
    assert handle.cancelled()
    handle.cancel()
    one_turn(loop)
    assert ran == []


def test_a_callback_can_be_cancelled_by_one_before_it_in_the_same_turn(loop):
    ran = []
    loop.call_soon(lambda: later.cancel())
    later = loop.call_soon(ran.append, "cancelled")
    loop.call_soon(ran.append, "not cancelled")
    one_turn(loop)
    assert ran == ["not cancelled"]


def test_a_callback_may_cancel_itself(loop):
    ran = []

    def callback(*arguments):
        handle.cancel()
        gc.collect()
        ran.append(arguments)

    handle = loop.call_soon(callback, *(object() for _ in range(5)))
    one_turn(loop)
    assert len(ran[0]) == 5
    assert handle.cancelled()


def test_cancel_after_the_callback_ran_does_nothing(loop):
    ran = []
    handle = loop.call_soon(ran.append, 1)
    one_turn(loop)
    handle.cancel()
    one_turn(loop)
    assert ran == [1]


def test_cancel_lets_go_of_the_callback(loop):
    class Callback:
        def __call__(self):
            pass

    callback = Callback()
    alive = weakref.ref(callback)
    handle = loop.call_soon(callback)
    del callback
    handle.cancel()
    gc.collect()
    assert alive() is None
    assert handle.cancelled()


def test_repr_tells_what_will_be_called(loop):
    def told():
        pass

    handle = loop.call_soon(told)
    timer = loop.call_later(10, told)
    assert repr(handle).startswith("<Handle ")
    assert repr(timer).startswith("<TimerHandle ")
    for each in (handle, timer):
        assert "told() at " in repr(each)
        assert "cancelled" not in repr(each)
        each.cancel()
        assert "cancelled" in repr(each)
        assert "told" not in repr(each)


def test_get_context_is_the_context_of_the_callback(loop):
    context = contextvars.copy_context()
    handle = loop.call_soon(int, context=context)
    if not hasattr(handle, "get_context"):
        pytest.skip("asyncio has it from Python 3.12")
    assert handle.get_context() is context
    copied = loop.call_soon(int).get_context()
    assert isinstance(copied, contextvars.Context)
    assert copied is not context


def test_handles_are_asyncios_to_whoever_asks(loop):
    handle, timer = loop.call_soon(print, "never"), loop.call_later(3600, print)
    assert isinstance(handle, asyncio.Handle)
    assert not isinstance(handle, asyncio.TimerHandle)
    assert isinstance(timer, asyncio.TimerHandle)
    handle.cancel()


@pytest.mark.parametrize("make", ["call_soon", "call_later"])
def test_handles_can_be_referred_to_weakly(loop, make):
    handle = loop.call_soon(int) if make == "call_soon" else loop.call_later(3600, int)
    gone = []
    weak = weakref.ref(handle, gone.append)
    assert weak() is handle
    handle.cancel()
    del handle
    one_turn(loop)
    gc.collect()
    assert weak() is None
    assert gone == [weak]


# --- run and stop --------------------------------------------------------------------------


def test_the_loop_is_running_and_current_in_its_callbacks_only(loop):
    seen = []
    loop.call_soon(lambda: seen.append((loop.is_running(), asyncio.get_running_loop() is loop)))
    assert not loop.is_running()
    one_turn(loop)
    assert seen == [(True, True)]
    assert not loop.is_running()
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_stop_ends_the_loop_after_the_current_turn(loop, forever):
    ran = []
    loop.call_soon(loop.stop)
    loop.call_soon(ran.append, "same turn")
    loop.call_soon(lambda: loop.call_soon(ran.append, "next turn"))
    forever(loop)
    assert ran == ["same turn"]
    one_turn(loop)
    assert ran == ["same turn", "next turn"]


def test_stop_before_run_forever_lets_one_turn_run(loop):
    ran = []
    loop.call_soon(ran.append, 1)
    loop.stop()
    loop.stop()
    loop.run_forever()
    assert ran == [1]


def test_stop_does_not_last(loop, forever):
    one_turn(loop)
    ran = []
    loop.call_soon(lambda: loop.call_soon(lambda: loop.call_soon(lambda: (ran.append(1), loop.stop()))))
    forever(loop)
    assert ran == [1]


@pytest.mark.parametrize("which", ["run_forever", "run_until_complete", "another loop"])
def test_a_running_loop_cannot_be_run_again(loop, new_loop, which):
    other = new_loop()

    async def main():
        if which == "run_forever":
            with pytest.raises(RuntimeError, match="already running"):
                loop.run_forever()
        elif which == "run_until_complete":
            future = loop.create_future()
            with pytest.raises(RuntimeError, match="already running"):
                loop.run_until_complete(future)
        else:
            with pytest.raises(RuntimeError, match="another loop is running"):
                other.run_forever()
            assert not other.is_running()

    try:
        loop.run_until_complete(main())
    finally:
        other.close()


def test_run_until_complete_gives_the_result_or_raises(loop):
    async def main(error):
        await asyncio.sleep(0)
        if error is not None:
            raise error
        return "result"

    assert loop.run_until_complete(main(None)) == "result"
    with pytest.raises(LookupError, match="from main"):
        loop.run_until_complete(main(LookupError("from main")))
    future = loop.create_future()
    loop.call_soon(future.set_result, 7)
    assert loop.run_until_complete(future) == 7


def test_run_until_complete_of_what_is_stopped_raises(loop):
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match="stopped before Future completed"):
        loop.run_until_complete(future)
    future.cancel()
    one_turn(loop)
