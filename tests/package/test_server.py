"""fasterapi.Server as programs use uvicorn.Server: in a thread, in a running loop, with their own sockets."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from commandline import LIMIT, Process, get, get_from

import fasterapi
from fasterapi import Config, Server

Start = Callable[..., Process]

LOOPS = ["auto", "asyncio", "uvloop"]

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="unset")


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "uvloop":
        pytest.importorskip("uvloop")
    return Config(app, loop=name, log_config=None).get_loop_factory()


def run_in(name: str, main: Any) -> Any:
    """Runs a coroutine in a loop by name, as a program of the user's would."""
    loop = loop_factory(name)()
    try:
        return loop.run_until_complete(asyncio.wait_for(main, LIMIT))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def answer(send: Any, text: str) -> None:
    body = text.encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        request_id.set("from lifespan")
        scope["state"]["numbers"] = [1]
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/context":
        before = request_id.get()
        request_id.set("from a request")
        await answer(send, before)
    elif scope["path"] == "/state":
        scope["state"]["numbers"].append(2)
        scope["state"]["mine"] = True
        await answer(send, repr(sorted(scope["state"].items())))
    elif scope["path"] == "/loop":
        await answer(send, type(asyncio.get_running_loop()).__module__)
    else:
        await answer(send, scope["root_path"] + "|" + scope["path"])


@contextlib.contextmanager
def in_thread(server: Server, **options: Any) -> Iterator[int]:
    """The idiom of countless test suites."""
    failure: list[BaseException] = []

    def target() -> None:
        try:
            server.run(**options)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    end = time.monotonic() + LIMIT
    while not server.started:
        assert thread.is_alive(), failure
        assert time.monotonic() < end
        time.sleep(0.001)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(LIMIT)
    assert not thread.is_alive()
    assert not failure


@pytest.mark.parametrize("loop", LOOPS)
def test_thread_fixture(loop: str) -> None:
    loop_factory(loop)
    server = Server(Config(app, port=0, loop=loop))
    with in_thread(server) as port:
        assert get(port, "/x") == (200, b"|/x")
        module = get(port, "/loop")[1].decode()
    assert module == {"auto": "fasterapi.loop", "asyncio": "asyncio.unix_events", "uvloop": "uvloop"}[loop]
    assert server.server_state.total_requests == 2
    assert len(server.server_state.connections) == 0
    assert server.server_state.tasks == set()
    assert server.servers[0].sockets == ()


def test_should_exit_wakes_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that looked for it once in a while would not end in this test's time."""
    monkeypatch.setattr("fasterapi.server.TICK", 3600.0)
    for _ in range(10):
        with in_thread(Server(Config(app, port=0, lifespan="off"))):
            pass


def test_the_port_is_free_afterwards() -> None:
    server = Server(Config(app, port=0))
    with in_thread(server) as port:
        get(port)
    with in_thread(Server(Config(app, port=port))):
        assert get(port, "/again") == (200, b"|/again")
    with pytest.raises(ConnectionRefusedError):
        get(port)


def test_root_path() -> None:
    with in_thread(Server(Config(app, port=0, root_path="/api"))) as port:
        assert get(port, "/x") == (200, b"/api|/api/x")


def test_requests_start_from_the_lifespans_context_and_state() -> None:
    with in_thread(Server(Config(app, port=0))) as port:
        assert [get(port, "/context")[1] for _ in range(2)] == [b"from lifespan"] * 2
        assert get(port, "/state")[1] == b"[('mine', True), ('numbers', [1, 2])]"
        assert get(port, "/state")[1] == b"[('mine', True), ('numbers', [1, 2, 2])]"


def test_reset_contextvars() -> None:
    with in_thread(Server(Config(app, port=0, reset_contextvars=True))) as port:
        assert [get(port, "/context")[1] for _ in range(2)] == [b"unset"] * 2


def test_without_lifespan_requests_start_from_the_servers_context() -> None:
    async def main() -> bytes:
        request_id.set("around the server")
        server = Server(Config(app, port=0, lifespan="off"))
        task = asyncio.ensure_future(server.serve())
        port = await started(server, task)
        answered = await asyncio.to_thread(get, port, "/context")
        server.should_exit = True
        await task
        return answered[1]

    assert run_in("auto", main()) == b"around the server"


async def started(server: Server, task: asyncio.Task[Any]) -> int:
    while not server.started:
        assert not task.done(), task
        await asyncio.sleep(0.001)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


@pytest.mark.parametrize("loop", LOOPS)
def test_serve_in_a_running_loop(loop: str) -> None:
    """As in notebooks: other tasks of the loop go on, and the loop outlives the server."""

    async def main() -> None:
        here = asyncio.get_running_loop()
        for _ in range(2):
            server = Server(Config(app, port=0))
            task = here.create_task(server.serve())
            port = await started(server, task)
            answers = await asyncio.gather(*(asyncio.to_thread(get, port, "/loop") for _ in range(5)))
            assert answers == [(200, type(here).__module__.encode())] * 5
            server.should_exit = True
            await task
        await asyncio.sleep(0)

    run_in(loop, main())


