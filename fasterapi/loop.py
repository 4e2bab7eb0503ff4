"""The native asyncio event loop.

``EventLoop`` is asyncio's selector event loop with its scheduler replaced: callbacks, timers and
file-descriptor readiness are native and run on the epoll loop that also carries the server's
connections; transports, TLS streams, subprocesses, DNS and executors are the stdlib's own.

Use it alone with ``asyncio.Runner(loop_factory=fasterapi.loop.new_event_loop)``.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import selectors
import signal
import socket
import threading
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from fasterapi._native import Scheduler, SocketTransport

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


_SOCKET_MEMBERS = [vars(socket.SocketType)[name] for name in ("family", "type", "proto")]


def _family(host: Any) -> socket.AddressFamily | None:
    """The family of a numeric IP address without a zone; None: anything else."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, TypeError, ValueError):
            continue
        return family
    return None


def _connect(sock: socket.socket, address: Any) -> int:
    """0: connected. Otherwise the errno."""
    # Who listens on this machine has answered by now: asking once more costs less than waiting does.
    error = sock.connect_ex(address)
    if error == errno.EINPROGRESS:
        error = sock.connect_ex(address)
    return 0 if error == errno.EISCONN else error


def _settle(fut: asyncio.Future[None], failure: OSError | None) -> None:
    if fut.done():  # cancelled meanwhile
        return
    if failure is None:
        fut.set_result(None)
    else:
        fut.set_exception(failure)


class EventLoop(Scheduler, asyncio.SelectorEventLoop):
    """An asyncio event loop whose turn is one poll of the native loop. Linux only, one thread."""

    # The stdlib's own.
    _csock: socket.socket  # the end of the self-pipe that signals are written to
    _signal_handlers: dict[int, asyncio.Handle]
    _check_closed: Callable[[], None]
    _check_running: Callable[[], None]
    _check_callback: Callable[[Any, str], None]
    _transports: MutableMapping[int, Any]

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

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> SocketTransport:
        self._ensure_fd_no_transport(sock)
        return SocketTransport(self, sock, protocol, waiter, extra, server)

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: Any = None,
        port: Any = None,
        **options: Any,
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        """As asyncio's. Numeric addresses without further wishes take a shorter way."""
        family = None if options or self.get_debug() else _family(host)
        if family is None or not isinstance(port, int):
            return await super().create_connection(protocol_factory, host, port, **options)
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, socket.IPPROTO_TCP)
        try:
            error = _connect(sock, (host, port))
            if error:
                connected = self.create_future()
                self._await_connection(connected, sock, (host, port), error)
                await connected
            protocol, started = protocol_factory(), self.create_future()
            transport = SocketTransport(self, sock, protocol, started)
        except BaseException:
            sock.close()
            raise
        try:
            await started
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def _sendfile_native(self, transp: Any, *arguments: Any) -> int:
        self._transports[transp.get_extra_info("socket").fileno()] = transp  # where asyncio takes it out
        sent: int = await super()._sendfile_native(transp, *arguments)  # type: ignore[misc]
        return sent

    def _accept_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        *timeouts: float,
    ) -> None:
        """A listener is ready. What is neither TLS nor to be logged needs no task for each connection."""
        if sslcontext is None and not self.get_debug():
            # As numbers: the enumerations that a socket shows cost more than the calls for which they would be.
            family, kind, proto = (member.__get__(sock) for member in _SOCKET_MEMBERS)
            for _ in range(backlog):
                if sock.fileno() < 0:
                    return  # closed by a protocol's factory
                try:
                    found = SocketTransport.accept(sock.fileno())
                except OSError:
                    break  # asyncio's own meets it too, and knows what to do
                if found is None:
                    return
                accepted = socket.socket(family, kind | socket.SOCK_NONBLOCK, proto, found[0])
                contextvars.copy_context().run(self._serve, protocol_factory, accepted, found[1], server)
            else:
                return
        super()._accept_connection(protocol_factory, sock, sslcontext, server, backlog, *timeouts)  # type: ignore[misc]

    def _serve(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        accepted: socket.socket,
        address: Any,
        server: Any,
    ) -> None:
        try:
            SocketTransport(self, accepted, protocol_factory(), None, {"peername": address}, server)
        except BaseException:
            accepted.close()
            raise

    def _sock_connect(self, fut: asyncio.Future[None], sock: socket.socket, address: Any) -> None:
        self._await_connection(fut, sock, address, _connect(sock, address))

    def _await_connection(
        self, fut: asyncio.Future[None], sock: socket.socket, address: Any, error: int
    ) -> None:
        if error in (errno.EINPROGRESS, errno.EALREADY, errno.EINTR, errno.EAGAIN):
            super()._sock_connect(fut, sock, address)  # type: ignore[misc]  # waits
        else:
            # In a later turn, as with a peer elsewhere: whoever connects again at once would never let the loop go on.
            failure = OSError(error, f"Connect call failed {address}") if error else None
            self.call_soon(_settle, fut, failure)

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
