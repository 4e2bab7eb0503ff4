"""close(), and what becomes of what a loop holds."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import weakref

import pytest


class Callback:
    def __init__(self, loop=None):
        self.loop = loop

    def __call__(self, *arguments):
        pass


def descriptors():
    return set(os.listdir("/proc/self/fd"))


def test_close_is_idempotent(new_loop):
    loop = new_loop()
    assert not loop.is_closed()
    for _ in range(3):
        loop.close()
        assert loop.is_closed()
        assert not loop.is_running()
    assert "closed=True" in repr(loop)


def test_a_running_loop_cannot_be_closed(loop):
    async def main():
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()
        await asyncio.sleep(0)
        return "usable"

    assert loop.run_until_complete(main()) == "usable"


def test_a_closed_loop_does_nothing(new_loop):
    loop = new_loop()
    loop.close()
    for call in (
        lambda: loop.call_soon(print),
        lambda: loop.call_soon_threadsafe(print),
        lambda: loop.call_later(1, print),
        lambda: loop.call_at(1, print),
        lambda: loop.run_in_executor(None, print),
        lambda: loop.add_signal_handler(10, print),
        lambda: loop.run_until_complete(loop.create_future()),
    ):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            call()
    coroutine = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.create_task(coroutine)
    coroutine.close()


def test_what_waits_is_dropped(new_loop):
    loop = new_loop()
    ran = []
    handles = [
        loop.call_soon(ran.append, 1),
        loop.call_soon_threadsafe(ran.append, 2),
        loop.call_later(0, ran.append, 3),
        loop.call_later(3600, ran.append, 4),
    ]
    loop.close()
    for handle in handles:
        handle.cancel()
        assert handle.cancelled()
        assert "cancelled" in repr(handle)
    assert ran == []


@pytest.mark.parametrize(
    "way", ["call_soon", "call_soon_threadsafe", "call_later", "add_reader", "add_writer"]
)
def test_callbacks_die_with_the_loop(new_loop, way):
    loop = new_loop()
    left, right = socket.socketpair()
    callback = Callback(loop)
    alive = weakref.ref(callback)
    leading = {"call_later": (3600,), "add_reader": (left,), "add_writer": (left,)}.get(way, ())
    getattr(loop, way)(*leading, callback, callback)
    del callback
    assert alive() is not None
    loop.close()
    gc.collect()
    assert alive() is None
    left.close()
    right.close()


def test_a_closed_loop_dies(new_loop):
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.001)
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        server.close()
        await server.wait_closed()
        await loop.run_in_executor(None, int)
        loop.call_later(3600, Callback(loop))

    loop = new_loop()
    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    alive = weakref.ref(loop)
    loop.call_soon(Callback(loop))
    loop.close()
    del loop
    gc.collect()
    assert alive() is None


def test_a_loop_dies_with_what_it_ran(new_loop):
    class Kept:
        pass

    async def main(kept):
        await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(10)))
        return kept

    kept, loop = Kept(), new_loop()
    alive = weakref.ref(kept)
    assert loop.run_until_complete(main(kept)) is kept
    loop.close()
    del kept
    gc.collect()
    assert alive() is None


def test_loops_leave_no_descriptor_behind(new_loop):
    async def main():
        _, writer = await asyncio.open_connection(*address)
        writer.close()
        await writer.wait_closed()

    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        address = listener.getsockname()
        new_loop().close()
        gc.collect()
        before = descriptors()
        for _ in range(30):
            loop = new_loop()
            loop.run_until_complete(main())
            loop.close()
            listener.accept()[0].close()
        for _ in range(30):
            new_loop().close()
        gc.collect()
        assert descriptors() == before


def test_a_destructor_may_use_the_loop_that_lets_go(new_loop):
    """What it asks of the closed loop is refused, as ever."""
    refused = []

    class Destroyed(Callback):
        def __del__(self):
            try:
                self.loop.call_soon(print)
            except RuntimeError as error:
                refused.append(str(error))

    loop = new_loop()
    loop.call_soon(Destroyed(loop))
    loop.call_later(10, Destroyed(loop))
    loop.close()
    gc.collect()
    assert refused == ["Event loop is closed"] * 2


def test_a_pending_task_of_a_closed_loop_is_told(new_loop, logged):
    loop = new_loop()
    task = loop.create_task(asyncio.Event().wait())
    loop.stop()
    loop.run_forever()
    loop.close()
    del task
    gc.collect()
    assert any("Task was destroyed but it is pending" in record.getMessage() for record in logged())


def test_callbacks_that_hold_each_other_go_once_run(loop):
    """A handle in an attribute of the object whose method it calls: as in many protocols."""
    alive = []

    class Protocol:
        def begin(self):
            self.soon = loop.call_soon(self.done)
            self.later = loop.call_later(0.001, self.done)
            self.never = loop.call_later(3600, self.done)

        def done(self):
            self.never.cancel()

    def begin():
        protocol = Protocol()
        alive.append(weakref.ref(protocol))
        protocol.begin()

    loop.call_soon(begin)
    loop.run_until_complete(asyncio.sleep(0.01))
    gc.collect()
    assert alive[0]() is None
