"""A whole HTTP response at once: what the endpoints answer by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from fasterapi.connection_scope import Send


async def respond(
    send: Send, status: HTTPStatus, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b""
) -> None:
    """Sends it, with its length. Raises what ``send`` raises."""
    lines = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status.value, "headers": lines})
    await send({"type": "http.response.body", "body": body})
