"""The compiled half of fasterapi: the scheduler under the event loop, and the ASGI server.

Everything here is called from the loop's own thread, except ``Scheduler.call_soon_threadsafe``.
"""

import asyncio
import contextvars
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypedDict, final

__version__: str

def live_objects() -> dict[str, int]:
    """Live native objects by kind, without the kinds that have none: ``{}`` when all are gone."""

class Scheduler:
    """Mixed in before ``asyncio.SelectorEventLoop``: callbacks, timers, readiness and the run of
    one turn. See ``fasterapi.loop.EventLoop``."""

    def _ensure_fd_no_transport(self, fd: Any) -> None: ...
    def _set_native_debug(self, enabled: bool) -> None: ...
    def _set_native_task_factory(self, factory: Any) -> None: ...
    def _close_native(self) -> None: ...

class SocketTransport(asyncio.Transport):
    """The transport of a connected, non-blocking stream socket, as asyncio's own: it owns the socket, and
    schedules ``protocol.connection_made``, then reading, then ``waiter``'s result. ``isinstance`` finds
    asyncio's class in it.

    Raises:
        TypeError: ``loop`` is not a ``fasterapi.loop.EventLoop``.
    """

    def __init__(
        self,
        loop: Scheduler,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> None: ...
    @staticmethod
    def accept(fd: int) -> tuple[int, Any] | None:
        """The next connection of a listening socket: a descriptor that does not block, and the peer's
        address as ``socket`` has it. ``None``: there is none. Raises ``OSError``."""

class WebSocketSettings(TypedDict, total=False):
    """Of every WebSocket (RFC 6455, RFC 7692); as ``Settings``."""

    max_message: int
    max_queue: int
    """Messages."""
    ping_interval: float
    """0: no pings."""
    ping_timeout: float
    """0: the answer is not waited for."""
    close_timeout: float
    deflate: bool
    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int
    client_max_window_bits: int
    deflate_level: int
    deflate_memory_level: int
    deflate_threshold: int
    allowed_origins: list[str]
    """Empty: any."""

class Settings(TypedDict, total=False):
    """Limits and switches; what is absent keeps the default of ``server/base/settings.h``.

    Times are seconds, sizes are bytes.
    """

    keep_alive_timeout: float
    head_timeout: float
    body_timeout: float
    write_timeout: float
    min_body_rate: int
    max_request_line: int
    max_head: int
    max_header_fields: int
    max_body: int
    max_concurrency: int
    max_connections: int
    date_header: bool
    websocket_enabled: bool
    websocket: WebSocketSettings
    trusted_proxies: list[str]
    """IP addresses and networks, or ``*``, whose ``X-Forwarded-For`` and ``-Proto`` are believed."""
    headers: list[tuple[bytes, bytes]]
    """On every response, names in lower case. ``date`` and ``server`` are left out where the application sets them."""

AccessCallback = Callable[[str, str, str, str, int], object]
"""Called with (client address "host:port" or "", method, path with query, HTTP version, status)."""

@final
class EventStream:
    """The event stream that answers one request, from ``open_event_stream()``: the extension ``fasterapi.sse`` (docs/sse.md).

    It is used in the thread of the loop, and writes from ``http.response.start`` to the response's end. What is wrong with
    ``send`` or ``comment`` is raised when their result is awaited.

    Raises:
        TypeError: a field is not of its type.
        ValueError: a line end in ``event`` or ``id``, NUL in ``id``, a ``retry`` below 0 or above ``2**63 - 1``, half of a
            surrogate pair (``UnicodeEncodeError``).
        OSError: the client has left.
        RuntimeError: the response has not begun, has ended, or would be longer than its ``content-length``.
    """

    def send(
        self, data: str | None, event: str | None = None, id: str | None = None, retry: int | None = None
    ) -> Awaitable[None]:
        """Writes one event (WHATWG HTML 9.2.5), and waits while the client reads too slowly. ``None`` leaves a field out.

        Args:
            data: split at CR LF, CR and LF. Without it nothing is dispatched, but ``id`` and ``retry`` are kept.
            event: its type, one line.
            id: one line; ``""`` makes the client forget the last one.
            retry: milliseconds that the client waits before it reconnects.
        """
    def comment(self, text: str) -> Awaitable[None]:
        """Writes lines that clients ignore; waits as ``send`` does."""
    def keep_alive(self, seconds: float) -> None:
        """From now on the comment ``ping`` whenever nothing was sent for so long, to a tenth of a second; 0: no more.

        None is sent while bytes wait for the client, nor where the length is announced. Raises ``TypeError``,
        ``ValueError`` (not between 0 and a year), ``OverflowError``.
        """
    def on_disconnect(self, callback: Callable[[], object] | None) -> None:
        """``callback()`` is called once, by the loop and in the context of this call, when the client has left, by FIN
        or reset; at once if it has. It replaces an earlier one. Never for a response that was whole. Raises ``TypeError``.
        """
    def on_shutdown(self, callback: Callable[[], object] | None) -> None:
        """The same when the server begins to stop: a stream that goes on holds it up until its grace is over."""
    def statistics(self) -> dict[str, int]:
        """``events_sent``; ``bytes_sent``, of events, comments and pings, without HTTP's framing; ``queued``, bytes that the
        client's kernel has not taken."""

def open_event_stream(call: Callable[..., Any]) -> EventStream | None:
    """The event stream of the request that this server has given ``call`` for, its ``send`` or ``receive``; the same one
    each time.

    ``None`` for any other callable (another server's, or a middleware's, which is to see the messages) and for a request
    that has ended. By ``receive`` it is known where ``send`` is a middleware's: then it must only be listened to.
    """

class Server:
    """Serves one ASGI 3 application on the given event loop.

    The loop must be running, in this thread, while the server listens. With a
    ``fasterapi.loop.EventLoop`` both share one native loop; with any other loop a native
    loop of the server's own is nested in it, by ``add_reader`` and ``call_later``.

    Args:
        app: an ASGI 3 application, called as ``app(scope, receive, send)``.
        loop: the event loop.
        logger: receives messages, and "Exception in ASGI application" with ``exc_info``.
        access: what becomes of each answered request: a callable gets every record, an ``int`` is a file descriptor to
            which plain lines are written without Python, ``None`` records nothing.
        state: the lifespan's state; each request gets a shallow copy. ``None``: no ``state`` key.
        context: each request runs in a copy of it. ``None``: a copy of the context at construction.
        root_path: ASGI's ``root_path``; also put before each request's ``path``, as uvicorn does.
        settings: see ``Settings``.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """

    def __init__(
        self,
        app: Any,
        loop: asyncio.AbstractEventLoop,
        *,
        logger: logging.Logger,
        access: AccessCallback | int | None = None,
        state: MutableMapping[str, Any] | None = None,
        context: contextvars.Context | None = None,
        root_path: str = "",
        settings: Settings | None = None,
    ) -> None: ...
    def listen(self, fd: int, backlog: int = 2048) -> None:
        """Accepts connections on a bound stream socket (AF_INET, AF_INET6, AF_UNIX).

        Takes its own duplicate of ``fd``; the caller's stays open. Raises ``OSError``.
        """
    def stop_listening(self) -> None:
        """Closes the listeners. Open connections go on."""
    def drain(self) -> None:
        """Closes idle connections now and the others after the answer in hand. Idempotent."""
    def retire(self) -> None:
        """Closes each connection after its next answer, which says so; idle ones when their time is over."""
    def abort(self) -> None:
        """Cuts every connection at once; their applications get ``http.disconnect``."""
    def close(self) -> None:
        """``stop_listening`` and ``abort``, and lets go of the application. Idempotent."""
    def on_change(self, callback: Callable[[], object] | None) -> None:
        """``callback()`` is called (from the loop) whenever a connection or a task has ended."""
    def tasks(self) -> list[asyncio.Task[None]]:
        """The application's tasks that have not finished."""
    @property
    def connections(self) -> int:
        """Open connections."""
    @property
    def total_requests(self) -> int:
        """Requests whose head was handed to the application, since construction."""

class WebSocketCycle:
    """``scope["extensions"]["fasterapi.websocket"]["socket"]``: see docs/websocket.md."""

    pong_events: bool
    @property
    def close_code(self) -> int | None: ...
    @property
    def close_reason(self) -> str: ...
    def send_text(self, text: str, compress: bool | None = None, /) -> Awaitable[None]: ...
    def send_bytes(
        self, data: bytes | bytearray | memoryview, compress: bool | None = None, /
    ) -> Awaitable[None]: ...
    def receive_data(self) -> Awaitable[str | bytes]: ...
    def ping(self, payload: bytes = b"") -> asyncio.Future[float]: ...
    def pong(self, payload: bytes = b"") -> None: ...
    def statistics(self) -> dict[str, Any]: ...
    def subscribe(self, topic: str) -> bool: ...
    def unsubscribe(self, topic: str) -> bool: ...
    def publish(self, topic: str, *, text: str | None = None, bytes: bytes | None = None) -> int: ...
