"""The class SSE: server-sent events to one client, in any ASGI application on any ASGI server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from contextlib import aclosing, suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any

from fasterapi import json_text
from fasterapi.connection_scope import ConnectionScope, Receive, Scope, Send
from fasterapi.exception_groups import consists_of
from fasterapi.numbers import check_interval, check_seconds
from fasterapi.sse.departure import Departure
from fasterapi.sse.encoder import encode_binary
from fasterapi.sse.event import ServerSentEvent, text_of
from fasterapi.sse.history import History
from fasterapi.sse.wire import EventStream, PlainEventStream, native_stream

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # nginx and others hold a response back until they have enough of it.
    (b"x-accel-buffering", b"no"),
)


class SSEClosed(RuntimeError):
    """Nothing can be sent any more: ``close()`` was called, or the client has left."""

    def __init__(self) -> None:
        super().__init__("SSE connection is closed")


class SSE(ConnectionScope):
    """One event stream. To be made in the task of the handler, once the request's body has been read.

    The first event starts the response, if ``start()`` has not. When the client leaves, the task is cancelled, wherever it
    waits, and again after each ``grace`` seconds that it goes on; ``async with SSE(...) as sse`` ends there without
    an error, and closes otherwise. So it does when the server begins to stop, if that is this one: the client gets the end of the
    response and reconnects, elsewhere.

    All methods that send raise ``RuntimeError("SSE connection is closed")`` (``SSEClosed``) after ``close()`` and when the client has gone.

    Args:
        scope, receive, send: of an HTTP request, as the ASGI application was given them.
        status: of the response.
        headers: of the response, instead of the default ones.
        grace: seconds that a cancelled handler has to clean up.
        shutdown_grace: seconds that the handler may go on once the server stops, before it is cancelled; for a stream that comes to
            an end by itself. The server's own grace ends it in any case.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        status: int = HTTPStatus.OK,
        headers: Iterable[tuple[bytes, bytes]] = HEADERS,
        grace: float = 5.0,
        shutdown_grace: float = 0.0,
    ) -> None:
        if scope["type"] != "http":
            raise ValueError(f"SSE needs a scope of type 'http', not {scope['type']!r}")
        check_seconds("grace", grace)
        check_seconds("shutdown_grace", shutdown_grace)
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("SSE() must be called in the task of a handler")
        super().__init__(scope)
        self._asgi_send = send
        self._status = int(status)
        self._head_fields = list(headers)
        self._interval = 0.0
        self._silence: asyncio.TimerHandle | None = None  # until the response starts
        self._first_ping: asyncio.Task[None] | None = None
        self._ready = self._started = self._closed = False
        self._starting = asyncio.Lock()
        self._over = asyncio.Event()
        self._connection_id = ""
        self._departure = Departure(task, grace)
        self._shutdown_grace = shutdown_grace
        native = native_stream(scope, send)
        self._plain = None if native else PlainEventStream(receive, send, native_stream(scope, receive))
        self._stream: EventStream = native or self._plain  # type: ignore[assignment]
        self._stream.on_disconnect(self._client_left)
        self._stream.on_shutdown(self._server_stops)

    @property
    def last_event_id(self) -> str | None:
        """The id of the last event that a client got before it reconnected (WHATWG HTML 9.2.4), ``None`` for a new one."""
        for name, value in self.scope["headers"]:
            if name.lower() == b"last-event-id":
                return str(value.decode("utf-8", "replace")) or None
        return None

    # --- State -------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether events can be sent."""
        return not self._closed

    @property
    def client_left(self) -> bool:
        """Whether it was the client who ended the stream."""
        return self._departure.left

    @property
    def connection_id(self) -> str:
        """Names this connection; nobody can guess it."""
        if not self._connection_id:
            self._connection_id = secrets.token_urlsafe(16)
        return self._connection_id

    @property
    def events_sent(self) -> int:
        """Events, without comments."""
        return self._stream.statistics()["events_sent"]

    @property
    def bytes_sent(self) -> int:
        """Bytes of events and comments."""
        return self._stream.statistics()["bytes_sent"]

    # --- Sending -----------------------------------------------------------------------------

    async def send(
        self,
        data: Any,
        event: str | None = None,
        event_id: str | None = None,
        retry: int | None = None,
        *,
        id: str | None = None,
    ) -> None:
        """Sends an event: a ``str`` as it is, a ``ServerSentEvent``, anything else as JSON. Waits while the client is slow.

        Args:
            event: the name that clients listen to.
            event_id: what a client sends as ``Last-Event-ID`` when it reconnects; ``""`` makes it forget. ``id`` is the same.
            retry: milliseconds that a client waits before it reconnects.

        Raises:
            TypeError: bytes (see ``send_binary``), or what is no JSON.
            ValueError: a line end in ``event`` or ``event_id``, NUL in ``event_id``, a negative ``retry``.
        """
        if type(data) is not str:
            if isinstance(data, ServerSentEvent):
                await self._send_whole(data)
                return
            if isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError("bytes are no text: send_binary() sends them")
            data = text_of(data)
        if not self._ready:
            await self._begin()
        try:
            await self._stream.send(data, event, event_id if id is None else id, retry)
        except OSError as error:
            raise self._gone() from error

    async def send_text(
        self, text: str, event: str | None = None, event_id: str | None = None, retry: int | None = None
    ) -> None:
        """The same for a ``str``; TypeError for anything else."""
        if not isinstance(text, str):
            raise TypeError(f"text must be str, not {type(text).__name__}")
        await self.send(text, event, event_id, retry)

    async def send_json(
        self, obj: Any, event: str | None = None, event_id: str | None = None, retry: int | None = None
    ) -> None:
        """The same with the value as JSON text, also of a ``str``."""
        await self.send(json_text.dumps(obj), event, event_id, retry)

    async def send_binary(
        self,
        data: bytes | bytearray | memoryview,
        event: str | None = None,
        event_id: str | None = None,
        retry: int | None = None,
    ) -> None:
        """The same with a data URL (RFC 2397), of which ``sse_connect`` and ``fasterapi.js`` make bytes again."""
        await self.send(encode_binary(data), event, event_id, retry)

    async def send_comment(self, text: str) -> None:
        """Sends lines that clients ignore."""
        if not self._ready:
            await self._begin()
        try:
            await self._stream.comment(text)
        except OSError as error:
            raise self._gone() from error

    async def ping(self) -> None:
        """Sends the comment ``ping``."""
        await self.send_comment("ping")

    async def follow(self, history: History, channel: str = "", *, after: str | None = None) -> None:
        """Sends what the client missed of a channel, then every new event, without end.

        Args:
            after: the event to begin behind, by default the client's ``last_event_id``. A client that has none gets what comes from now on.

        Raises:
            UnknownEventId: the history does not have all that came after that event; or the client was so slow that it
                has missed some.
        """
        begin = self.last_event_id if after is None else after
        async with aclosing(history.follow(channel, begin)) as events:
            async for event in events:
                await self._send_whole(event)

    # --- Life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Sends the response's head now: the client knows that it is connected. Once is enough."""
        async with self._starting:
            if self._closed:
                raise SSEClosed
            if self._started:
                return
            head = {"type": "http.response.start", "status": self._status, "headers": self._head_fields}
            await self._to_client(head)
            self._started = self._ready = True
            self._time_silence()
            if self._interval:
                self._stream.keep_alive(self._interval)

    async def stop(self) -> None:
        """Answers 204 instead, which tells the client not to reconnect (WHATWG HTML 9.2.2), and closes.

        Raises:
            RuntimeError: the response has started.
        """
        await self._answer(HTTPStatus.NO_CONTENT, "")

    async def refuse(self, status: int, text: str) -> None:
        """Answers with an error instead, a status from 400 to 599, and closes. Raises what ``stop()`` does."""
        if not 400 <= status <= 599:
            raise ValueError(f"{status} is no status of an error")
        await self._answer(status, text)

    async def close(self) -> None:
        """Ends the response, and what runs beside it. The client will reconnect. Does nothing the second time."""
        if self._closed:
            return
        try:
            await self.start()
            self._shut()
            self._departure.end()
            await self._to_client({"type": "http.response.body", "body": b"", "more_body": False})
        except SSEClosed:
            pass
        if self._plain is not None:
            await self._plain.stop()

    def set_keep_alive(self, interval: float | None) -> None:
        """From now on ``ping()`` whenever nothing was sent for ``interval`` seconds; ``None`` for never. The first one starts the
        response, if nothing else has by then."""
        check_interval("interval", interval)
        self._interval = interval or 0.0
        if self._ready:
            self._stream.keep_alive(self._interval)
        else:
            self._time_silence()

    async def keep_alive(self, interval: float = 30.0) -> None:
        """The same, until the stream is closed or this is cancelled."""
        self.set_keep_alive(interval)
        try:
            if not self._closed:
                await self.start()
                await self._over.wait()
        finally:
            self.set_keep_alive(None)

    async def __aenter__(self) -> SSE:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Closes, or leaves the response unfinished after an exception; one that the client's leaving or the server's stop made
        ends here."""
        if error is None or (self._departure.stopped and self._is_ours(error)):
            try:
                await self.close()
            except BaseException as failure:
                if not await self._end(failure):
                    raise
        return await self._end(error)

    # --- Inside ------------------------------------------------------------------------------

    async def _end(self, error: BaseException | None) -> bool:
        """Nothing runs any more. Returns whether the error is the client's leaving or the server's stop, and no other."""
        self._shut()
        self._departure.end()
        if self._plain is not None:
            await self._plain.stop()
        return self._is_ours(error) or (self._departure.left and consists_of(error, SSEClosed))

    def _is_ours(self, error: BaseException | None) -> bool:
        return isinstance(error, asyncio.CancelledError) and self._departure.end()

    async def _answer(self, status: int, text: str) -> None:
        async with self._starting:
            if self._closed:
                raise SSEClosed
            if self._started:
                raise RuntimeError("the response has started")
            self._started = True
            self._time_silence()
        headers = [(b"content-type", b"text/plain; charset=utf-8")] if text else []
        await self._to_client({"type": "http.response.start", "status": int(status), "headers": headers})
        if text:
            await self._to_client({"type": "http.response.body", "body": text.encode(), "more_body": True})
        await self.close()

    async def _begin(self) -> None:
        await self.start()
        if not self._ready:  # answered otherwise, or closed meanwhile
            raise SSEClosed

    async def _send_whole(self, event: ServerSentEvent) -> None:
        if event.comment is not None:
            await self.send_comment(event.comment)
        if event.data is not None or (event.event, event.id, event.retry) != (None, None, None):
            data = None if event.data is None else text_of(event.data)
            await self._write(data, event.event, event.id, event.retry)

    async def _write(
        self, data: str | None, event: str | None, event_id: str | None, retry: int | None
    ) -> None:
        if not self._ready:
            await self._begin()
        try:
            await self._stream.send(data, event, event_id, retry)
        except OSError as error:
            raise self._gone() from error

    async def _to_client(self, message: dict[str, Any]) -> None:
        try:
            await self._asgi_send(message)
        except OSError as error:
            raise self._gone() from error

    def _gone(self) -> SSEClosed:
        """``send()`` says that there is nobody left."""
        self._departure.told()
        self._shut()
        return SSEClosed()

    def _client_left(self) -> None:
        if not self._closed:
            self._shut()
            self._departure.client_left()

    def _server_stops(self) -> None:
        if not self._closed:
            self._departure.server_stops(self._shutdown_grace)

    def _time_silence(self) -> None:
        """Until the response has started, from when on the stream does it."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if self._interval and not (self._started or self._closed):
            loop = asyncio.get_running_loop()
            self._silence = loop.call_later(self._interval, self._break_silence)

    def _break_silence(self) -> None:
        self._first_ping = asyncio.ensure_future(self._ping_first())

    async def _ping_first(self) -> None:
        with suppress(RuntimeError):  # the handler was quicker: closed, or answered otherwise
            await self.ping()

    def _shut(self) -> None:
        if self._ready:
            self._stream.keep_alive(0)
        self._closed = True
        self._ready = False
        self._time_silence()
        self._over.set()
