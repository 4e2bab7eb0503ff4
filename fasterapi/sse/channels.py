"""Several named channels over one connection, chosen in the query (``?channels=a,b``), added and dropped while it is open.

On the wire the event's name is the channel's, with ":" and the event's own name behind it if there is one. Events named ``fasterapi.channels``
tell the client its connection's id and its channels, in the beginning and after each change. The id of an event is the place
in each channel, so that a client that reconnects goes on in all that it had.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fasterapi.numbers import check_count
from fasterapi.sse.connection import SSE
from fasterapi.sse.event import ServerSentEvent, text_of
from fasterapi.sse.history import History, UnknownEventId

CONTROL = "fasterapi.channels"
LOST = "lost"
"""Name of the event that a channel sends when its history does not go back to where the client was."""

Source = Callable[[str, str | None], AsyncGenerator[Any, None]]
"""``source(channel, after)`` generates what to send, as ``SSE.send`` takes it; ``after`` is the id of the last
``ServerSentEvent`` with one that the client got from this channel."""


class ChannelsError(ValueError):
    """Too many channels, or one that may not be had."""


@dataclass(frozen=True)
class ChannelLimits:
    """What a client may ask for.

    Args:
        allow: whether there is such a channel for anybody; all, if it is ``None``.

    Raises:
        TypeError: ``allow`` is a coroutine function: what it returns is true of every name.
    """

    allow: Callable[[str], bool] | None = None
    max_channels: int = 32
    max_name: int = 64
    """Characters."""

    def __post_init__(self) -> None:
        # An object's method may be the coroutine function.
        method = None if self.allow is None else type(self.allow).__call__
        if inspect.iscoroutinefunction(self.allow) or inspect.iscoroutinefunction(method):
            raise TypeError("allow must be a function that is not async")
        check_count("max_channels", self.max_channels)
        check_count("max_name", self.max_name)

    def check(self, names: Iterable[str]) -> None:
        """Raises ChannelsError."""
        names = list(names)
        if len(names) > self.max_channels:
            raise ChannelsError(f"more than {self.max_channels} channels")
        for name in names:
            if not self._is_name(name):
                raise ChannelsError("not a channel's name")
            if self.allow is not None and not self.allow(name):
                raise ChannelsError(f"no channel {name!r}")

    def _is_name(self, name: str) -> bool:
        if not 0 < len(name) <= self.max_name or name.startswith("fasterapi."):
            return False
        return name.isprintable() and "," not in name and ":" not in name


class Channels:
    """The channels of one connection. ``await run()`` serves them; ``change()`` may be called meanwhile.

    Raises ChannelsError for what the client has asked for in the query, or had before it reconnected.
    """

    def __init__(self, sse: SSE, source: Source | History, limits: ChannelLimits | None = None) -> None:
        self._sse = sse
        self._history = None if callable(source) else source
        self._source: Source = source if callable(source) else source.follow
        self._limits = limits or ChannelLimits()
        # The place of each: the id behind which it goes on.
        self._places = wanted(sse)
        self._limits.check(self._places)
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._dropped: set[str] = set()  # and not stopped yet: one that is added again begins anew
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None

    @property
    def names(self) -> list[str]:
        """The channels that the client has."""
        return list(self._places)

    def change(self, add: Iterable[str] = (), drop: Iterable[str] = ()) -> None:
        """Drops channels and adds others; all of it or, with ChannelsError, nothing."""
        dropped = set(drop)
        places = {name: place for name, place in self._places.items() if name not in dropped}
        for name in add:
            places.setdefault(name, "")
        self._limits.check(places)
        self._places = places
        self._dropped |= dropped & self._pumps.keys()
        self._changed.set()

    async def run(self) -> None:
        """Sends what the channels give until the client leaves. What a source raises ends it."""
        try:
            while self._failure is None:
                self._changed.clear()
                await self._follow_changes()
                await self._changed.wait()
            raise self._failure
        finally:
            # All at once: another cancellation may cut this short.
            for pump in self._pumps.values():
                pump.cancel()
            await asyncio.gather(*self._pumps.values(), return_exceptions=True)

    async def _follow_changes(self) -> None:
        while self._dropped:
            await self._stop(self._dropped.pop())
        new = [name for name in self._places if name not in self._pumps]
        for name in new:
            await self._find_place(name)
        places = dict(self._places)
        told = {"id": self._sse.connection_id, "channels": list(places)}
        await self._sse.send_json(told, CONTROL, urlencode(places))
        for name in new:
            # Else it was dropped meanwhile, and perhaps added again.
            if name in places and self._places.get(name) == places[name]:
                self._pumps[name] = asyncio.create_task(self._pump(name))
                self._pumps[name].add_done_callback(self._note_failure)

    async def _find_place(self, name: str) -> None:
        """Of a channel that the client has not had: behind what is there now, so that no event is missed from now on."""
        if self._history is not None and self._places.get(name) == "":
            place = await self._history.position(name)
            if name in self._places:
                self._places[name] = place

    async def _pump(self, name: str) -> None:
        while name in self._places:
            try:
                async with aclosing(self._source(name, self._places[name] or None)) as items:
                    async for item in items:
                        await self._send(name, item)
                return
            except UnknownEventId as error:
                if name in self._places:
                    place, self._places[name] = self._places[name], ""
                    await self._find_place(name)
                    if self._places.get(name) == place:  # it would be the same again
                        raise
                    await self._send(name, ServerSentEvent(error.event_id, LOST, self._places.get(name)))

    async def _send(self, name: str, item: Any) -> None:
        if name not in self._places:  # dropped, and not stopped yet
            return
        event = item if isinstance(item, ServerSentEvent) else ServerSentEvent(text_of(item))
        place = None
        if event.id is not None:
            self._places[name] = event.id
            place = urlencode(self._places)
        label = f"{name}:{event.event}" if event.event else name
        await self._sse.send(replace(event, event=label, id=place))

    async def _stop(self, name: str) -> None:
        pump = self._pumps.pop(name)
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)

    def _note_failure(self, pump: asyncio.Task[None]) -> None:
        if not pump.cancelled() and (failure := pump.exception()) is not None:
            self._failure = failure
            self._changed.set()


def wanted(sse: SSE) -> dict[str, str]:
    """The channels of a request and their places: those of the last event, else those of the query."""
    if sse.last_event_id is not None:
        return dict(parse_qsl(sse.last_event_id, keep_blank_values=True))
    return {name: "" for name in sse.query_params.get("channels", "").split(",") if name}
