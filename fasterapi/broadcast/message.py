"""What is published: ``str`` or ``bytes``, as a WebSocket carries them; anything else becomes a text of JSON.

Between processes a message is one byte for its kind, ``t`` or ``b``, and its payload: text as UTF-8.
"""

from __future__ import annotations

from dataclasses import dataclass

from fasterapi import json_text

Message = str | bytes

MESSAGE_LIMIT = 16 << 20
"""Bytes of one message. The host's relay holds a message in memory until it is whole."""
CHANNEL_LIMIT = 1024
"""Bytes of a channel's name in UTF-8. Names are sent with each message."""

_TEXT = b"t"
_BYTES = b"b"


@dataclass(frozen=True)
class Lost:
    """Messages that a subscriber misses."""

    reason: str
    count: int | None = None
    """How many; ``None`` where nobody knows, and it may be none."""


def encode(message: object) -> Message:
    """``message`` as it will be delivered.

    Raises:
        TypeError: it is neither text nor bytes, and not JSON either.
        ValueError: it has more than ``MESSAGE_LIMIT`` bytes, or is text that UTF-8 cannot carry.
    """
    value: Message
    if isinstance(message, (bytes, bytearray, memoryview)):
        value = bytes(message)
    else:
        value = message if isinstance(message, str) else json_text.dumps(message)
    size = len(value) if isinstance(value, bytes) or value.isascii() else len(value.encode())
    if size > MESSAGE_LIMIT:
        raise ValueError(f"a message of {size} bytes; {MESSAGE_LIMIT} are allowed")
    return value


def check_channel(channel: str) -> None:
    """Raises TypeError or ValueError if this cannot be a channel's name."""
    if not isinstance(channel, str):
        raise TypeError(f"a channel's name is a str, not {type(channel).__name__}")
    if len(channel.encode()) > CHANNEL_LIMIT:
        raise ValueError(f"a channel's name has at most {CHANNEL_LIMIT} bytes")


def pack(message: Message) -> bytes:
    return _BYTES + message if isinstance(message, bytes) else _TEXT + message.encode()


def unpack(data: bytes) -> Message:
    """Raises ValueError for what ``pack`` has not made."""
    if data[:1] == _TEXT:
        return data[1:].decode()
    if data[:1] == _BYTES:
        return data[1:]
    raise ValueError("not a message of a Broadcaster")
