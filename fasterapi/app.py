"""``App``: routes for HTTP, WebSockets and event streams, on Starlette's router. See docs/app.md.

Below the router there is nothing of Starlette's between a handler and the server, so that WebSockets and event streams take
the server's short ways.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any, TypeVar

from fasterapi import json_text
from fasterapi.entry import run
from fasterapi.handlers import check_callable
from fasterapi.sse.connection import SSE
from fasterapi.sse.endpoint import sse_endpoint
from fasterapi.websocket import WebSocket, websocket_endpoint

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Mount, Route, Router, WebSocketRoute
    from starlette.types import ASGIApp, Receive, Scope, Send
except ImportError as error:
    raise ImportError("fasterapi.App needs Starlette: pip install 'fasterapi[app]'") from error

Handler = TypeVar("Handler", bound=Callable[..., Any])
HTTPHandler = Callable[[Request], Any]
WebSocketHandler = Callable[[WebSocket], Awaitable[None]]
SSEHandler = Callable[[SSE], Awaitable[None]]


class App:
    """An ASGI 3 application.

    Paths are Starlette's: ``/users/{name}``, ``{number:int}``, ``{rest:path}``. A route of HTTP and a WebSocket may have the same path.

    Args:
        lifespan: ``lifespan(app)`` is entered before the first request and left after the last; a mapping that it yields
            is each request's ``state``.
        middleware: as Starlette's; the first is the outermost. One that wraps ``send`` makes WebSockets and event
            streams take ASGI's way.
    """

    def __init__(
        self,
        *,
        lifespan: Callable[[App], AbstractAsyncContextManager[Any]] | None = None,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self.router = Router(
            lifespan=None if lifespan is None else lambda _: lifespan(self), middleware=middleware
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.router(scope, receive, send)

    def get(self, path: str, *, name: str | None = None) -> Callable[[Handler], Handler]:
        """Decorates a handler of GET and HEAD; see ``add_route``."""
        return self._decorator(self.add_route, path, methods=["GET"], name=name)

    def post(self, path: str, *, name: str | None = None) -> Callable[[Handler], Handler]:
        """Decorates a handler of POST; see ``add_route``."""
        return self._decorator(self.add_route, path, methods=["POST"], name=name)

    def put(self, path: str, *, name: str | None = None) -> Callable[[Handler], Handler]:
        """Decorates a handler of PUT; see ``add_route``."""
        return self._decorator(self.add_route, path, methods=["PUT"], name=name)

    def delete(self, path: str, *, name: str | None = None) -> Callable[[Handler], Handler]:
        """Decorates a handler of DELETE; see ``add_route``."""
        return self._decorator(self.add_route, path, methods=["DELETE"], name=name)

    def patch(self, path: str, *, name: str | None = None) -> Callable[[Handler], Handler]:
        """Decorates a handler of PATCH; see ``add_route``."""
        return self._decorator(self.add_route, path, methods=["PATCH"], name=name)

    def websocket(self, path: str, *, name: str | None = None) -> Callable[[Handler], Handler]:
        """Decorates ``async def handler(ws: fasterapi.WebSocket)``."""
        return self._decorator(self.add_websocket, path, name=name)

    def sse(
        self,
        path: str,
        *,
        keep_alive_interval: float | None = 30.0,
        shutdown_grace: float = 0.0,
        name: str | None = None,
    ) -> Callable[[Handler], Handler]:
        """Decorates ``async def handler(sse: fasterapi.SSE)``; see ``add_sse``."""
        return self._decorator(
            self.add_sse,
            path,
            keep_alive_interval=keep_alive_interval,
            shutdown_grace=shutdown_grace,
            name=name,
        )

    def add_route(
        self, path: str, handler: HTTPHandler, methods: Collection[str] = ("GET",), name: str | None = None
    ) -> None:
        """``handler(request)`` answers with a dict or list (JSON), a str (text), bytes, or a Starlette response.

        It gets Starlette's ``Request``; one that is not a coroutine function runs in a thread. Starlette's
        ``HTTPException`` becomes a response of its status.
        """
        endpoint = _HTTPEndpoint(handler)
        self.router.routes.append(Route(path, endpoint, methods=methods, name=name or _name(handler)))

    def add_websocket(self, path: str, handler: WebSocketHandler, name: str | None = None) -> None:
        """``await handler(ws)`` for each WebSocket; it is accepted by its first send or receive, if not before."""
        endpoint = websocket_endpoint(handler)
        self.router.routes.append(WebSocketRoute(path, endpoint, name=name or _name(handler)))

    def add_sse(
        self,
        path: str,
        handler: SSEHandler,
        keep_alive_interval: float | None = 30.0,
        shutdown_grace: float = 0.0,
        name: str | None = None,
    ) -> None:
        """``await handler(sse)`` for each GET request; the client's leaving ends it, and the server's stop.

        Args:
            keep_alive_interval: seconds of silence before a ping, ``None`` for no pings.
            shutdown_grace: seconds that the handler may go on once the server stops.
        """
        endpoint = sse_endpoint(
            handler, keep_alive_interval=keep_alive_interval, shutdown_grace=shutdown_grace
        )
        self.router.routes.append(Route(path, endpoint, methods=["GET"], name=name or _name(handler)))

    def mount(self, path: str, app: ASGIApp, name: str | None = None) -> None:
        """Requests below ``path`` go to another ASGI application."""
        self.router.routes.append(Mount(path, app=app, name=name))

    def run(self, host: str = "0.0.0.0", port: int = 8000, **options: Any) -> None:
        """Serves until SIGINT or SIGTERM; ``options`` are those of ``fasterapi.run``.

        Several workers import the application by its name: use ``fasterapi run module:app --workers N``.
        """
        run(self, host=host, port=port, **options)

    @staticmethod
    def _decorator(add: Callable[..., None], path: str, **options: Any) -> Callable[[Handler], Handler]:
        if not isinstance(path, str):  # a decorator without parentheses is given the handler
            raise TypeError(f'a path is a str, as in @app.get("/path"), not {type(path).__name__}')

        def register(handler: Handler) -> Handler:
            add(path, handler, **options)
            return handler

        return register


class _HTTPEndpoint:
    """A handler as an ASGI application."""

    def __init__(self, handler: HTTPHandler) -> None:
        check_callable(handler)
        self._handler = handler
        # An object's method may be the coroutine function.
        self._is_async = any(map(inspect.iscoroutinefunction, (handler, type(handler).__call__)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            if self._is_async:
                result = await self._handler(request)
            else:
                result = await run_in_threadpool(self._handler, request)
            response = _response(result)
        except HTTPException as error:
            response = _error_response(error)
        except ClientDisconnect:  # of request.body(): nobody is left to answer
            return
        await response(scope, receive, send)


def _response(result: object) -> Response:
    if isinstance(result, Response):
        return result
    if isinstance(result, (dict, list)):
        return Response(json_text.dumps(result), media_type="application/json")
    if isinstance(result, str):
        return PlainTextResponse(result)
    if isinstance(result, bytes):
        return Response(result, media_type="application/octet-stream")
    raise TypeError(
        f"a handler returns a dict, list, str, bytes or a Starlette response, not {type(result).__name__}"
    )


def _error_response(error: HTTPException) -> Response:
    # RFC 9110 6.4.1: 204 and 304 have no content.
    if error.status_code in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return Response(status_code=error.status_code, headers=error.headers)
    return PlainTextResponse(error.detail, error.status_code, error.headers)


def _name(handler: Callable[..., Any]) -> str:
    return getattr(handler, "__name__", type(handler).__name__)