def test_cancelled_serve_lets_go_of_its_socket_and_its_application() -> None:
    server = Server(Config(app, port=0))

    async def main() -> int:
        task = asyncio.ensure_future(server.serve())
        port = await started(server, task)
        lifespan = {each for each in asyncio.all_tasks() if each.get_name() == "lifespan"}
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait(lifespan, timeout=LIMIT)
        assert lifespan.pop().cancelled()
        return port

    port = run_in("auto", main())
    with pytest.raises(ConnectionRefusedError):
        get(port)


@pytest.mark.parametrize("run", ["fasterapi.run", "Server.run"])
def test_run_in_a_running_loop_is_refused(run: str) -> None:
    async def main() -> None:
        if run == "fasterapi.run":
            fasterapi.run(app, port=0)
        else:
            Server(Config(app, port=0)).run()

    with pytest.raises(RuntimeError, match=r"use `await fasterapi\.Server\(config\)\.serve\(\)`"):
        asyncio.run(main())


def test_bound_sockets() -> None:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    copies = [listener.dup() for listener in listeners]
    try:
        with in_thread(Server(Config(app, port=1)), sockets=listeners):
            assert all(b"200 OK" in get_from(copy) for copy in copies)
        assert all(listener.fileno() == -1 for listener in listeners)
    finally:
        for copy in copies:
            copy.close()


def test_bound_sockets_are_not_announced(start: Start) -> None:
    script = """
    import socket, fasterapi
    from hello import app
    bound = socket.create_server(("127.0.0.1", 0))
    print(bound.getsockname()[1], flush=True)
    fasterapi.Server(fasterapi.Config(app)).run(sockets=[bound])
    """
    process = start(script=script)
    port = int(process.expect(r"^\d+$", process.out)[0])
    process.expect("Application startup complete.")
    assert get(port) == (200, b"hello")
    process.send(signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM
    assert not any("running on" in line for line in process.err)


def test_limit_max_requests(start: Start) -> None:
    process = start("hello:app", "--port", "0", "--limit-max-requests", "3")
    for _ in range(3):
        assert process.get() == (200, b"hello")
    assert process.wait() == 0
    assert "INFO:     Maximum request limit of 3 exceeded. Terminating process." in process.err


def test_limit_max_requests_has_one_random_value() -> None:
    server = Server(Config(app, limit_max_requests=100, limit_max_requests_jitter=50))
    assert 100 <= server.limit_max_requests <= 150
    assert server.limit_max_requests == server.limit_max_requests
    assert Server(Config(app)).limit_max_requests is None


def test_callback_notify() -> None:
    called = threading.Event()

    async def notify() -> None:
        called.set()

    server = Server(Config(app, port=0, callback_notify=notify, timeout_notify=0))
    with in_thread(server):
        assert called.wait(LIMIT)
        first = server.last_notified
        called.clear()
        assert called.wait(LIMIT)
        assert server.last_notified > first


def test_overridden_on_tick_is_called_repeatedly() -> None:
    class Ticking(Server):
        ticks = 0

        async def on_tick(self, counter: int) -> bool:
            self.ticks += 1
            return await super().on_tick(counter) or self.ticks == 5

    server = Ticking(Config(app, port=0))
    server.run()
    assert server.ticks == 5


def test_own_should_exit_is_looked_at() -> None:
    class Own(Server):
        should_exit = False  # type: ignore[assignment]

    server = Own(Config(app, port=0))
    with in_thread(server) as port:
        assert get(port)[0] == 200


def test_overridden_startup_and_shutdown() -> None:
    calls: list[str] = []

    class Own(Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            calls.append("started" if self.started else "not started")
            self.should_exit = True

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await super().shutdown(sockets=sockets)
            calls.append("stopped")

    Own(Config(app, port=0)).run()
    assert calls == ["started", "stopped"]


def test_startup_failure_exits_with_3() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as caught:
        Server(Config(app, port=taken.getsockname()[1])).run()
    assert caught.value.code == 3


def test_loop_factory_that_makes_no_loop() -> None:
    with pytest.raises(TypeError, match="'int', which is no event loop"):
        Server(Config(app, loop=int)).run()  # type: ignore[arg-type]


def test_signal_handlers_are_handed_back() -> None:
    seen: list[Any] = []

    class Own(Server):
        async def main_loop(self) -> None:
            handler = signal.getsignal(signal.SIGTERM)
            seen.append((handler.__self__, handler == self.handle_exit))  # type: ignore[union-attr]

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    wakeup = signal.set_wakeup_fd(-1)
    server = Own(Config(app, port=0))
    server.run()
    assert seen == [(server, True)]
    assert server.should_exit is False
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(wakeup) == wakeup


def test_tasks_left_over_are_cancelled_and_their_faults_reported(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    async def lingers() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cleaned up")
            raise ValueError("too late")

    class Own(Server):
        async def main_loop(self) -> None:
            self.left = asyncio.ensure_future(lingers())
            await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR, "asyncio"):
        Own(Config(app, port=0)).run()
    assert ended == ["cleaned up"]
    assert "too late" in caplog.text


def test_ended_server_keeps_nothing_native() -> None:
    import gc

    from fasterapi import _native

    with in_thread(Server(Config(app, port=0))) as port:
        get(port)
    gc.collect()
    assert _native.live_objects() == {}
