"""What many tests do: send a scripted request, read a Python literal, see that a server goes on serving."""

from __future__ import annotations

import ast
import uuid
from typing import Any
from urllib.parse import quote

from support.server import ServerProcess
from support.wire import Connection, Headers, Malformed, Response, Silence, Truncated, request_bytes


def literal(response: Response) -> Any:
    """The value that an application answered by ``repr``."""
    assert response.status == 200, response
    return ast.literal_eval(response.body.decode())


def start(status: Any = 200, *headers: tuple[Any, Any], **extra: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **extra}


def body(data: Any = b"", more: bool | None = None, **extra: Any) -> dict[str, Any]:
    event = {"type": "http.response.body", "body": data, **extra}
    return event if more is None else {**event, "more_body": more}


def script_request(
    tag: str, *steps: Any, method: str = "GET", headers: Headers = (), **options: Any
) -> bytes:
    """A request to the scenario ``script``."""
    script = ("x-script", quote(repr(list(steps))))
    return request_bytes(method, f"/script?{tag}", [script, *headers], **options)


def run_script(
    server: ServerProcess, tag: str, *steps: Any, method: str = "GET", headers: Headers = (), **options: Any
) -> tuple[Response | None, list[Any]]:
    """Sends a scripted request on a connection of its own; returns the answer and how each step ended.

    The answer is None if the connection ended before one was whole.
    """
    with server.connect() as connection:
        connection.send(script_request(tag, *steps, method=method, headers=headers, **options))
        try:
            response = connection.response(method)
        except Truncated:
            response = None
        return response, server.probe.expect("script", tag)["outcomes"]


class NotAdvertised(AssertionError):
    """The server does not say that it has the extension that is tested."""


def require_extension(server: ServerProcess, name: str) -> None:
    if name not in (literal(server.get("/echo")).get("extensions") or {}):
        raise NotAdvertised(name)


def taken_until_blocked(server: ServerProcess, tag: str) -> int:
    """How much a flood's send() has taken when it takes nothing more for 20 turns of the server."""
    last, same = -1, 0
    while same < 20:
        now = int(server.get(f"/taken?{tag}").body)
        same = same + 1 if now == last and now > 0 else 0
        last = now
    return last


def raised(outcome: Any) -> bool:
    return isinstance(outcome, dict) and "oserror" in outcome


def still_serves(server: ServerProcess) -> None:
    """A new connection is served. Afterwards the probe has everything that the application said before."""
    tag = uuid.uuid4().hex
    response = server.get(f"/hello?{tag}")
    assert (response.status, response.body) == (200, b"Hello, World!")
    server.probe.expect("hello", tag)


def whole_or_nothing(connection: Connection) -> Response | None:
    """The answer, or None if the connection ended without a byte of one. A part of one is an error."""
    try:
        return connection.response()
    except Truncated as cut:
        if cut.head is not None or cut.body:
            raise Malformed(f"a part of an answer: {cut.head} {cut}") from None
        return None


def next_is_right_or_closed(connection: Connection) -> bool:
    """After an odd exchange the next request is served as it should be, or the connection has been closed.

    True if it was served.
    """
    try:
        connection.request("GET", "/hello")
    except TimeoutError:
        raise Silence("the server neither reads nor closes") from None
    except OSError:
        return False
    response = whole_or_nothing(connection)
    if response is None:
        return False
    assert (response.status, response.body) == (200, b"Hello, World!"), response
    return True


def failed_or_closed(connection: Connection) -> int | None:
    """The application did not answer properly: the status of the 5xx, or None for a closed connection."""
    response = whole_or_nothing(connection)
    assert response is None or response.status >= 500, response
    return response and response.status


def still_serves_path(server: ServerProcess, path: str) -> None:
    """The same for an application other than ``apps.scenarios``."""
    assert server.get(path).status == 200
