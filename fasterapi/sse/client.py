"""The client: sse_connect(url) gives events for as long as the server has some, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from types import TracebackType
from typing import Any, cast

try:
    import httpx
except ImportError as error:
    raise ImportError("sse_connect needs httpx: pip install 'fasterapi[client]'") from error

from fasterapi.exception_groups import consists_of, first_of
from fasterapi.numbers import check_count, check_interval, check_seconds
from fasterapi.sse.event import ServerSentEvent
from fasterapi.sse.parser import EventStreamParser

CONNECT_TIMEOUT = 10.0
"""Seconds for connecting and for sending the request."""
# WHATWG HTML 9.2.2 gives up at any status but 200; these are what a proxy says of a server that restarts.
TEMPORARY = (500, 502, 503, 504)
_LASTING = (
    *(httpx.TooManyRedirects, httpx.DecodingError),
    # A URL, one of the server's redirects among them, and what the request would have from the server: an id, cookies.
    *(httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError),
    OverflowError,  # of a port above 65535, in a group of anyio's
)
"""What would be the same at the next attempt."""


class EventSourceError(Exception):
    """The server does not give events, and asking again would not help; or it was asked often enough."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        """Of the response that was refused."""


class EventSource:
    """Made by ``sse_connect``, read by one task. ``async with`` closes it; so does the end of the iteration."""

    def __init__(
        self,
        url: str,
        *,
        client: httpx.AsyncClient | None,
        method: str,
        headers: Mapping[str, str] | None,
        last_event_id: str,
        retry: float,
        max_delay: float,
        max_attempts: int | None,
        idle_timeout: float | None,
        max_line: int,
        max_event: int,
        request: dict[str, Any],
    ) -> None:
        check_seconds("retry", retry)
        check_seconds("max_delay", max_delay)
        if max_attempts is not None:
            check_count("max_attempts", max_attempts, least=0)
        check_interval("idle_timeout", idle_timeout)
        check_count("max_line", max_line)
        check_count("max_event", max_event)
        self.last_event_id = last_event_id
        """Of the last event that was given; what the server is told when reconnecting."""
        self.retry = retry
        """Seconds before reconnecting, once the server has set them what it said."""
        self._url = url
        self._client = client
        self._own_client = client is None
        self._method = method
        self._headers = headers
        self._max_delay = max_delay
        self._max_attempts = max_attempts
        self._timeout = httpx.Timeout(CONNECT_TIMEOUT, read=idle_timeout)
        self._limits = (max_line, max_event)
        self._request = request
        self._attempts = 0
        self._events: deque[ServerSentEvent] = deque()
        self._batches = self._all()
        self._reading: asyncio.Future[list[ServerSentEvent]] | None = None
        self._closed = False
        self._closing = asyncio.Lock()

    def __aiter__(self) -> EventSource:
        return self

    async def __anext__(self) -> ServerSentEvent:
        while not self._events:
            self._events.extend(await self._read())
        event = self._events.popleft()
        self.last_event_id = event.id or ""
        return event

    async def __aenter__(self) -> EventSource:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the connection, and the iteration of a task that reads. Nothing happens the second time."""
        self._closed = True
        self._events.clear()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        async with self._closing:
            await self._batches.aclose()
            await self._close_client()

    async def _read(self) -> list[ServerSentEvent]:
        """The next events. They are waited for in a task of their own, which ``aclose()`` can cancel without cancelling the reader."""
        if self._closed:
            raise StopAsyncIteration
        if self._reading is not None:
            raise RuntimeError("another task reads these events already")
        self._reading = asyncio.ensure_future(anext(self._batches))
        try:
            # A cancellation of the reader's own goes on to that task and is raised here once it has ended.
            [result] = await asyncio.gather(self._reading, return_exceptions=True)
        finally:
            self._reading = None
        if self._closed:
            raise StopAsyncIteration
        if isinstance(result, BaseException):
            raise result
        return result

    async def _close_client(self) -> None:
        if self._own_client and self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _all(self) -> AsyncGenerator[list[ServerSentEvent], None]:
        """The events of one connection after the other, as they come."""
        if self._client is None:
            self._client = httpx.AsyncClient()
        try:
            while True:
                failure: Exception | None = None
                try:
                    async with self._stream(self._client) as response:
                        if response.status_code == HTTPStatus.NO_CONTENT:
                            return
                        failure = self._refusal(response)
                        if failure is None:
                            async with aclosing(self._events_of(response)) as batches:
                                async for batch in batches:
                                    yield batch
                except Exception as fault:
                    if consists_of(fault, _LASTING):
                        raise EventSourceError(f"{self._url}: {first_of(fault)}") from fault
                    if not isinstance(fault, httpx.TransportError):
                        raise
                    failure = fault
                if not self._may_go_on(failure):
                    return
                await asyncio.sleep(self._delay())
        finally:
            await self._close_client()

    async def _events_of(self, response: httpx.Response) -> AsyncGenerator[list[ServerSentEvent], None]:
        parser = EventStreamParser(self.last_event_id, *self._limits)
        async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_bytes())) as pieces:
            async for data in pieces:
                self._attempts = 0
                if events := parser.feed(data):
                    yield events
                # What blocks without data have set.
                self.last_event_id = parser.last_event_id
                if parser.retry is not None:
                    self.retry = parser.retry / 1000

    def _stream(self, client: httpx.AsyncClient) -> Any:
        headers = httpx.Headers(self._headers)
        headers["Accept"] = "text/event-stream"
        headers["Cache-Control"] = "no-store"
        headers.setdefault("Accept-Encoding", "identity")
        fields: list[tuple[bytes, bytes]] = list(headers.raw)
        # RFC 9110 5.5: white space around a value is none of it, and not to be sent.
        if last_event_id := self.last_event_id.strip(" \t"):
            # 9.2.4: in UTF-8, which httpx would not do for a str.
            fields.append((b"Last-Event-ID", last_event_id.encode()))
        return client.stream(
            self._method,
            self._url,
            headers=fields,
            timeout=self._timeout,
            follow_redirects=True,
            **self._request,
        )

    def _refusal(self, response: httpx.Response) -> Exception | None:
        """None if the response has events; what to try again after. Raises what is not to be tried again."""
        status = response.status_code
        if status in TEMPORARY:
            return EventSourceError(f"it answered {status} {response.reason_phrase}", status)
        if status != HTTPStatus.OK:
            raise EventSourceError(f"{self._url} answered {status} {response.reason_phrase}, not 200", status)
        codings = response.headers.get("content-encoding", "").lower().replace(",", " ").split()
        if set(codings) - {"identity"} and response.request.headers["accept-encoding"] == "identity":
            # A few bytes of it may stand for a very long event, or for no end of empty lines.
            raise EventSourceError(
                f"{self._url} answered in {', '.join(codings)}, which was not asked for", status
            )
        content_type = response.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "text/event-stream":
            raise EventSourceError(
                f"{self._url} answered {content_type or 'no type'}, not text/event-stream", status
            )
        return None

    def _may_go_on(self, failure: Exception | None) -> bool:
        """Whether to reconnect; raises the failure if that was tried often enough."""
        self._attempts += 1
        if self._max_attempts is None or self._attempts <= self._max_attempts:
            return True
        if failure is None and self._max_attempts == 0:
            return False
        what = "the stream ended" if failure is None else str(failure) or type(failure).__name__
        raise EventSourceError(
            f"{self._url}: {what} (attempts: {self._attempts})", getattr(failure, "status", None)
        ) from failure

    def _delay(self) -> float:
        """Seconds: twice as many after each attempt in vain, and up to half of them more by chance."""
        least = self.retry if self._attempts == 1 else max(self.retry, 0.1)
        grown = min(least * 2.0 ** min(self._attempts - 1, 20), self._max_delay)
        return max(least, grown) * random.uniform(1.0, 1.5)


