"""One server-sent event, as applications send it and as the client gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fasterapi import json_text
from fasterapi.sse.encoder import encode_binary


@dataclass
class ServerSentEvent:
    """One event of WHATWG HTML 9.2 "Server-sent events".

    Sent: ``data`` is written as ``SSE.send()`` does it: ``str`` as it is, ``bytes`` as a binary event, anything else
    as JSON; without data a client takes in ``id`` and ``retry`` and hears of no event. Received: ``str``, or ``bytes``
    of a binary event.
    """

    data: Any = None
    event: str | None = None
    """The name that clients listen to; ``None`` is ``message``."""
    id: str | None = None
    """What a client sends as ``Last-Event-ID`` when it reconnects. Received: the last one so far."""
    retry: int | None = None
    """Milliseconds that a client waits before it reconnects."""
    comment: str | None = None
    """Lines that clients ignore; only sent."""


def text_of(data: Any) -> str:
    """Data as it is sent: text as it is, bytes as those of a binary event, anything else as JSON.

    Raises:
        TypeError: it is no JSON.
    """
    if isinstance(data, str):
        return str.__str__(data)
    if isinstance(data, (bytes, bytearray, memoryview)):
        return encode_binary(data)
    return json_text.dumps(data)
