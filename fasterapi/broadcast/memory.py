"""Channels of one process: what is published is delivered before ``publish`` returns."""

from __future__ import annotations

from fasterapi.broadcast.backend import Receiver
from fasterapi.broadcast.message import Message


class MemoryBackend:
    def __init__(self) -> None:
        self._receiver: Receiver | None = None

    async def start(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def stop(self) -> None:
        self._receiver = None

    async def publish(self, channel: str, message: Message) -> None:
        if self._receiver is not None:
            self._receiver.deliver(channel, message)

    async def subscribe(self, channel: str) -> None:
        pass

    def unsubscribe(self, channel: str) -> None:
        pass
