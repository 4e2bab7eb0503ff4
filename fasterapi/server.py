"""The life of one server: start-up, serving, shutdown, and the signals that end it.

Connections and requests are the native server's; what is here happens once per process. Nothing
polls: whoever sets ``should_exit``, a signal handler or another thread, wakes the loop.
"""

import asyncio
import contextlib
import contextvars
import functools
import logging
import math
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from types import FrameType

from fasterapi import binding, limits
from fasterapi._native import Server as NativeServer
from fasterapi.config import STARTUP_FAILURE, Config
from fasterapi.lifespan import Lifespan, NoLifespan
from fasterapi.logging import access_sink, log_process
from fasterapi.runner import flush_standard_streams, refuse_running_loop, run_in_loop, signals_wake

HANDLED_SIGNALS = (signal.SIGINT, signal.SIGTERM)

QUIET_SHUTDOWN = 0.1
"""Seconds in which connections may close before the log says that we wait for them."""
CANCEL_LIMIT = 1.0
"""Seconds for cancelled requests to clean up before the application's own shutdown begins."""
LEAST_SHUTDOWN = 1.0
"""Seconds that the application's shutdown has at least, however short the requests' time is."""
ECHO = 1.0
"""Seconds after the first signal in which a SIGTERM is no second one."""
TICK = 0.1
"""Seconds between two looks by a server that has to poll: uvicorn's interval."""

logger = logging.getLogger("fasterapi.error")


class ServerState:
    """Figures of a running server, and the last ones of a stopped one."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._native: NativeServer | None = None
        self._total_requests = 0

    @property
    def total_requests(self) -> int:
        return self._total_requests if self._native is None else self._native.total_requests

    @property
    def connections(self) -> Sequence[int]:
        """As long as there are open connections; what it holds means nothing."""
        return range(0 if self._native is None else self._native.connections)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        return set() if self._native is None else set(self._native.tasks())

    @property
    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What is added to each response besides the date. Read only."""
        return tuple(self._config.encoded_headers)

    def attach(self, native: NativeServer) -> None:
        self._native = native

    def detach(self) -> None:
        self._total_requests = self.total_requests
        self._native = None


