"""A history that processes and machines share: a Redis stream for each channel, by the package ``redis`` (extra ``fasterapi[redis]``).

Each channel that somebody follows here has one reader, which waits in XREAD and fills a log in memory; followers read from that log, and
from Redis (XRANGE) what is older.

A Redis that was started anew, or another one in its place, may lack events that it had confirmed. So each entry and each id names the
run of the server that gave it, and where one run follows the other, events count as lost.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

try:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import NoPermissionError, RedisError
except ImportError as error:
    raise ImportError("RedisHistory needs the package redis: pip install 'fasterapi[redis]'") from error

from fasterapi.numbers import check_count
from fasterapi.sse.event import ServerSentEvent
from fasterapi.sse.event_log import BATCH, EventLog
from fasterapi.sse.history import UnknownEventId, as_kept

Id = tuple[int, int]
BLOCK = 5.0
"""Seconds that XREAD waits; the connection is lost when there is no answer for three times as long."""
RETRY = (0.05, 1.0)
"""Seconds after which a reader that has lost Redis tries again: the first time, and at most."""
_FAILURES = (RedisError, OSError, asyncio.TimeoutError)
_ID = re.compile("([0-9a-f]{0,8})-([0-9]{1,20})-([0-9]{1,20})")
_LARGEST = 2**64 - 1
"""Either half of an entry's id."""
_APPEND = """
local run = (string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''):sub(1, 8)
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'event', ARGV[1], 'run', run)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return run .. '-' .. id
"""
_log = logging.getLogger("fasterapi.sse")


class _State(NamedTuple):
    """Of a stream."""

    run: str
    """Of the server."""
    first: Id
    last: Id
    """The last id that was given."""
    whole: bool
    """Whether nothing was cut off."""


class _Log(EventLog[Id]):
    """Of one run of the server."""

    def __init__(self, run: str, start: Id, max_events: int, max_bytes: int) -> None:
        super().__init__(start, max_events, max_bytes)
        self.run = run


class _Reader:
    """Of one channel, for all who follow it here."""

    task: asyncio.Task[None]
    log: _Log
    """Once it is ready."""

    def __init__(self) -> None:
        self.followers = 0
        self.ready = asyncio.Event()
        self.stopped = False
        self.error: NoPermissionError | None = None
        """Why it has ended by itself, and all who follow with it."""

    def fail(self, error: NoPermissionError) -> None:
        self.error = error
        if self.ready.is_set():
            self.log.break_off()
        self.ready.set()

    async def stop(self) -> None:
        """One cancellation is not always enough: an answer that comes at the same time may hide it (before Python 3.12).
        Where this is cut short, the task ends with its next answer."""
        self.stopped = True
        while not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task], timeout=0.05)


