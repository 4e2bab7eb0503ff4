"""The last events of one channel in memory, and those who wait for the next one. Owned by a history."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from fasterapi.sse.event import ServerSentEvent

Key = TypeVar("Key", int, tuple[int, int])
BATCH = 100
"""Events that a follower is given at once, so that a slow one does not keep more alive than the log does."""
OVERHEAD = 200
"""Bytes that an event takes besides its text, about."""


class EventLog(Generic[Key]):
    """Keys grow. The log has all events behind ``start``; what exceeds a bound goes, oldest first. The newest stays, however
    large it is: those who wait would never get it otherwise."""

    def __init__(self, start: Key, max_events: int, max_bytes: int) -> None:
        self.start: Key = start
        self.last: Key = start
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self.broken = False
        """Whether some events are missing behind ``last``, and there will be no more."""
        self._entries: deque[tuple[Key, ServerSentEvent]] = deque()
        self._grown = asyncio.Event()

    @property
    def empty(self) -> bool:
        """Whether nothing was ever added."""
        return not self._entries

    def append(self, key: Key, event: ServerSentEvent) -> None:
        """Adds an event and wakes who waits."""
        self._entries.append((key, event))
        self._bytes += _size(event)
        self.last = key
        while len(self._entries) > self._max_events or (
            self._bytes > self._max_bytes and len(self._entries) > 1
        ):
            self.start, oldest = self._entries.popleft()
            self._bytes -= _size(oldest)
        self._wake()

    def break_off(self) -> None:
        """Tells who waits that events were lost."""
        self.broken = True
        self._wake()

    def after(self, key: Key) -> list[tuple[Key, ServerSentEvent]]:
        """The first ones behind ``key``, which is not before ``start``."""
        found: list[tuple[Key, ServerSentEvent]] = []
        for entry in reversed(self._entries):
            if entry[0] <= key:
                break
            found.append(entry)
        found.reverse()
        return found[:BATCH]

    async def wait(self) -> None:
        """Until something is added."""
        await self._grown.wait()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()


def _size(event: ServerSentEvent) -> int:
    return OVERHEAD + sum(len(text) for text in (event.data, event.event, event.comment) if text)