def sse_connect(
    url: str,
    *,
    client: httpx.AsyncClient | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    last_event_id: str = "",
    retry: float = 3.0,
    max_delay: float = 60.0,
    max_attempts: int | None = None,
    idle_timeout: float | None = None,
    max_line: int = 1 << 20,
    max_event: int = 1 << 24,
    **request: Any,
) -> EventSource:
    """``async for event in sse_connect(url)``: ``ServerSentEvent`` after ``ServerSentEvent``, of binary ones ``bytes``.

    It connects when the first event is asked for. When the stream ends or is lost, it connects again with ``Last-Event-ID``, and after 500, 502, 503
    and 504. The answer 204 ends the iteration.

    Args:
        client: to ask with; one of its own otherwise.
        headers: of the request.
        last_event_id: to go on behind that event.
        retry: seconds before reconnecting, until the server says how many; more after each attempt in vain.
        max_delay: seconds, what these grow to at most.
        max_attempts: how often in a row to reconnect in vain; ``None`` without end, 0 never: then the end of the stream
            ends the iteration.
        idle_timeout: seconds of silence (the server's pings count as sound) after which a connection is lost.
        max_line, max_event: bytes that a line and an event's data may have.
        request: more arguments of ``httpx.AsyncClient.stream``: ``params``, ``json``, ``auth`` …

    Raises (at the iteration):
        EventSourceError: another status or content type, a content coding that ``headers`` have not asked for, redirects
            without end, a request that HTTP does not allow (its URL or a redirect's, a header, an id), or ``max_attempts``.
        EventTooLarge: more than ``max_line`` or ``max_event``.
    """
    return EventSource(
        url,
        client=client,
        method=method,
        headers=headers,
        last_event_id=last_event_id,
        retry=retry,
        max_delay=max_delay,
        max_attempts=max_attempts,
        idle_timeout=idle_timeout,
        max_line=max_line,
        max_event=max_event,
        request=request,
    )
