"""Histories: events of channels that are kept for a while, so that a client that comes back misses none. The one in memory is here."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from fasterapi.numbers import check_count
from fasterapi.sse.encoder import encode_comment, encode_event
from fasterapi.sse.event import ServerSentEvent, text_of
from fasterapi.sse.event_log import EventLog


class UnknownEventId(LookupError):
    """A history does not have all that came after this event: it is too old, or never was."""

    def __init__(self, event_id: str) -> None:
        super().__init__(f"the history does not go back to the event {event_id!r}")
        self.event_id = event_id


class History(Protocol):
    """Ordered events of channels. Ids are the history's own."""

    async def append(self, channel: str, event: Any) -> str:
        """Keeps a ``ServerSentEvent``, or data for one, and gives it to all who follow the channel. Returns its id.

        Raises TypeError and ValueError for what ``SSE.send`` would not send."""

    async def replay(self, channel: str, after: str) -> list[ServerSentEvent]:
        """What came after that id, up to now. Raises ``UnknownEventId``."""

    def follow(self, channel: str, after: str | None = None) -> AsyncGenerator[ServerSentEvent, None]:
        """What came after that id, or from now on, and then every new event, each once and in order.

        Raises ``UnknownEventId`` in the beginning, and when the follower is so slow that it has missed some.
        """

    async def position(self, channel: str) -> str:
        """An id behind which only later events are."""


class MemoryHistory:
    """A history of one process. See ``History``.

    Args:
        max_events, max_bytes: kept for each channel (bytes: about, and a single event may have more).
        max_channels: kept at the same time, besides those that somebody follows.
    """

    def __init__(self, max_events: int = 1000, max_bytes: int = 1 << 20, max_channels: int = 1000) -> None:
        check_count("max_events", max_events)
        check_count("max_bytes", max_bytes)
        check_count("max_channels", max_channels)
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._max_channels = max_channels
        # An id of a process that has ended must not be taken for one of ours.
        self._epoch = secrets.token_hex(4)
        self._count = 0
        self._forgotten = 0
        self._logs: dict[str, EventLog[int]] = {}
        self._followers: dict[str, int] = {}

    async def append(self, channel: str, event: Any) -> str:
        kept = as_kept(event)
        log = self._log(channel)
        self._count += 1
        kept.id = self._id(self._count)
        log.append(self._count, kept)
        return kept.id

    async def replay(self, channel: str, after: str) -> list[ServerSentEvent]:
        key, found = self._key(after), list[ServerSentEvent]()
        log = self._log(channel) if channel in self._logs else self._new_log()
        if key < log.start:
            raise UnknownEventId(after)
        while batch := log.after(key):
            found += [event for _, event in batch]
            key = batch[-1][0]
        return found

    def follow(self, channel: str, after: str | None = None) -> AsyncGenerator[ServerSentEvent, None]:
        return self._follow(channel, self._count if after is None else self._key(after))

    async def position(self, channel: str) -> str:
        return self._id(self._count)

    async def _follow(self, channel: str, key: int) -> AsyncGenerator[ServerSentEvent, None]:
        log = self._log(channel)
        self._followers[channel] = self._followers.get(channel, 0) + 1
        try:
            while True:
                if key < log.start:
                    raise UnknownEventId(self._id(key))
                batch = log.after(key)
                for number, event in batch:
                    yield event
                    key = number
                if not batch:
                    await log.wait()
        finally:
            self._followers[channel] -= 1
            if not self._followers[channel]:
                del self._followers[channel]
                # Whatever clients ask for, it does not drive out what was published.
                if log.empty and self._logs.get(channel) is log:
                    del self._logs[channel]

    def _log(self, channel: str) -> EventLog[int]:
        log = self._logs.pop(channel, None)
        if log is None:
            self._make_room()
            log = self._new_log()
        self._logs[channel] = log  # as the last one used
        return log

    def _new_log(self) -> EventLog[int]:
        return EventLog(self._forgotten, self._max_events, self._max_bytes)

    def _make_room(self) -> None:
        """For one more channel."""
        excess = len(self._logs) + 1 - self._max_channels
        unfollowed = (channel for channel in self._logs if channel not in self._followers)
        for channel in list(islice(unfollowed, max(0, excess))):
            del self._logs[channel]
            # Any channel that comes now may have been that one.
            self._forgotten = self._count

    def _id(self, number: int) -> str:
        return f"{self._epoch}-{number}"

    def _key(self, event_id: str) -> int:
        epoch, _, number = event_id.partition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit()) or len(number) > 18:
            raise UnknownEventId(event_id)
        if int(number) > self._count:
            raise UnknownEventId(event_id)
        return int(number)


def as_kept(event: Any) -> ServerSentEvent:
    """A copy whose data is text, as it is sent; without an id.

    Raises:
        TypeError, ValueError: it cannot be sent (see ``SSE.send``): no follower would get past it.
    """
    whole = event if isinstance(event, ServerSentEvent) else ServerSentEvent(text_of(event))
    kept = replace(whole, data=None if whole.data is None else text_of(whole.data), id=None)
    encode_event(kept.data, kept.event, None, kept.retry)
    if kept.comment is not None:
        encode_comment(kept.comment)
    return kept
