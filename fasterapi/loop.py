"""The native asyncio event loop.

``EventLoop`` is asyncio's selector event loop with its scheduler replaced: callbacks, timers and
file-descriptor readiness are native and run on the epoll loop that also carries the server's
connections; transports, TLS streams, subprocesses, DNS and executors are the stdlib's own.

Use it alone with ``asyncio.Runner(loop_factory=fasterapi.loop.new_event_loop)``.
"""

from __future__ import annotations

import asyncio
import selectors
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from fasterapi._native import Scheduler

__all__ = ["EventLoop", "new_event_loop"]

# Since Python 3.14 what call_soon_threadsafe returns can be cancelled from any thread.
_ThreadSafeHandle: Any = getattr(asyncio.events, "_ThreadSafeHandle", None)


class _NoSelector(selectors.BaseSelector):
    """Stands where the stdlib expects a selector; the scheduler watches file descriptors itself."""

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise NotImplementedError("file descriptors are watched by the native scheduler")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise KeyError(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class EventLoop(Scheduler, asyncio.SelectorEventLoop):
    """An asyncio event loop whose turn is one poll of the native loop. Linux only, one thread."""

    # The stdlib's own.
    _csock: socket.socket  # the end of the self-pipe that signals are written to
    _signal_handlers: dict[int, asyncio.Handle]
    _check_closed: Callable[[], None]
    _check_running: Callable[[], None]
    _check_callback: Callable[[Any, str], None]

    def __init__(self) -> None:
        super().__init__(_NoSelector())
        # asyncio's tasks and futures look this up at each wake-up: an attribute of the loop's own spares
        # them a new bound method.
        self.call_soon = self.call_soon  # type: ignore[method-assign]

    def run_forever(self) -> None:
        """Runs until ``stop()``. In the main thread signals wake the loop."""
        self._check_closed()
        self._check_running()
        if threading.current_thread() is not threading.main_thread():
            super().run_forever()
            return
        # A signal that comes just before the poll would be seen only after it. A byte on the self-pipe
        # ends the poll, and the interpreter runs the Python-level handler on the way to reading it.
        own = self._csock.fileno()
        previous = signal.set_wakeup_fd(own, warn_on_full_buffer=False)
        try:
            super().run_forever()
        finally:
            if self._signal_handlers:
                previous = own
            elif previous == own:
                previous = -1
            signal.set_wakeup_fd(previous, warn_on_full_buffer=False)

    if _ThreadSafeHandle is not None:

        def call_soon_threadsafe(  # type: ignore[override]
            self, callback: Any, *args: Any, context: Any = None
        ) -> asyncio.Handle:
            """As call_soon, from any thread; the handle's methods wait for a callback that is running."""
            if self.get_debug():
                self._check_callback(callback, "call_soon_threadsafe")
            handle = _ThreadSafeHandle(callback, args, self, context)
            if handle._source_traceback:
                del handle._source_traceback[-2:]  # asyncio's frame and this one
            super().call_soon_threadsafe(handle._run)
            return handle  # type: ignore[no-any-return]

    def _add_callback_signalsafe(self, handle: asyncio.Handle) -> None:
        self.call_soon_threadsafe(handle._run)

    def remove_signal_handler(self, sig: int) -> bool:
        """Removes the handler; ``True`` if there was one. Signals go on waking a running loop."""
        removed: bool = super().remove_signal_handler(sig)
        if removed and self.is_running() and threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)
        return removed

    def set_debug(self, enabled: bool) -> None:
        """Debug mode: slow callbacks are logged, calls from a wrong thread refused."""
        super().set_debug(enabled)
        self._set_native_debug(enabled)

    def set_task_factory(self, factory: Any) -> None:
        """As ``asyncio``'s; requests' tasks are made by it too."""
        super().set_task_factory(factory)
        self._set_native_task_factory(factory)

    def close(self) -> None:
        """Closes the loop; pending callbacks are dropped. Idempotent, refused while running."""
        if self.is_closed():
            return
        super().close()
        self._close_native()


def new_event_loop() -> EventLoop:
    """A new loop, not yet set as current: what ``asyncio.Runner(loop_factory=...)`` takes."""
    return EventLoop()
