"""What an application keeps of a request stays that request's: the server gives the same native objects to
a later one only when nobody can tell. And asyncio's list of all tasks has each task as long as it runs."""

from __future__ import annotations

import asyncio
import gc
import threading
import types
import weakref

import pytest
from support.wire import request_bytes


async def answer(send, data):
    length = [(b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": data})


@pytest.fixture(params=["in its first step", "after a wait"])
def served(in_process, request):
    """Serves a function of (number of the request, receive, send), whose result is the answer."""

    def serve(function):
        count = 0

        async def app(scope, receive, send):
            nonlocal count
            if scope["type"] == "lifespan":
                return
            count += 1
            if request.param == "after a wait":
                await asyncio.sleep(0)
            await answer(send, str(await function(count, receive, send)).encode())

        return in_process(app, lifespan="off")

    return serve


def bodies(connection, count):
    return [connection.get("/").body.decode() for _ in range(count)]


@pytest.mark.parametrize("kept", ["send", "receive", "task"])
def test_kept_objects_are_not_given_to_a_later_request(served, kept):
    held = []

    async def keeps(number, receive, send):
        object_ = {"send": send, "receive": receive, "task": asyncio.current_task()}[kept]
        seen = any(object_ is other for other in held)
        held.append(object_)
        return seen

    with served(keeps).connect() as connection:
        assert bodies(connection, 5) == ["False"] * 5


def test_a_kept_send_and_receive_do_nothing_to_a_later_request(served):
    held = []

    async def meddles(number, receive, send):
        for old_receive, old_send in held:
            await old_send({"type": "http.response.body", "body": b"meddled"})
            assert await old_receive() == {"type": "http.disconnect"}
        held.append((receive, send))
        return number

    with served(meddles).connect() as connection:
        assert bodies(connection, 4) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("which", ["receive", "send"])
def test_a_weak_reference_to_a_request_s_method_dies_with_it(served, which):
    references = []

    async def refers(number, receive, send):
        alive = [reference() is not None for reference in references]
        references.append(weakref.ref({"receive": receive, "send": send}[which]))
        return any(alive)

    with served(refers).connect() as connection:
        assert bodies(connection, 4) == ["False"] * 4


def test_a_kept_coroutine_is_not_run_again(served):
    coroutines = []

    async def keeps(number, receive, send):
        mine = asyncio.current_task().get_coro()
        seen = any(mine is other for other in coroutines)
        for ended in coroutines:
            with pytest.raises(RuntimeError):
                ended.send(None)
        coroutines.append(mine)
        return seen

    with served(keeps).connect() as connection:
        assert bodies(connection, 3) == ["False"] * 3


def test_methods_of_no_request_are_refused(served):
    """Between two requests only the garbage collector's list shows them."""
    began = threading.Event()
    released = asyncio.Event()

    def others(cycle):
        methods = [each for each in gc.get_objects() if isinstance(each, types.BuiltinMethodType)]
        return [each for each in methods if type(each.__self__) is type(cycle) and each.__self__ is not cycle]

    async def finds(number, receive, send):
        if number == 2:
            released.set()
            return "done"
        began.set()
        await released.wait()
        found = others(receive.__self__)
        for method in found:
            with pytest.raises(RuntimeError, match="belongs to no request"):
                method() if method.__name__ == "receive" else method({})
        return sorted(method.__name__ for method in found)

    server = served(finds)
    with server.connect() as first, server.connect() as second:
        first.send(request_bytes("GET", "/"))
        assert began.wait(10)
        assert bodies(second, 1) == ["done"]
        assert first.response().body == b"['receive', 'send']"


def test_all_tasks_has_each_request_s_task_while_it_runs(served):
    released = asyncio.Event()
    began = threading.Event()
    waiting = []

    def listed(task):
        return [each for each in asyncio.all_tasks() if each is task] == [task]

    async def waits(number, receive, send):
        task = asyncio.current_task()
        in_first_step = listed(task)
        if number == 1:
            waiting.append(task)
            began.set()
            await released.wait()
            return in_first_step
        if number == 2:
            other = listed(waiting[0])
            released.set()
            await asyncio.sleep(0)
            return in_first_step, other, listed(task)
        return listed(waiting[0])

    server = served(waits)
    with server.connect() as first, server.connect() as second:
        first.send(request_bytes("GET", "/"))
        assert began.wait(10)
        assert bodies(second, 1) == ["(True, True, True)"]
        assert first.response().body == b"True"
        assert bodies(second, 1) == ["False"]
