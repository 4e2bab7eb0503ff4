"""A handler ``async def handler(ws)`` as what ASGI servers serve, and Starlette and FastAPI mount."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fasterapi.connection_scope import Receive, Send
from fasterapi.exception_groups import consists_of
from fasterapi.handlers import call, check_handler
from fasterapi.short_response import respond
from fasterapi.websocket.connection import WebSocket
from fasterapi.websocket.errors import WebSocketDisconnect
from fasterapi.websocket.state import WebSocketClose

Handler = Callable[[WebSocket], Awaitable[Any]]

# RFC 9110 15.5.22: 426 names the protocol.
UPGRADE = ((b"upgrade", b"websocket"), (b"content-type", b"text/plain; charset=utf-8"))


def websocket_endpoint(handler: Handler) -> WebSocketEndpoint:
    """The handler as an ASGI application, for a server, Starlette's ``WebSocketRoute``, ``app.mount`` and FastAPI's
    ``app.add_api_websocket_route``.

    The handshake is accepted by its first use of the WebSocket, unless it calls ``accept()``. Its return closes the
    WebSocket (1000), what it raises does so too (1011) and is the server's to log; that the peer has gone is no error. A
    request that asks for no WebSocket is answered with 426.

    Raises:
        TypeError: the handler cannot be called, or yields.
    """
    check_handler(handler)
    return WebSocketEndpoint(handler)


class WebSocketEndpoint:
    """See ``websocket_endpoint``. An object and no function: Starlette calls those with a WebSocket of its own."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.__name__ = getattr(handler, "__name__", type(handler).__name__)
        self.__doc__ = handler.__doc__

    async def __call__(self, scope: Any, receive: Receive | None = None, send: Send | None = None) -> None:
        """ASGI's call; FastAPI's is ``(scope=its WebSocket)``, see ``__signature__``. What can be called with nothing, servers
        take for a factory of applications."""
        if receive is None or send is None:  # FastAPI: its own receive() and send() translate errors
            scope, receive, send = scope.scope, scope._receive, scope._send
        if scope["type"] == "http":
            await respond(send, HTTPStatus.UPGRADE_REQUIRED, UPGRADE, b"This is a WebSocket.")
            return
        await self._serve(WebSocket(scope, receive, send, accepts=True))

    async def _serve(self, ws: WebSocket) -> None:
        try:
            await call(self.handler, ws)
        except Exception as error:
            if ws.is_open:
                await ws.close(WebSocketClose.INTERNAL_ERROR)
            elif consists_of(error, WebSocketDisconnect):
                return
            raise
        await ws.close()

    @property
    def __signature__(self) -> inspect.Signature:
        """One parameter, FastAPI's WebSocket: FastAPI passes to an endpoint what its signature names."""
        try:
            from starlette.websockets import WebSocket as StarletteWebSocket
        except ImportError:
            return inspect.Signature.from_callable(self.__call__)
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature([inspect.Parameter("scope", kind, annotation=StarletteWebSocket)])