class Server:
    """Serves one ``Config``. ``run`` makes the event loop, ``serve`` uses the running one."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.server_state = ServerState(config)
        self.started = False
        self.last_notified = 0.0
        self.gave_up = False
        """Requests were cut off, because their time was over or the user did not want to wait."""
        self.servers: list[binding.Listener] = []
        self.lifespan: Lifespan | NoLifespan
        self._should_exit = False
        self._force_exit = False
        self._captured_signals: list[int] = []
        self._first_signal_at = math.inf
        self._raises_captured = True
        self._native: NativeServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own_tasks: set[asyncio.Task[None] | None] = set()
        self._changed: asyncio.Event

    @property
    def interrupted(self) -> bool:
        """Whether a signal has come."""
        return self._first_signal_at < math.inf

    @property
    def should_exit(self) -> bool:
        """Set it, in any thread, for a graceful stop."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        self._wake()

    @property
    def force_exit(self) -> bool:
        """Set it, in any thread, to stop waiting for connections, tasks and the application's shutdown."""
        return self._force_exit

    @force_exit.setter
    def force_exit(self, value: bool) -> None:
        self._force_exit = value
        self.gave_up = self.gave_up or value
        self._wake()

    @functools.cached_property
    def limit_max_requests(self) -> int | None:
        if self.config.limit_max_requests is None:
            return None
        return self.config.limit_max_requests + random.randint(0, self.config.limit_max_requests_jitter)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves in an event loop of its own. Raises ``RuntimeError`` where one is running."""
        refuse_running_loop("Server.run()")
        loop_factory = self.config.get_loop_factory()
        # A signal that was caught gets its usual effect only when the loop has been closed in order.
        self._raises_captured = False
        try:
            run_in_loop(lambda: self.serve(sockets), loop_factory, hurried=self._is_hurried)
        finally:
            self._raises_captured = True
        self._raise_captured_signals()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves in the running event loop, whichever it is, until told to stop.

        Raises ``SystemExit(3)`` if the application or the sockets do not come up.
        """
        with self.capture_signals(), signals_wake(asyncio.get_running_loop()):
            await self._serve(sockets)

    async def _serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._own_tasks = {None, asyncio.current_task()}
        self._changed = asyncio.Event()
        self.started = False
        if not self.config.loaded:
            self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        in_order = False
        try:
            log_process("Started server process [%d]")
            await self.startup(sockets=sockets)
            if self.started:
                if not self.should_exit:
                    await self.main_loop()
                await self.shutdown(sockets=sockets)
                log_process("Finished server process [%d]")
            in_order = not self.force_exit
        finally:
            self._release()
            if not in_order:
                self.lifespan.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts the application, then listens. Leaves ``started`` false if a signal came in between."""
        if not await self._start_application():
            return
        config = self.config
        try:
            bound = sockets
            if bound is None:
                bound = binding.bind(config.host, config.port, config.uds, config.fd)
            self._listen(bound, removes_files=sockets is None and config.fd is None)
        except OSError as error:
            logger.error(error)
            await self._stop_application()
            sys.exit(STARTUP_FAILURE)
        if sockets is None:
            config.announce(bound[0])
        self.started = True

    def _listen(self, bound: list[socket.socket], *, removes_files: bool) -> None:
        config = self.config
        assert self._loop is not None
        context = contextvars.Context() if config.reset_contextvars else self.lifespan.context
        self._native = native = NativeServer(
            config.loaded_app,
            self._loop,
            logger=logger,
            access=access_sink(config.access_log),
            state=self.lifespan.state,
            context=contextvars.copy_context() if context is None else context,
            root_path=config.root_path,
            settings={
                **limits.settings(config),
                "headers": config.encoded_headers,
                "trusted_proxies": config.trusted_proxies(),
                "date_header": config.date_header,
                "websocket_enabled": config.ws != "none",
                "websocket": limits.websocket_settings(config),
            },
        )
        self.server_state.attach(native)
        if self.limit_max_requests is not None:
            native.on_change(self._changed.set)
        self.servers = [binding.Listener(bound, native.stop_listening, removes_files=removes_files)]
        for listener in bound:
            native.listen(listener.fileno(), config.backlog)

    async def _start_application(self) -> bool:
        """Whether the application is up. A signal cancels its start-up, a second one abandons it."""
        assert self._loop is not None
        startup = self._loop.create_task(self.lifespan.startup())
        startup.add_done_callback(lambda _: self._changed.set())
        self._own_tasks.add(startup)
        await self._until(lambda: startup.done() or bool(self._captured_signals) or self.force_exit)
        interrupted = not startup.done()
        if interrupted:
            logger.info("Application startup interrupted. Exiting.")
            self.lifespan.cancel()
            limit = self.config.timeout_graceful_shutdown
            await self._until(lambda: startup.done() or self.force_exit, limit)
        if not startup.done():
            startup.cancel()
            return False
        startup.result()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        return not interrupted or self.lifespan.running

    async def _stop_application(self) -> None:
        assert self._loop is not None
        shutdown = self._loop.create_task(self.lifespan.shutdown())
        shutdown.add_done_callback(lambda _: self._changed.set())
        self._own_tasks.add(shutdown)
        given = self.config.timeout_graceful_shutdown
        limit = None if given is None else max(given, LEAST_SHUTDOWN)
        if not await self._until(lambda: shutdown.done() or self.force_exit, limit):
            logger.error("Application shutdown cancelled, timeout graceful shutdown exceeded")
            self.gave_up = True
        if shutdown.done():
            shutdown.result()
        else:
            shutdown.cancel()

    async def main_loop(self) -> None:
        """Returns when the server is to stop."""
        counter = 0
        interval = TICK if self._polls() else None
        while not await self.on_tick(counter):
            counter = (counter + 1) % 864_000
            await self._change(interval)

    def _polls(self) -> bool:
        """Whether something must be looked at that does not wake the loop."""
        own = type(self)
        overridden = any(
            getattr(own, name) is not getattr(Server, name)
            for name in ("on_tick", "should_exit", "force_exit")
        )
        return overridden or self.config.callback_notify is not None

    def _is_hurried(self) -> bool:
        return bool(self._captured_signals) or self.force_exit

    async def on_tick(self, counter: int) -> bool:
        """Called after each change, and ten times a second where overridden. True ends ``main_loop``."""
        notify = self.config.callback_notify
        if notify is not None and counter % 10 == 0:
            now = time.time()
            if now - self.last_notified > self.config.timeout_notify:
                self.last_notified = now
                await notify()
        if self.should_exit:
            return True
        limit = self.limit_max_requests
        if limit is not None and self.server_state.total_requests >= limit:
            logger.info("Maximum request limit of %d exceeded. Terminating process.", limit)
            return True
        return False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops listening, lets the work in hand finish within its time, and ends the application."""
        logger.info("Shutting down")
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        native = self._native
        if native is not None:
            native.on_change(self._changed.set)
            native.drain()
            if not await self._finish_work(native) and not self.force_exit:
                await self._cut_work(native)
        if not self.force_exit:
            await self._stop_application()

    async def _finish_work(self, native: NativeServer) -> bool:
        """Waits for connections, then for tasks. False if the time was not enough."""
        assert self._loop is not None
        limit = self.config.timeout_graceful_shutdown
        end = None if limit is None else self._loop.time() + limit
        # In this order, because what answers a connection is a task as well.
        waits: list[tuple[str, Callable[[], bool]]] = [
            ("connections to close", lambda: self.force_exit or native.connections == 0),
            ("background tasks to complete", lambda: self.force_exit or not native.tasks()),
        ]
        for what, done in waits:
            if await self._until(done, QUIET_SHUTDOWN if limit is None else min(QUIET_SHUTDOWN, limit)):
                continue
            logger.info("Waiting for %s. (CTRL+C to force quit)", what)
            if not await self._until(done, None if end is None else end - self._loop.time()):
                return False
        return True

    async def _cut_work(self, native: NativeServer) -> None:
        tasks = native.tasks()
        self.gave_up = True
        logger.error("Cancel %s running task(s), timeout graceful shutdown exceeded", len(tasks))
        for task in tasks:
            task.cancel(msg="Task cancelled, timeout graceful shutdown exceeded")
        native.abort()
        await self._until(lambda: self.force_exit or not native.tasks(), CANCEL_LIMIT)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Lets SIGINT and SIGTERM call ``handle_exit``; does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # signal.signal and not the loop's way: it tells the handlers before us, which must come back.
        previous = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        if self._raises_captured:
            self._raise_captured_signals()

    def _raise_captured_signals(self) -> None:
        captured, self._captured_signals = self._captured_signals, []
        if captured:
            flush_standard_streams()
        for number in reversed(captured):
            signal.raise_signal(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The signal handler: the first signal stops the server, one after it does so at once.

        A SIGTERM right behind the first signal is the same one, sent to the process group and again
        by a supervisor. A SIGINT is a user's key press, and always meant.
        """
        self._captured_signals.append(sig)
        self._first_signal_at = min(self._first_signal_at, time.monotonic())
        meant = sig == signal.SIGINT or time.monotonic() - self._first_signal_at > ECHO
        if not (self.should_exit and meant):
            self.should_exit = True
            return
        self.force_exit = True
        # Code of the application that blocks the loop would never let us look at force_exit.
        if self._loop is not None and asyncio.current_task(self._loop) not in self._own_tasks:
            raise KeyboardInterrupt

    def _wake(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(self._changed.set)

    async def _change(self, timeout: float | None) -> None:
        """Waits until something may have changed."""
        self._changed.clear()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout)

    async def _until(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Waits until ``done()``, looking again after each change. False if that took too long."""
        assert self._loop is not None
        end = None if timeout is None else self._loop.time() + timeout
        while not done():
            remaining = None if end is None else end - self._loop.time()
            if remaining is not None and remaining <= 0:
                return False
            await self._change(remaining)
        return True

    def _release(self) -> None:
        """Lets go of everything native, whichever way ``_serve`` ended."""
        for server in self.servers:
            server.close()
        if self._native is not None:
            self.server_state.detach()
            self._native.on_change(None)
            self._native.close()
            self._native = None
        self._loop = None
        self._own_tasks.clear()
