"""What a WebSocket's methods are given, checked and as ASGI has it."""

from __future__ import annotations

from collections.abc import Iterable

from fasterapi.connection_scope import Message

MAX_CONTROL_PAYLOAD = 125
"""Bytes (RFC 6455 5.5)."""
MAX_REASON = MAX_CONTROL_PAYLOAD - 2
"""Bytes of a close reason, which comes behind the code."""

HeaderLines = Iterable[tuple[bytes | str, bytes | str]]


def header_lines(headers: HeaderLines) -> list[tuple[bytes, bytes]]:
    """Header lines, names in lower case."""
    return [(_latin1(name).lower(), _latin1(value)) for name, value in headers]


def denial(status: int, body: str | bytes, headers: HeaderLines) -> tuple[Message, Message]:
    """An HTTP response to a handshake (ASGI's extension "websocket.http.response"); ``str`` is UTF-8 text."""
    lines = header_lines(headers)
    if isinstance(body, str):
        body = body.encode()
        if not any(name == b"content-type" for name, _ in lines):
            lines.append((b"content-type", b"text/plain; charset=utf-8"))
    lines.append((b"content-length", b"%d" % len(body)))
    return (
        {"type": "websocket.http.response.start", "status": status, "headers": lines},
        {"type": "websocket.http.response.body", "body": body},
    )


def text(data: str) -> tuple[Message, int]:
    """The message of a text, and the size of its payload in bytes. Raises TypeError, and ValueError without UTF-8."""
    if not isinstance(data, str):
        raise TypeError(f"Expected str, got {type(data)}")
    return {"type": "websocket.send", "text": data}, len(data) if data.isascii() else len(data.encode())


def binary(data: bytes | bytearray | memoryview) -> tuple[Message, int]:
    """The binary message, and the size of its payload in bytes. Raises TypeError."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"Expected bytes, got {type(data)}")
    payload = bytes(data)
    return {"type": "websocket.send", "bytes": payload}, len(payload)


def control_payload(data: bytes | str | None) -> bytes:
    """What a Ping or Pong holds. Raises ValueError for more than 125 bytes, TypeError for what has none."""
    if not isinstance(data, (str, bytes, bytearray, memoryview, type(None))):
        raise TypeError(f"Expected bytes or str, got {type(data)}")
    payload = data.encode() if isinstance(data, str) else bytes(data or b"")
    if len(payload) > MAX_CONTROL_PAYLOAD:
        raise ValueError(f"a ping or pong has at most {MAX_CONTROL_PAYLOAD} bytes, not {len(payload)}")
    return payload


def check_close(code: int, reason: str) -> None:
    """Raises ValueError for a code that may not be sent (RFC 6455 7.4), and for a reason too long; TypeError for others."""
    if not isinstance(code, int) or not isinstance(reason, str):
        raise TypeError(
            f"a close has an int and a str, not {type(code).__name__} and {type(reason).__name__}"
        )
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise ValueError(f"close code {code} may not be sent")
    if len(reason.encode()) > MAX_REASON:
        raise ValueError(f"a close reason has at most {MAX_REASON} bytes of UTF-8")


def _latin1(text: bytes | str) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else bytes(text)
