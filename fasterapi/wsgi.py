"""A WSGI application (PEP 3333) as ASGI 3, in a pool of threads: a2wsgi, and what it leaves to the server.

a2wsgi makes the environ, runs the application in its pool and sends what comes out. Around it, for each
request: the body is a buffered stream that does not pass for whole when the client has gone, the head
waits for the first piece of the body so that an exception can still become a 500, and the application is
not asked for more once nobody reads it.
"""

import asyncio
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from a2wsgi import WSGIMiddleware

THREADS = 40
"""Requests at work at the same time; more wait. What Starlette gives synchronous endpoints."""
KEY = "fasterapi.wsgi"

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApplication = Callable[[Environ, StartResponse], Iterable[bytes]]


class ThreadedApplication:
    """``await app(scope, receive, send)`` for a WSGI application."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app
        call: Any = self._call
        self._adapter: Any = WSGIMiddleware(call, workers=THREADS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        exchange = Exchange(receive, send)
        # A header of the client's with "_" would have the name of another one with "-" in the environ.
        headers = [field for field in scope["headers"] if b"_" not in field[0]]
        seen = {**scope, "headers": headers, "query_string": b"", KEY: (exchange, scope["query_string"])}
        serving = asyncio.ensure_future(self._adapter(seen, exchange.receive, exchange.send))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            # A thread cannot be cancelled: it ends at its next piece, and what it sends until then is taken.
            exchange.gone = True
            await serving
            raise
        except OSError:
            if not exchange.gone:
                raise
        if exchange.failure is not None:
            raise exchange.failure

    def _call(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        """The application's answer, piece by piece. Runs in a thread of the pool."""
        try:
            yield from self._answer(environ, start_response)
        except (SystemExit, KeyboardInterrupt) as error:
            # asyncio lets these two out of the loop: one request would end the server.
            raise RuntimeError(f"the application raised {type(error).__name__}") from error

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        exchange, query = environ["asgi.scope"].pop(KEY)
        environ["QUERY_STRING"] = query.decode("latin-1")
        environ["wsgi.input"] = io.BufferedReader(RequestBody(exchange))
        environ["wsgi.input_terminated"] = True
        environ["wsgi.errors"] = sys.stderr
        head = Head(start_response)
        answer = self.app(environ, head)
        try:
            for piece in answer:
                if exchange.gone:
                    return
                if piece:
                    head.send()
                    yield piece
            head.send()
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()


class Exchange:
    """One request's ``receive`` and ``send``, as its thread may use them."""

    def __init__(self, receive: Any, send: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.receive = receive
        self.gone = False
        """Nobody takes the answer any more."""
        self.failure: Exception | None = None
        self._send = send

    async def send(self, message: Any) -> None:
        """Takes every message, or the thread would wait for ever for one to be taken."""
        if self.gone:
            return
        try:
            await self._send(message)
        except OSError:
            self.gone = True
        except Exception as error:
            self.gone, self.failure = True, error


class RequestBody(io.RawIOBase):
    """The request's body, read from a thread. Raises ``ConnectionResetError`` where the client has left it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._unread = memoryview(b"")
        self._more = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unread and self._more:
            self._receive()
        count = min(len(buffer), len(self._unread))
        buffer[:count] = self._unread[:count]
        self._unread = self._unread[count:]
        return count

    def _receive(self) -> None:
        message = asyncio.run_coroutine_threadsafe(self._exchange.receive(), self._exchange.loop).result()
        if message["type"] == "http.disconnect":
            self._exchange.gone = True
            raise ConnectionResetError("the client has gone before the request's body was whole")
        self._unread = memoryview(message.get("body", b""))
        self._more = message.get("more_body", False)


class Head:
    """The ``start_response`` that an application is given. What it was called with is sent with the body."""

    def __init__(self, start_response: StartResponse) -> None:
        self._start_response = start_response
        self._given: tuple[str, list[tuple[str, str]]] | None = None
        self._write: Callable[[bytes], object] | None = None

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if exc_info is not None and self._write is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self._given is not None:
            raise RuntimeError("start_response() was called again, without exc_info")
        self._given = (status if " " in status else f"{status} ", list(headers))
        return self.write

    def send(self) -> None:
        if self._write is None:
            if self._given is None:
                raise RuntimeError("the application has not called start_response()")
            self._write = self._start_response(*self._given)

    def write(self, data: bytes) -> None:
        """PEP 3333's old way to send a piece of the body."""
        self.send()
        assert self._write is not None
        self._write(data)
