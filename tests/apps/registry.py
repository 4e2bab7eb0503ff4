"""Scenarios by name, and the few calls that most of them make."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SCENARIOS: dict[str, App] = {}


def scenario(function: App) -> App:
    """Serves ``/<name of the function>/…``; the query string is the test's tag."""
    SCENARIOS[function.__name__] = function  # type: ignore[attr-defined]
    return function


def tag_of(scope: Scope) -> str:
    return str(scope["query_string"].decode("ascii"))


def argument(scope: Scope) -> str:
    """What follows the scenario's name in the path."""
    return str(scope["path"].partition("/")[2].partition("/")[2])


def header(scope: Scope, name: bytes) -> bytes:
    return next(value for key, value in scope["headers"] if key == name)


def start(status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def reply(
    send: Send, data: bytes | str, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """A whole answer with its Content-Length."""
    data = data.encode() if isinstance(data, str) else data
    await send(start(status, [*headers, (b"content-length", b"%d" % len(data))]))
    await send(body(data))


async def read_body(receive: Receive) -> bytes:
    """The request's body; what came so far if the client leaves."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return b"".join(parts)


def outcome(error: BaseException | None) -> dict[str, Any] | None:
    """How a call ended, as a value that the test can compare: None if it did not raise."""
    if error is None:
        return None
    return {"type": type(error).__name__, "oserror": isinstance(error, OSError), "text": str(error)}
