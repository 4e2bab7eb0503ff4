"""A handler of event streams as an ASGI application, which is what Starlette and FastAPI mount."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fasterapi.connection_scope import Receive, Scope, Send
from fasterapi.handlers import call, check_handler
from fasterapi.numbers import check_interval, check_seconds
from fasterapi.short_response import respond
from fasterapi.sse.connection import SSE

Handler = Callable[[SSE], Awaitable[None]]
METHODS = ("GET", "HEAD", "POST")


class SSEEndpoint:
    """Made by ``sse_endpoint``."""

    def __init__(
        self, handler: Handler, keep_alive_interval: float | None, grace: float, shutdown_grace: float
    ) -> None:
        self.handler = handler
        self.keep_alive_interval = keep_alive_interval
        self.grace = grace
        self.shutdown_grace = shutdown_grace
        self.__name__ = getattr(handler, "__name__", type(handler).__name__)
        self.__doc__ = handler.__doc__

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # ASGI: before the accept the handshake is refused, 403
            return
        if scope["type"] == "http" and scope["method"] not in METHODS:
            await respond(send, HTTPStatus.METHOD_NOT_ALLOWED, [(b"allow", ", ".join(METHODS).encode())])
            return
        async with SSE(scope, receive, send, grace=self.grace, shutdown_grace=self.shutdown_grace) as sse:
            sse.set_keep_alive(self.keep_alive_interval)
            if scope["method"] != "HEAD":
                await call(self.handler, sse)


def sse_endpoint(
    handler: Handler,
    *,
    keep_alive_interval: float | None = 30.0,
    grace: float = 5.0,
    shutdown_grace: float = 0.0,
) -> SSEEndpoint:
    """``Route("/events", sse_endpoint(handler))``; also an ASGI application of its own.

    ``await handler(sse)`` runs for each GET (or POST) request; its end closes the stream, and its exception is the server's to report. The
    client's leaving cancels it, and this server's stop; that cancellation ends here.

    Args:
        keep_alive_interval: seconds of silence before a ping, ``None`` for no pings.
        grace: seconds that a cancelled handler has to clean up before it is cancelled again.
        shutdown_grace: seconds that it may go on once the server stops, before it is cancelled.

    Raises:
        TypeError: the handler cannot be called, or yields (see ``EventSourceResponse``); what should be seconds is no number.
        ValueError: seconds that are negative, not finite or more than a year, or no seconds at all between pings.
    """
    check_handler(handler)
    check_interval("keep_alive_interval", keep_alive_interval)
    check_seconds("grace", grace)
    check_seconds("shutdown_grace", shutdown_grace)
    return SSEEndpoint(handler, keep_alive_interval, grace, shutdown_grace)
