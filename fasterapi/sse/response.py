"""An iterable of events as a response of Starlette and FastAPI."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

try:
    from anyio import move_on_after
    from anyio.to_thread import run_sync
    from starlette.background import BackgroundTask
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send
except ImportError as error:
    raise ImportError("EventSourceResponse needs Starlette: pip install 'fasterapi[app]'") from error

from fasterapi.numbers import check_interval, check_seconds
from fasterapi.sse.connection import HEADERS, SSE

Content = Iterable[Any] | AsyncIterable[Any]

CLOSE_WITHIN = 5.0
"""Seconds that an iterable has to close; as the ``grace`` of ``SSE``."""


_ONE_EVENT = (str, bytes, bytearray, memoryview, Mapping)
"""What has parts that nobody wants one by one."""


class EventSourceResponse(Response):
    """Sends what an iterable gives: ``str`` as it is, ``ServerSentEvent``, anything else as JSON (see ``SSE.send``).

    The iterable is closed when the stream ends and when the client leaves; what is neither asynchronous nor a list or
    tuple is asked in a thread. Its exception is the server's to report and cuts the response. The background task runs after the
    stream, also when the client has left.

    Args:
        content: an iterable, synchronous or asynchronous.
        headers: besides the stream's own, which they replace.
        keep_alive_interval: seconds of silence before a ping, ``None`` for no pings.
        shutdown_grace: seconds that the stream may go on once the server stops, before it is ended.

    Raises:
        TypeError: the content is no iterable, or text, bytes or a mapping, which is one event; seconds that are no number.
        ValueError: seconds out of range.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        content: Content,
        status_code: int = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
        *,
        keep_alive_interval: float | None = 30.0,
        shutdown_grace: float = 0.0,
    ) -> None:
        check_interval("keep_alive_interval", keep_alive_interval)
        check_seconds("shutdown_grace", shutdown_grace)
        if isinstance(content, _ONE_EVENT) or not isinstance(content, (Iterable, AsyncIterable)):
            raise TypeError(f"content must be an iterable of events, not {type(content).__name__}")
        self.status_code = status_code
        self.background = background
        self.content = content
        self.keep_alive_interval = keep_alive_interval
        self.shutdown_grace = shutdown_grace
        self.init_headers(headers)
        for name, value in HEADERS:
            self.headers.setdefault(name.decode(), value.decode())

    @staticmethod
    def stop(headers: Mapping[str, str] | None = None, background: BackgroundTask | None = None) -> Response:
        """The answer 204, which tells a client not to reconnect (WHATWG HTML 9.2.2)."""
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=dict(headers or {}), background=background)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with SSE(
            scope,
            receive,
            send,
            status=self.status_code,
            headers=self.raw_headers,
            shutdown_grace=self.shutdown_grace,
        ) as sse:
            sse.set_keep_alive(self.keep_alive_interval)
            await self._send_all(sse, scope["method"] == "HEAD")
        if self.background is not None:
            await self.background()

    async def _send_all(self, sse: SSE, only_head: bool) -> None:
        items = _iterator(self.content)
        try:
            await sse.start()
            if not only_head:
                async for item in items:
                    await sse.send(item)
        finally:
            # A generator's own "finally" runs now, not when it is collected; nor is it cut short where the middleware
            # around has given up, which cancels whatever waits.
            if (aclose := getattr(items, "aclose", None)) is not None:
                with move_on_after(CLOSE_WITHIN, shield=True):
                    await aclose()


class _InThread:
    """A synchronous iterator that is asked in threads: one call at a time, so that none closes it while it works."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._working = threading.Lock()

    def __aiter__(self) -> _InThread:
        return self

    async def __anext__(self) -> Any:
        item = await run_sync(self._next)
        if item is _END:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        # In a task of its own: run_sync() begins nothing for one that is cancelled before its thread works.
        closing = asyncio.ensure_future(run_sync(self._close))
        await asyncio.shield(closing)

    def _next(self) -> Any:
        with self._working:
            return next(self._source, _END)

    def _close(self) -> None:
        if (close := getattr(self._source, "close", None)) is not None:
            with self._working:
                close()


_END = object()


def _iterator(content: Content) -> AsyncIterator[Any]:
    if isinstance(content, AsyncIterable):
        return aiter(content)
    return _at_hand(content) if isinstance(content, (list, tuple)) else _InThread(iter(content))


async def _at_hand(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item
