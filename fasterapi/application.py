"""Any application brought to the shape that the native server calls: ``await app(scope, receive, send)``."""

import inspect
import itertools
import logging
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

from fasterapi.importer import STARTUP_FAILURE
from fasterapi.logging import TRACE_LOG_LEVEL

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Interface = Literal["auto", "asgi3", "asgi2", "wsgi"]

logger = logging.getLogger("fasterapi.error")


def adapt(app: Any, interface: Interface) -> tuple[Any, Interface]:
    """The application as ASGI 3, and which interface it has by itself.

    A WSGI application without a2wsgi is logged, and ends the process with 3.
    """
    if interface == "auto":
        interface = _recognise(app)
    if interface == "asgi2":
        app = DoubleCallable(app)
    elif interface == "wsgi":
        app = _in_threads(app)
    if logger.getEffectiveLevel() <= TRACE_LOG_LEVEL:
        app = MessageLog(app)
    return app, interface


def _recognise(app: Any) -> Interface:
    """By how it can be called: ASGI 3 takes three arguments, ASGI 2 the scope alone, WSGI two.

    Where that leaves a choice it is ASGI 3, unless the first arguments have WSGI's names.
    """
    try:
        signature = inspect.signature(app)
        is_async = inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)
    except Exception:  # an object may answer questions about itself with any error
        return "asgi3"
    if _accepts(signature, 1):
        return "asgi3" if _accepts(signature, 3) else "asgi2"
    if is_async or not _accepts(signature, 2):
        return "asgi3"
    named = list(signature.parameters)[:2] == ["environ", "start_response"]
    return "wsgi" if named or not _accepts(signature, 3) else "asgi3"


def _in_threads(app: Any) -> Any:
    try:
        from fasterapi.wsgi import ThreadedApplication
    except ModuleNotFoundError as error:
        if error.name != "a2wsgi":
            raise
        logger.error("Error loading WSGI app. It needs the package a2wsgi: pip install 'fasterapi[wsgi]'.")
        sys.exit(STARTUP_FAILURE)
    return ThreadedApplication(app)


def _accepts(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


class DoubleCallable:
    """An ASGI 2 application, called as ASGI 3."""

    def __init__(self, app: Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["asgi"] = {**scope["asgi"], "version": "2.0"}
        await self.app(scope)(receive, send)


class MessageLog:
    """Logs each call of the application and its messages, at level trace; bodies as their size."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app
        self.logger = logging.getLogger("fasterapi.asgi")
        self.counter = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        prefix = f"{client[0]}:{client[1]}" if client else "-"
        prefix = f"{prefix} - ASGI [{next(self.counter)}]"
        log = self.logger.log

        async def logged_receive() -> Message:
            message = await receive()
            log(TRACE_LOG_LEVEL, "%s Receive %s", prefix, _without_payload(message))
            return message

        async def logged_send(message: Message) -> None:
            log(TRACE_LOG_LEVEL, "%s Send %s", prefix, _without_payload(message))
            await send(message)

        log(TRACE_LOG_LEVEL, "%s Started scope=%s", prefix, scope)
        try:
            await self.app(scope, logged_receive, logged_send)
        except BaseException as error:
            log(TRACE_LOG_LEVEL, "%s Raised %s", prefix, type(error).__name__)
            raise
        log(TRACE_LOG_LEVEL, "%s Completed", prefix)


def _without_payload(message: Any) -> Any:
    if not isinstance(message, MutableMapping):
        return message
    payloads = {
        key: f"<{len(value)} {'chars' if isinstance(value, str) else 'bytes'}>"
        for key, value in message.items()
        if key in ("body", "bytes", "text") and isinstance(value, (bytes, bytearray, memoryview, str))
    }
    return {**message, **payloads}
