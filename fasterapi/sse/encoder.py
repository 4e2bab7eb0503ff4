"""Events to bytes of an event stream (WHATWG HTML 9.2.5), for servers that have no encoder of their own.

Byte for byte what ``server/sse/encoder`` writes. A block is written whole, so that no other one comes between its lines.
"""

from __future__ import annotations

import base64
import re

BINARY_PREFIX = "data:application/octet-stream;base64,"
"""What the data of a binary event begins with: a data URL (RFC 2397)."""

LONGEST_RETRY = 2**63 - 1
"""Milliseconds."""

# 9.2.5: end-of-line = ( cr lf / cr / lf ). str.splitlines() knows more of them.
_LINE_END = re.compile("\r\n|\r|\n")


def encode_event(
    data: str | None, event: str | None = None, event_id: str | None = None, retry: int | None = None
) -> bytes:
    """One event, in the order event, id, retry, data; ``None`` leaves the field out, and empty data is an event.

    Raises:
        ValueError: a line end in ``event`` or ``event_id``, NUL in ``event_id``, ``retry`` below 0 or above
            ``LONGEST_RETRY``, half of a surrogate pair anywhere.
        TypeError: a field is not of its type.
    """
    block = ""
    if event is not None:
        event = _exact(event, "event")
        if "\n" in event or "\r" in event:
            raise ValueError("the event's name has a line end")
        block = f"event: {event}\n"
    if event_id is not None:
        event_id = _exact(event_id, "id")
        # 9.2.6: an id with NUL is ignored by clients, so that reconnecting would go wrong.
        if "\n" in event_id or "\r" in event_id or "\0" in event_id:
            raise ValueError("the event's id has a line end or NUL")
        block += f"id: {event_id}\n"
    if retry is not None:
        if type(retry) is not int:
            raise TypeError(f"retry must be an int of milliseconds, not {type(retry).__name__}")
        if not 0 <= retry <= LONGEST_RETRY:
            raise ValueError("retry must be between 0 and 2**63 - 1 milliseconds")
        block += f"retry: {retry}\n"
    if data is not None:
        block += _lines("data: ", _exact(data, "data"))
    return f"{block}\n".encode()


def encode_comment(text: str) -> bytes:
    """Lines that clients ignore. No empty line follows: some clients (httpx-sse) would make an event of it.

    Raises:
        ValueError: half of a surrogate pair.
        TypeError: no text.
    """
    return _lines(": ", _exact(text, "text")).encode()


def encode_binary(data: bytes | bytearray | memoryview) -> str:
    """The data of a binary event: any parser takes it for text, and a browser's ``fetch()`` gives the bytes."""
    return BINARY_PREFIX + base64.b64encode(data).decode()


def decode_binary(data: str) -> str | bytes:
    """The bytes, if it is the data of a binary event, else the text itself."""
    if not data.startswith(BINARY_PREFIX):
        return data
    try:
        return base64.b64decode(data[len(BINARY_PREFIX) :], validate=True)
    except ValueError:
        return data


def _exact(text: str, what: str) -> str:
    """The text that a subclass holds, whatever it makes of itself: a ``str`` that is an enumeration's, for example."""
    if not isinstance(text, str):
        raise TypeError(f"{what} must be str, not {type(text).__name__}")
    return str.__str__(text)


def _lines(prefix: str, text: str) -> str:
    if "\n" not in text and "\r" not in text:
        return f"{prefix}{text}\n"
    return "".join(f"{prefix}{line}\n" for line in _LINE_END.split(text))
