"""Runs a coroutine in an event loop made for it, and winds that loop up within bounds.

``asyncio.run`` waits without limit for tasks that ignore their cancellation and for threads that
are stuck. A server told to stop has given them their time already.
"""

import asyncio
import contextlib
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

CANCEL_LIMIT = 5.0
HURRIED_CANCEL_LIMIT = 1.0
"""Seconds for the tasks left over to finish after their cancellation; the second once a signal has come."""


MOST_DESCRIPTORS = 65536
"""What the limit on open files is raised to at most: some programs look at each number below it."""


def raise_descriptor_limit() -> None:
    """Raises the soft limit on open files towards the hard one: each connection takes a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    with contextlib.suppress(OSError, ValueError):  # forbidden, in some sandboxes
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class NotALoop(TypeError):
    """The event loop factory made something else."""


def refuse_running_loop(what: str) -> None:
    """Raises ``RuntimeError`` in a thread whose event loop is running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        f"{what} starts an event loop, and this thread is running one already: "
        "use `await fasterapi.Server(config).serve()`"
    )


def run_in_loop(
    main: Callable[[], Coroutine[Any, Any, None]],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
    *,
    hurried: Callable[[], bool],
) -> None:
    """Runs ``main()`` to its end. ``hurried`` says afterwards whether a signal has ended it."""
    loop = asyncio.new_event_loop() if loop_factory is None else loop_factory()
    if not isinstance(loop, asyncio.AbstractEventLoop):
        raise NotALoop(f"The factory returned {type(loop).__name__!r}, which is no event loop.")
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main())
    finally:
        try:
            _wind_up(loop, hurried())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _wind_up(loop: asyncio.AbstractEventLoop, hurried: bool) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        limit = HURRIED_CANCEL_LIMIT if hurried else CANCEL_LIMIT
        done, _ = loop.run_until_complete(asyncio.wait(tasks, timeout=limit))
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                message = "unhandled exception while the server stopped"
                loop.call_exception_handler({"message": message, "exception": error, "task": task})
    loop.run_until_complete(loop.shutdown_asyncgens())
    if not hurried:
        loop.run_until_complete(loop.shutdown_default_executor())


@contextlib.contextmanager
def signals_wake(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """In the main thread: a signal ends the loop's wait at once, so that its Python handler runs.

    Loops that see to that themselves, ours and uvloop's, are left alone.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        try:
            previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        except ValueError:  # not the main thread
            yield
            return
        if previous != -1:
            signal.set_wakeup_fd(previous, warn_on_full_buffer=False)
            yield
            return
        loop.add_reader(reader.fileno(), _drain, reader)
        try:
            yield
        finally:
            loop.remove_reader(reader.fileno())
            if (current := signal.set_wakeup_fd(-1)) != writer.fileno():
                signal.set_wakeup_fd(current, warn_on_full_buffer=False)


def _drain(reader: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while reader.recv(4096):
            pass


def flush_standard_streams() -> None:
    """For the moment before the process dies by a signal, which flushes nothing."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
