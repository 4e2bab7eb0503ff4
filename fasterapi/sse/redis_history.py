"""A history that processes and machines share: a Redis stream for each channel, by the package ``redis`` (extra ``fasterapi[redis]``).

Each channel that somebody follows here has one reader, which waits in XREAD and fills a log in memory; followers read from that log, and
from Redis (XRANGE) what is older.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

try:
    from redis.asyncio import Redis
    from redis.exceptions import RedisError, ResponseError
except ImportError as error:
    raise ImportError("RedisHistory needs the package redis: pip install 'fasterapi[redis]'") from error

from fasterapi.sse.event import ServerSentEvent
from fasterapi.sse.event_log import BATCH, EventLog
from fasterapi.sse.history import UnknownEventId, as_kept

Id = tuple[int, int]
BLOCK = 5.0
"""Seconds that XREAD waits; the connection is lost when there is no answer for three times as long."""
RETRY = (0.05, 1.0)
"""Seconds after which a reader that has lost Redis tries again: the first time, and at most."""
_FAILURES = (RedisError, OSError, asyncio.TimeoutError)
_ID = re.compile("([0-9]{1,20})-([0-9]{1,20})")
_LARGEST = 2**64 - 1
"""Either half of an id, in Redis."""
_log = logging.getLogger("fasterapi.sse")


class _Reader:
    """Of one channel, for all who follow it here."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.log: EventLog[Id] | None = None
        self.followers = 0
        self.ready = asyncio.Event()

    async def stop(self) -> None:
        """One cancellation is not always enough: an answer that comes at the same time may hide it (before Python 3.12)."""
        while not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task], timeout=0.05)


