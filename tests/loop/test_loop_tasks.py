"""Tasks, futures, asynchronous generators and asyncio's own tools on the loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref

import pytest

from fasterapi.loop import EventLoop

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")

needs_311 = pytest.mark.skipif(sys.version_info < (3, 11), reason="new in Python 3.11")
needs_312 = pytest.mark.skipif(sys.version_info < (3, 12), reason="new in Python 3.12")


def test_tasks_take_turns(run):
    ran = []

    async def one(name):
        for step in range(3):
            ran.append((name, step))
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(*(one(name) for name in "abc"))

    run(main())
    assert ran == [(name, step) for step in range(3) for name in "abc"]


def test_create_task_does_not_run_it_yet(run):
    async def main():
        ran = []

        async def one():
            ran.append(asyncio.current_task())

        task = asyncio.get_running_loop().create_task(one(), name="named")
        assert ran == []
        assert task.get_name() == "named"
        await task
        assert ran == [task]

    run(main())


def test_create_task_takes_what_asyncio_takes(loop):
    async def one():
        pass

    loop.set_debug(True)
    for options in ({}, {"name": "named"}, {"name": None}):
        task = loop.create_task(one(), **options)
        assert type(task) is asyncio.Task
        assert task.get_loop() is loop
        assert task.get_name() == "named" if options.get("name") else task.get_name().startswith("Task-")
        assert task._source_traceback[-1].name == "test_create_task_takes_what_asyncio_takes"
        loop.run_until_complete(task)
    for arguments, options in (((), {}), ((one, one), {}), ((one,), {"colour": 1}), ((one,), {"loop": loop})):
        with pytest.raises(TypeError):
            loop.create_task(*arguments, **options)
    with pytest.raises(TypeError, match="a coroutine was expected"):
        loop.create_task(one)
    coroutine = one()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.create_task(coroutine)
    coroutine.close()


def test_create_future_makes_asyncios(loop):
    future = loop.create_future()
    assert type(future) is asyncio.Future
    assert future.get_loop() is loop


def test_a_loop_that_made_futures_is_collected(new_loop):
    loop = new_loop()
    future = loop.create_future()
    loop.close()
    assert loop.create_future().get_loop() is loop
    gone = weakref.ref(loop)
    del loop, future
    gc.collect()
    assert gone() is None


def test_tasks_wake_up_by_the_call_soon_of_a_subclass(new_loop):
    calls = []

    class Loop(new_loop if isinstance(new_loop, type) else EventLoop):
        def call_soon(self, callback, *arguments, context=None):
            calls.append(callback)
            return super().call_soon(callback, *arguments, context=context)

    loop = Loop()
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    assert len(calls) >= 3  # the task's first step, its wake-up, and the end of run_until_complete()


def test_done_callbacks_run_in_order_and_not_at_once(run):
    async def main():
        loop = asyncio.get_running_loop()
        future, ran = loop.create_future(), []
        for number in range(5):
            future.add_done_callback(lambda _, number=number: ran.append(number))
        future.set_result(1)
        assert ran == []
        await asyncio.sleep(0)
        assert ran == [0, 1, 2, 3, 4]

    run(main())


def test_cancel(run):
    async def main():
        events = []

        async def one():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                events.append("cancelled")
                await asyncio.sleep(0)
                events.append("cleaned up")
                raise

        task = asyncio.ensure_future(one())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert events == ["cancelled", "cleaned up"]
        never = asyncio.ensure_future(one())
        never.cancel()
        with pytest.raises(asyncio.CancelledError):
            await never
        assert events == ["cancelled", "cleaned up"]

    run(main())


def test_queues_and_locks(run):
    async def main():
        queue, lock, order = asyncio.Queue(2), asyncio.Lock(), []

        async def producer():
            for number in range(100):
                await queue.put(number)
            await queue.put(None)

        async def consumer():
            while (number := await queue.get()) is not None:
                async with lock:
                    await asyncio.sleep(0)
                    order.append(number)

        await asyncio.gather(producer(), consumer())
        assert order == list(range(100))

    run(main())


def test_every_task_has_its_context(run):
    async def one(value):
        VARIABLE.set(value)
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return VARIABLE.get()

    async def main():
        VARIABLE.set("main")
        values = [str(number) for number in range(20)]
        assert await asyncio.gather(*map(one, values)) == values
        assert VARIABLE.get() == "main"

    run(main())


@needs_311
def test_a_task_runs_in_the_context_it_is_given(run):
    async def main():
        context = contextvars.copy_context()

        async def one():
            await asyncio.sleep(0)
            VARIABLE.set("by task")

        await asyncio.get_running_loop().create_task(one(), context=context)
        assert context[VARIABLE] == "by task"
        assert VARIABLE.get() == "unset"

    run(main())


def test_a_task_that_fails_unseen_is_logged(run, logged):
    async def one():
        raise LookupError("unseen")

    async def main():
        task = asyncio.ensure_future(one())
        await asyncio.wait([task])
        del task

    run(main())
    assert any("never retrieved" in record.getMessage() for record in logged())


# --- Factories -----------------------------------------------------------------------------


def test_a_task_factory_makes_the_tasks(loop):
    made = []

    def factory(loop, coroutine, **options):
        options.pop("eager_start", None)
        task = asyncio.Task(coroutine, loop=loop, **options)
        made.append(task)
        return task

    async def one():
        return asyncio.current_task()

    async def main():
        return await asyncio.get_running_loop().create_task(one())

    assert loop.get_task_factory() is None
    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory
    inner = loop.run_until_complete(main())
    assert len(made) == 2
    assert made[1] is inner
    loop.set_task_factory(None)
    loop.run_until_complete(main())
    assert len(made) == 2
    with pytest.raises(TypeError):
        loop.set_task_factory("not callable")
    assert loop.get_task_factory() is None


@needs_312
def test_the_eager_task_factory(loop):
    ran = []

    async def one(number):
        ran.append(("begun", number))
        if number:
            await asyncio.sleep(0)
        ran.append(("done", number))
        return number

    async def main():
        at_once = asyncio.create_task(one(0))
        assert at_once.done()
        later = asyncio.create_task(one(1))
        assert not later.done()
        assert ran == [("begun", 0), ("done", 0), ("begun", 1)]
        assert await later == 1
        assert await at_once == 0
        assert asyncio.current_task() is not None

    loop.set_task_factory(asyncio.eager_task_factory)
    loop.run_until_complete(main())
    assert ran[-1] == ("done", 1)


@needs_312
def test_eager_tasks_that_fail_or_never_wait(loop):
    async def fails():
        raise LookupError("eager")

    async def main():
        task = asyncio.create_task(fails())
        with pytest.raises(LookupError):
            await task
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0, number)) for number in range(10)]
        assert [task.result() for task in tasks] == list(range(10))

    loop.set_task_factory(asyncio.eager_task_factory)
    loop.run_until_complete(main())


# --- Timeouts and groups -------------------------------------------------------------------


@needs_311
def test_timeout(run):
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.002):
                await asyncio.Event().wait()
        async with asyncio.timeout(10) as limit:
            await asyncio.sleep(0)
        assert not limit.expired()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(asyncio.get_running_loop().time() - 1):
                await asyncio.Event().wait()
        async with asyncio.timeout(0.001) as limit:
            limit.reschedule(asyncio.get_running_loop().time() + 10)
            await asyncio.sleep(0.003)

    run(main())


@needs_311
def test_task_group(run):
    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0.001, number)) for number in range(10)]
        assert [task.result() for task in tasks] == list(range(10))

    run(main())


@needs_311
def test_a_task_group_cancels_the_rest_when_one_fails(run):
    async def main():
        cancelled = []

        async def waits():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(1)
                raise

        async def fails():
            await asyncio.sleep(0.001)
            raise LookupError("group")

        with pytest.raises(BaseException) as caught:  # noqa: PT011, PT012 - ExceptionGroup is new in 3.11
            async with asyncio.TaskGroup() as group:
                group.create_task(waits())
                group.create_task(fails())
                await waits()
        assert [type(error) for error in caught.value.exceptions] == [LookupError]
        assert cancelled == [1, 1]

    run(main())


def test_gather_shield_and_wait(run):
    async def main():
        results = await asyncio.gather(asyncio.sleep(0.001, 1), asyncio.sleep(0, 2), return_exceptions=True)
        assert results == [1, 2]
        inner = asyncio.ensure_future(asyncio.sleep(0.002, "inner"))
        outer = asyncio.ensure_future(asyncio.shield(inner))
        await asyncio.sleep(0)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert await inner == "inner"
        never = asyncio.ensure_future(asyncio.Event().wait())
        soon = asyncio.ensure_future(asyncio.sleep(0.001))
        done, pending = await asyncio.wait({soon, never}, return_when=asyncio.FIRST_COMPLETED)
        assert (done, pending) == ({soon}, {never})
        done, pending = await asyncio.wait({never}, timeout=0.001)
        assert pending == {never}
        never.cancel()
        assert [
            await each for each in asyncio.as_completed([asyncio.sleep(0.002, 2), asyncio.sleep(0, 1)])
        ] == [1, 2]

    run(main())


# --- Asynchronous generators ---------------------------------------------------------------


def test_a_generator_left_behind_is_closed(run):
    closed = []

    async def generator():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(1)

    async def main():
        async for value in generator():
            assert value == 1
            break
        for _ in range(5):
            await asyncio.sleep(0)
        assert closed == [1]

    run(main())


def test_shutdown_asyncgens_closes_those_still_alive(loop):
    closed = []

    async def generator():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append(1)

    async def begin():
        return await alive.__anext__()

    alive = generator()
    assert loop.run_until_complete(begin()) == 1
    assert closed == []
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert closed == [1]


# --- asyncio.Runner ------------------------------------------------------------------------


@needs_311
def test_the_runner_keeps_its_context_and_cancels_what_is_left(new_loop):
    ended = []

    async def left_behind():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    async def main(value):
        before = VARIABLE.get()
        VARIABLE.set(value)
        asyncio.get_running_loop().kept = asyncio.ensure_future(left_behind())
        await asyncio.sleep(0)
        return before

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(main("first")) == "unset"
        assert runner.run(main("second")) == "first"
        assert ended == []
        loop = runner.get_loop()
    assert ended == [1, 1]
    assert loop.is_closed()
    del loop.kept


@needs_311
def test_many_runs_one_after_another(new_loop):
    async def main(number):
        await asyncio.sleep(0)
        return number

    for number in range(100):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            assert runner.run(main(number)) == number


@needs_312
def test_asyncio_run_takes_the_factory(new_loop):
    async def main():
        return asyncio.get_running_loop()

    assert asyncio.run(main(), loop_factory=new_loop).is_closed()