class RedisHistory:
    """See ``History``. While Redis is not there, who follows waits for it, and the other methods raise
    ``redis.exceptions.RedisError``; so does who follows what Redis does not allow (``NoPermissionError``).

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
        check_count("max_events", max_events)
        check_count("max_bytes", max_bytes)
        check_count("ttl", ttl)
        # Without that package's own retries, by which an event may be appended twice; and with RESP2, where it sees that a
        # connection it has kept is broken.
        self._redis: Any = Redis.from_url(
            url,
            protocol=2,
            decode_responses=True,
            encoding_errors="replace",  # what somebody else has put there must not end a reader
            socket_connect_timeout=BLOCK,
            socket_timeout=3 * BLOCK,
            max_connections=_LARGEST,  # one for each channel that is followed
            retry=Retry(NoBackoff(), 0),
        )
        self._append: Any = self._redis.register_script(_APPEND)
        self._prefix = prefix
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._ttl = ttl
        self._readers: dict[str, _Reader] = {}

    async def append(self, channel: str, event: Any) -> str:
        kept = as_kept(event)
        text = json.dumps([kept.data, kept.event, kept.retry, kept.comment])
        arguments = [text, self._max_events, self._ttl]
        return str(await self._append(keys=[self._prefix + channel], args=arguments))

    async def replay(self, channel: str, after: str) -> list[ServerSentEvent]:
        found: list[ServerSentEvent] = []
        run, key = _place(after)
        while batch := await self._older(channel, run, key):
            found += [event for _, event in batch]
            key = batch[-1][0]
        return found

    async def follow(self, channel: str, after: str | None = None) -> AsyncGenerator[ServerSentEvent, None]:
        async with self._reading(channel) as reader:
            log = reader.log
            run, key = (log.run, log.last) if after is None else _place(after)
            while True:
                # A client may come from another process, and be ahead of the reader of this one.
                by_log = run == log.run and log.start <= key <= log.last
                batch = log.after(key) if by_log else await self._patiently(channel, run, key)
                for number, event in batch:
                    yield event
                    key = number
                if batch:
                    continue
                if reader.error is not None:
                    raise reader.error
                if run == log.run and (log.broken or key < log.start):
                    raise UnknownEventId(_id(run, key))
                if log is reader.log:
                    await log.wait()
                if run != log.run:
                    log = reader.log

    async def position(self, channel: str) -> str:
        state = await self._state(self._prefix + channel)
        return _id(state.run, state.last)

    async def aclose(self) -> None:
        """Ends the readers and closes the connections."""
        await asyncio.gather(*(reader.stop() for reader in self._readers.values()))
        await self._redis.aclose()

    @asynccontextmanager
    async def _reading(self, channel: str) -> AsyncIterator[_Reader]:
        """The channel's reader, which works as long as somebody is in here."""
        reader = self._readers.get(channel)
        if reader is None:
            reader = self._readers[channel] = _Reader()
            reader.task = asyncio.create_task(self._read(self._prefix + channel, reader))
        reader.followers += 1
        try:
            await reader.ready.wait()
            if reader.error is not None:
                raise reader.error
            yield reader
        finally:
            reader.followers -= 1
            if not reader.followers:
                del self._readers[channel]
                await reader.stop()

    async def _read(self, stream: str, reader: _Reader) -> None:
        pause = RETRY[0]
        lost = True
        while not reader.stopped:
            try:
                if lost:
                    await self._begin(stream, reader)
                    lost, pause = False, RETRY[0]
                log = reader.log
                answer = await self._redis.xread(
                    {stream: _entry_id(log.last)}, count=BATCH, block=int(BLOCK * 1000)
                )
                entries = answer[0][1] if answer else []
                if len(entries) >= min(BATCH, self._max_events):
                    # So many may have driven out others that were not read: XREAD goes on behind them in silence.
                    await self._begin(stream, reader)
                if log is reader.log:
                    for entry_id, entry in entries:
                        if (run := entry.get("run", log.run)) != log.run:
                            log = self._break_off(reader, run, log.last)
                        log.append(_key(entry_id), _event(run, entry_id, entry))
            except NoPermissionError as error:
                # It would be the same the next time.
                reader.fail(error)
                return
            except _FAILURES as error:
                if pause == RETRY[0]:
                    _log.warning("%s cannot be read from Redis (%s)", stream, error)
                lost = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, RETRY[1])

    async def _begin(self, stream: str, reader: _Reader) -> None:
        """At the stream's end, or where the reader was if the stream still has what follows."""
        state = await self._state(stream)
        if not reader.ready.is_set():
            reader.log = self._new_log(state.run, state.last)
            reader.ready.set()
        elif reader.log.run != state.run or not state.first <= reader.log.last <= state.last:
            self._break_off(reader, state.run, state.last)

    def _break_off(self, reader: _Reader, run: str, start: Id) -> _Log:
        """Events are missing: whoever follows by the log so far is told, and the next one begins."""
        old, reader.log = reader.log, self._new_log(run, start)
        old.break_off()
        return reader.log

    def _new_log(self, run: str, start: Id) -> _Log:
        return _Log(run, start, self._max_events, self._max_bytes)

    async def _state(self, stream: str) -> _State:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xinfo_stream(stream)
            pipe.info("server")
            info, server = await pipe.execute(raise_on_error=False)
        if isinstance(server, Exception):
            raise server
        run = str(server.get("run_id", ""))[:8]
        if isinstance(info, Exception):
            if "no such key" not in str(info):
                raise info
            return _State(run, (0, 0), (0, 0), True)
        last = _key(info["last-generated-id"])
        first = _key(info["first-entry"][0]) if info["first-entry"] else last
        return _State(run, first, last, info.get("entries-added") == info["length"])

    async def _patiently(self, channel: str, run: str, key: Id) -> list[tuple[Id, ServerSentEvent]]:
        while True:
            try:
                return await self._older(channel, run, key)
            except NoPermissionError:
                raise
            except _FAILURES:
                await asyncio.sleep(RETRY[1])

    async def _older(self, channel: str, run: str, key: Id) -> list[tuple[Id, ServerSentEvent]]:
        """The first events behind ``key`` of the same run, by XRANGE. Raises ``UnknownEventId``."""
        stream = self._prefix + channel
        # Read first: what is cut off in between is then told as lost, never lost in silence.
        entries = await self._redis.xrange(stream, f"({_entry_id(key)}", "+", count=BATCH)
        state = await self._state(stream)
        if not (state.first <= key <= state.last or (key == (0, 0) and state.whole)):
            raise UnknownEventId(_id(run, key))
        found = [
            (_key(entry_id), _event(run, entry_id, entry))
            for entry_id, entry in itertools.takewhile(lambda each: each[1].get("run", run) == run, entries)
        ]
        if not found and (entries or run != state.run):
            raise UnknownEventId(_id(run, key))
        return found


def _event(run: str, entry_id: str, entry: dict[str, str]) -> ServerSentEvent:
    """Of an entry that no history has made only the id."""
    event_id = f"{run}-{entry_id}"
    try:
        data, name, retry, comment = json.loads(entry["event"])
    except (KeyError, TypeError, ValueError):
        return ServerSentEvent(id=event_id)
    return ServerSentEvent(data, name, event_id, retry, comment)


def _entry_id(key: Id) -> str:
    """Redis's own."""
    return f"{key[0]}-{key[1]}"


def _id(run: str, key: Id) -> str:
    return f"{run}-{_entry_id(key)}"


def _key(entry_id: str) -> Id:
    first, _, second = entry_id.partition("-")
    return int(first), int(second)


def _place(event_id: str) -> tuple[str, Id]:
    match = _ID.fullmatch(event_id)
    if match is None:
        raise UnknownEventId(event_id)
    key = int(match[2]), int(match[3])
    if max(key) > _LARGEST:
        raise UnknownEventId(event_id)
    return match[1], key