class RedisHistory:
    """See ``History``. While Redis is not there, who follows waits for it, and the other methods raise
    ``redis.exceptions.RedisError``.

    Args:
        url: as ``redis.asyncio.from_url`` takes it.
        prefix: of the streams' names.
        max_events: of each stream, about (MAXLEN ~).
        max_bytes: of each log in memory.
        ttl: seconds without a new event after which a stream is forgotten.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "fasterapi:sse:",
        max_events: int = 10_000,
        max_bytes: int = 1 << 20,
        ttl: int = 86_400,
    ) -> None:
        self._redis: Any = Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",  # what somebody else has put there must not end a reader
            socket_connect_timeout=BLOCK,
            socket_timeout=3 * BLOCK,
            max_connections=_LARGEST,  # one for each channel that is followed
        )
        self._prefix = prefix
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._ttl = ttl
        self._readers: dict[str, _Reader] = {}

    async def append(self, channel: str, event: Any) -> str:
        kept = as_kept(event)
        stream = self._prefix + channel
        entry = {"event": json.dumps([kept.data, kept.event, kept.retry, kept.comment])}
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(stream, entry, maxlen=self._max_events, approximate=True)
            pipe.expire(stream, self._ttl)
            event_id, _ = await pipe.execute()
        return str(event_id)

    async def replay(self, channel: str, after: str) -> list[ServerSentEvent]:
        key, found = _key(after), []
        while batch := await self._older(channel, key):
            found += [event for _, event in batch]
            key = batch[-1][0]
        return found

    async def follow(self, channel: str, after: str | None = None) -> AsyncGenerator[ServerSentEvent, None]:
        async with self._reading(channel) as log:
            key = log.last if after is None else _key(after)
            while True:
                behind = key < log.start
                batch = await self._patiently(channel, key) if behind else log.after(key)
                for number, event in batch:
                    yield event
                    key = number
                if not batch:
                    if behind or log.broken:
                        raise UnknownEventId(_id(key))
                    await log.wait()

    async def position(self, channel: str) -> str:
        return _id((await self._state(self._prefix + channel))[1])

    async def aclose(self) -> None:
        """Ends the readers and closes the connections."""
        await asyncio.gather(*(reader.stop() for reader in self._readers.values()))
        await self._redis.aclose()

    @asynccontextmanager
    async def _reading(self, channel: str) -> AsyncIterator[EventLog[Id]]:
        """The log of the channel's reader, which works as long as somebody is in here."""
        reader = self._readers.get(channel)
        if reader is None:
            reader = self._readers[channel] = _Reader()
            reader.task = asyncio.create_task(self._read(self._prefix + channel, reader))
        reader.followers += 1
        try:
            await reader.ready.wait()
            assert reader.log is not None
            yield reader.log
        finally:
            reader.followers -= 1
            if not reader.followers:
                del self._readers[channel]
                await reader.stop()

    async def _read(self, stream: str, reader: _Reader) -> None:
        pause = RETRY[0]
        lost = True
        while True:
            try:
                if lost:
                    await self._begin(stream, reader)
                    lost, pause = False, RETRY[0]
                log = reader.log
                assert log is not None
                answer = await self._redis.xread(
                    {stream: _id(log.last)}, count=BATCH, block=int(BLOCK * 1000)
                )
                entries = answer[0][1] if answer else []
                if len(entries) >= min(BATCH, self._max_events):
                    # So many may have driven out others that were not read: XREAD goes on behind them in silence.
                    await self._begin(stream, reader)
                if log is reader.log:
                    for event_id, entry in entries:
                        log.append(_key(event_id), _event(event_id, entry))
            except _FAILURES as error:
                if pause == RETRY[0]:
                    _log.warning("%s cannot be read from Redis (%s)", stream, error)
                lost = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, RETRY[1])

    async def _begin(self, stream: str, reader: _Reader) -> None:
        """At the stream's end, or where the reader was if the stream still has what follows."""
        first, last, _ = await self._state(stream)
        if reader.log is None:
            reader.log = EventLog(last, self._max_events, self._max_bytes)
            reader.ready.set()
        elif not first <= reader.log.last <= last:
            reader.log.break_off()
            reader.log = EventLog(last, self._max_events, self._max_bytes)

    async def _state(self, stream: str) -> tuple[Id, Id, bool]:
        """The first id, the last one that was given, and whether all events are there."""
        try:
            info = await self._redis.xinfo_stream(stream)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return (0, 0), (0, 0), True
        last = _key(info["last-generated-id"])
        first = _key(info["first-entry"][0]) if info["first-entry"] else last
        return first, last, info.get("entries-added") == info["length"]

    async def _patiently(self, channel: str, key: Id) -> list[tuple[Id, ServerSentEvent]]:
        while True:
            try:
                return await self._older(channel, key)
            except _FAILURES:
                await asyncio.sleep(RETRY[1])

    async def _older(self, channel: str, key: Id) -> list[tuple[Id, ServerSentEvent]]:
        """The first events behind ``key``, by XRANGE. Raises ``UnknownEventId``."""
        stream = self._prefix + channel
        # Read first: what is cut off in between is then told as lost, never lost in silence.
        entries = await self._redis.xrange(stream, f"({_id(key)}", "+", count=BATCH)
        first, last, whole = await self._state(stream)
        if not (first <= key <= last or (key == (0, 0) and whole)):
            raise UnknownEventId(_id(key))
        return [(_key(event_id), _event(event_id, entry)) for event_id, entry in entries]


def _event(event_id: str, entry: dict[str, str]) -> ServerSentEvent:
    """Of an entry that no history has made only the id."""
    try:
        data, name, retry, comment = json.loads(entry["event"])
    except (KeyError, TypeError, ValueError):
        return ServerSentEvent(id=event_id)
    return ServerSentEvent(data, name, event_id, retry, comment)


def _id(key: Id) -> str:
    return f"{key[0]}-{key[1]}"


def _key(event_id: str) -> Id:
    match = _ID.fullmatch(event_id)
    key = (int(match[1]), int(match[2])) if match else (_LARGEST + 1, 0)
    if max(key) > _LARGEST:
        raise UnknownEventId(event_id)
    return key
