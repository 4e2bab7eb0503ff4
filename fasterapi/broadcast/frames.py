"""What the workers of one host say to their relay, and it to them.

A frame is a head of seven bytes (size of the rest, operation, size of the channel's name), the name and a payload.
A connection's transport belongs to its ``FrameProtocol``.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from typing import cast

from fasterapi.broadcast.forks import give_up_in_children
from fasterapi.broadcast.message import CHANNEL_LIMIT, MESSAGE_LIMIT

PUBLISH = 0
"""To the relay, and unchanged from it to every subscriber. Payload: a packed message."""
SUBSCRIBE = 1
"""Answered by the same frame."""
UNSUBSCRIBE = 2
LOST = 3
"""From the relay: the subscriber was too slow. Payload: how many messages, as decimal digits."""

_HEAD = struct.Struct(">IBH")
_FRAME_LIMIT = CHANNEL_LIMIT + MESSAGE_LIMIT + 1


def frame(operation: int, channel: str, payload: bytes = b"") -> bytes:
    name = channel.encode()
    return b"".join((_HEAD.pack(len(name) + len(payload), operation, len(name)), name, payload))


class FrameProtocol(asyncio.Protocol):
    """Args:
    on_frame: called with (operation, channel, payload, the frame's bytes).
    on_end: called once, with the reason, when the connection has ended.
    on_writable: called when what was unsent has gone.
    """

    def __init__(
        self,
        on_frame: Callable[[int, str, bytes, bytes], None],
        on_end: Callable[[str], object],
        on_writable: Callable[[], None] | None = None,
    ) -> None:
        self._on_frame = on_frame
        self._on_end = on_end
        self._on_writable = on_writable
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self.writable = asyncio.Event()
        """Not set while more is unsent than the transport's high-water mark."""
        self.writable.set()
        self._reason = "the other side has closed the connection"

    @property
    def open(self) -> bool:
        return self._transport is not None

    def descriptors(self) -> list[int]:
        """For forked children."""
        return [] if self._socket is None or self._socket.fileno() < 0 else [self._socket.fileno()]

    @property
    def unsent(self) -> int:
        """Bytes."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def abort(self, reason: str) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            self._reason = reason
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._socket = connection = transport.get_extra_info("socket")
        give_up_in_children(self)
        if peer_user(connection) != os.geteuid():
            self.abort("the other side is another user's process")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self.writable.set()
        self._on_end(str(error) if error else self._reason)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()
        if self._on_writable is not None:
            self._on_writable()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            self._take_frames()
        except ValueError:
            self.abort("the other side does not speak as a Broadcaster")

    def _take_frames(self) -> None:
        buffer = self._buffer
        start = 0
        while len(buffer) - start >= _HEAD.size and self._transport is not None:
            size, operation, name_size = _HEAD.unpack_from(buffer, start)
            if size > _FRAME_LIMIT or name_size > min(size, CHANNEL_LIMIT):
                raise ValueError("no frame is that large")
            end = start + _HEAD.size + size
            if end > len(buffer):
                break
            whole = bytes(buffer[start:end])
            name_end = _HEAD.size + name_size
            start = end
            self._on_frame(operation, whole[_HEAD.size : name_end].decode(), whole[name_end:], whole)
        del buffer[:start]


def peer_user(connection: socket.socket) -> int:
    """The user id of the process at the other end of a Unix socket (unix(7), SO_PEERCRED)."""
    credentials = struct.Struct("iII")  # ucred: pid, uid, gid
    given = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return int(credentials.unpack(given)[1])
