"""What carries messages between publishers and this process: the interface of memory, host and Redis.

The Broadcaster owns one, and is its ``Receiver``.
"""

from __future__ import annotations

from typing import Protocol

from fasterapi.broadcast.errors import ChannelForbidden
from fasterapi.broadcast.message import Lost, Message


class Receiver(Protocol):
    """Called in the loop's thread, never while a call into the backend runs that did not publish."""

    def deliver(self, channel: str, message: Message) -> None: ...

    def lost(self, channel: str, lost: Lost) -> None: ...

    def forbidden(self, channel: str, error: ChannelForbidden) -> None: ...


class Backend(Protocol):
    async def start(self, receiver: Receiver) -> None:
        """Raises BroadcastUnavailable."""

    async def stop(self) -> None: ...

    async def publish(self, channel: str, message: Message) -> None:
        """Raises BroadcastUnavailable, ChannelForbidden."""

    async def subscribe(self, channel: str) -> None:
        """Returns when what is published from now on will be delivered, or will be told as lost. Raises ChannelForbidden."""

    def unsubscribe(self, channel: str) -> None: ...
