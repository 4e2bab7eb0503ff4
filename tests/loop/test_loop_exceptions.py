"""What exceptions in callbacks do."""

from __future__ import annotations

import asyncio
import os

import pytest


def one_turn(loop):
    """Runs what is ready now, and no more."""
    loop.stop()
    loop.run_forever()


class Custom(BaseException):
    """Neither an Exception nor one of those that end the loop."""


def fail(error):
    raise error


@pytest.mark.parametrize("error", [LookupError("told"), Custom("told"), GeneratorExit("told")])
@pytest.mark.parametrize("call", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_an_exception_in_a_callback_goes_to_the_exception_handler(loop, forever, call, error):
    contexts, ran = [], []
    loop.set_exception_handler(lambda *arguments: contexts.append(arguments))
    leading = (0,) if call == "call_later" else ()
    handle = getattr(loop, call)(*leading, fail, error)
    loop.call_later(0.001, lambda: (ran.append(1), loop.stop()))
    forever(loop)
    assert ran == [1]
    [(told_loop, context)] = contexts
    assert told_loop is loop
    assert context["exception"] is error
    assert context["handle"] is handle
    assert context["message"].startswith("Exception in callback ")
    assert "fail(" in context["message"]


def test_the_rest_of_the_turn_runs_after_an_exception(loop):
    ran = []
    loop.set_exception_handler(lambda *_: ran.append("handler"))
    loop.call_soon(fail, ValueError())
    loop.call_soon(ran.append, "next")
    one_turn(loop)
    assert ran == ["handler", "next"]


def test_the_default_handler_logs_with_the_traceback(loop, logged):
    loop.call_soon(fail, LookupError("told"))
    one_turn(loop)
    [record] = logged()[-1:]
    assert record.levelname == "ERROR"
    assert record.getMessage().startswith("Exception in callback")
    assert "handle: <Handle" in record.getMessage()
    assert isinstance(record.exc_info[1], LookupError)


def test_an_exception_in_the_exception_handler_is_logged(loop, logged):
    ran = []
    loop.set_exception_handler(lambda *_: 1 / 0)
    loop.call_soon(fail, LookupError("told"))
    loop.call_soon(ran.append, 1)
    one_turn(loop)
    assert ran == [1]
    assert "Unhandled error in exception handler" in logged()[-1].getMessage()


def test_the_exception_handler_is_set_and_unset(loop, logged):
    def handler(loop, context):
        pass

    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() is handler
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None
    with pytest.raises(TypeError):
        loop.set_exception_handler("not callable")
    loop.call_soon(fail, LookupError("told"))
    one_turn(loop)
    assert logged()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize(
    "source", ["call_soon", "call_soon_threadsafe", "call_later", "reader", "task", "done"]
)
def test_what_ends_the_program_comes_out_of_run_forever(loop, forever, source, error):
    reader, writer = os.pipe()
    os.write(writer, b"x")
    loop.set_exception_handler(lambda *_: pytest.fail("must not be handled"))
    raised = error("told")
    if source == "reader":
        loop.add_reader(reader, fail, raised)
    elif source == "call_later":
        loop.call_later(0.001, fail, raised)
    elif source == "task":

        async def main():
            await asyncio.sleep(0.001)
            raise raised

        task = loop.create_task(main())
    elif source == "done":
        future = loop.create_future()
        future.add_done_callback(lambda _: fail(raised))
        future.set_result(None)
    else:
        getattr(loop, source)(fail, raised)
    with pytest.raises(error) as caught:
        forever(loop)
    assert caught.value is raised
    if source == "task":
        assert task.exception() is raised
    # The loop is as good as before.
    assert not loop.is_running()
    loop.remove_reader(reader)
    ran = []
    loop.call_soon(ran.append, 1)
    loop.call_later(0.001, loop.stop)
    forever(loop)
    assert ran == [1]
    os.close(reader)
    os.close(writer)


def test_callbacks_behind_one_that_ends_the_program_run_when_the_loop_runs_again(loop):
    ran = []
    loop.call_soon(ran.append, "before")
    loop.call_soon(fail, KeyboardInterrupt())
    loop.call_soon(ran.append, "behind")
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert ran == ["before"]
    one_turn(loop)
    assert ran == ["before", "behind"]


def test_the_exception_handler_may_end_the_program(loop):
    def handler(loop, context):
        raise SystemExit(3)

    loop.set_exception_handler(handler)
    loop.call_soon(fail, ValueError())
    with pytest.raises(SystemExit) as caught:
        loop.run_forever()
    assert caught.value.code == 3


def test_a_callback_that_cannot_be_called_is_an_exception_like_others(loop):
    contexts = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    loop.call_soon(None)
    loop.call_soon(len)
    one_turn(loop)
    assert [type(context["exception"]) for context in contexts] == [TypeError, TypeError]
