"""A history in Redis: shared by processes, and what becomes of those who follow it where Redis or the stream fails them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, RedisError
from support.redis_server import RedisServer
from support.sse import following, take

from fasterapi import RedisHistory, UnknownEventId
from fasterapi.sse import redis_history

Run = Callable[[Coroutine[Any, Any, Any]], Any]
ENTRY = {"event": '["theirs", null, null, null]'}
"""As a history makes them."""


@pytest.fixture
def keeping_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that runs, and keeps its data in a file."""
    server = RedisServer(tmp_path, append_only=True)
    server.start()
    yield server
    server.stop()


async def followed_until_unknown(events: Any) -> tuple[list[str | None], str]:
    """The ids of what it gives, and the one of which it says that it is unknown."""
    ids = []
    try:
        async for event in events:
            ids.append(event.id)
    except UnknownEventId as error:
        return ids, error.event_id
    raise AssertionError("it ended")


def test_processes_share_it(shared_redis: RedisServer, run: Run, tag: str) -> None:
    async def main() -> None:
        async with (
            aclosing(RedisHistory(shared_redis.url, prefix=tag)) as here,
            aclosing(RedisHistory(shared_redis.url, prefix=tag)) as there,
            following(here) as events,
        ):
            sent = [await (here, there)[number % 2].append("c", str(number)) for number in range(20)]
            assert [event.id for event in await take(events, 20)] == sent

    run(main())


def test_one_that_comes_back_without_its_streams_is_told_as_a_loss(
    redis_server: RedisServer, run: Run, tag: str
) -> None:
    async def main() -> None:
        async with aclosing(RedisHistory(redis_server.url, prefix=tag)) as history:
            async with following(history) as events:
                await history.append("c", "before")
                assert (await anext(events)).data == "before"
                waiting = asyncio.ensure_future(anext(events))
                redis_server.stop()
                redis_server.start()
                with pytest.raises(UnknownEventId):
                    await waiting
            async with following(history) as events:
                await history.append("c", "after")
                assert (await anext(events)).data == "after"

    run(main())


def test_a_reader_that_the_stream_has_gone_on_without_tells_its_followers(
    shared_redis: RedisServer, run: Run, tag: str
) -> None:
    async def main() -> None:
        async with (
            shared_redis.client() as redis,
            aclosing(RedisHistory(shared_redis.url, prefix=tag, max_events=100)) as history,
            following(history) as events,
        ):
            await history.append("c", "read")
            assert (await anext(events)).data == "read"
            waiting = asyncio.ensure_future(anext(events))
            async with redis.pipeline(transaction=True) as pipe:
                for _ in range(500):
                    pipe.xadd(f"{tag}c", ENTRY, maxlen=100, approximate=True)
                await pipe.execute()
            with pytest.raises(UnknownEventId):
                await waiting

    run(main())


def test_a_reader_ends_also_where_a_second_cancellation_cuts_short_who_stops_it(
    shared_redis: RedisServer, run: Run, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with aclosing(RedisHistory(shared_redis.url, prefix=tag)) as history:
            readers: list[Any] = []  # its task, at each read
            reads = asyncio.Event()

            async def hide_the_first_cancellation(*_: Any, **__: Any) -> None:
                """As an answer may, that comes at the same time."""
                readers.append(asyncio.current_task())
                reads.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if len(readers) > 1:
                        raise

            async def follow() -> None:
                async with following(history) as events:
                    await anext(events)

            monkeypatch.setattr(history._redis, "xread", hide_the_first_cancellation)
            follower = asyncio.create_task(follow())
            await reads.wait()
            for _ in range(2):
                follower.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([follower])
            ended, _ = await asyncio.wait([readers[0]], timeout=5)
            readers[0].cancel()
            assert ended

    run(main())


@pytest.mark.parametrize(
    ("entry", "entry_id"),
    [
        ({"x": "y"}, "*"),
        ({"event": "[1"}, "*"),
        ({"event": "5"}, "*"),
        ({"event": b"\xff"}, "*"),
        (ENTRY, f"{2**64 - 2}-1"),
    ],
)
def test_entries_of_somebody_else_end_no_reader(
    shared_redis: RedisServer, run: Run, tag: str, entry: dict[Any, Any], entry_id: str
) -> None:
    async def main() -> None:
        async with (
            shared_redis.client() as redis,
            aclosing(RedisHistory(shared_redis.url, prefix=tag)) as history,
            following(history) as events,
        ):
            start = await history.position("c")
            await history.append("c", "before")
            await redis.xadd(f"{tag}c", entry, id=entry_id)
            await history.append("c", "after")
            live = await take(events, 3)
            assert (live[0].data, live[2].data) == ("before", "after")
            assert live[1].data == ("theirs" if entry == ENTRY else None)
            assert await history.replay("c", start) == live

    run(main())


def test_more_channels_can_be_followed_than_a_pool_has_connections(
    shared_redis: RedisServer, run: Run, tag: str
) -> None:
    async def main() -> None:
        names = [str(number) for number in range(120)]
        async with aclosing(RedisHistory(shared_redis.url, prefix=tag)) as history, AsyncExitStack() as stack:
            each = [await stack.enter_async_context(following(history, name)) for name in names]
            waiting = [asyncio.ensure_future(anext(events)) for events in each]
            for name in names:
                await history.append(name, name)
            assert [event.data for event in await asyncio.gather(*waiting)] == names

    run(main())


def test_a_key_that_is_no_stream_is_told(shared_redis: RedisServer, run: Run, tag: str) -> None:
    async def main() -> None:
        async with (
            shared_redis.client() as redis,
            aclosing(RedisHistory(shared_redis.url, prefix=tag)) as history,
        ):
            await redis.set(f"{tag}c", "x")
            with pytest.raises(RedisError, match="WRONGTYPE"):
                await history.position("c")

    run(main())


def test_one_that_has_lost_confirmed_events_is_told_as_a_loss(
    keeping_redis: RedisServer, run: Run, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power failure its file ends earlier. What is appended later must not hide the gap from anybody."""
    # The reader notices late.
    monkeypatch.setattr(redis_history, "RETRY", (1.0, 1.0))

    async def main() -> None:
        history = RedisHistory(keeping_redis.url, prefix=tag)
        empty = await history.position("b")
        await history.append("b", "lost")
        ids = [await history.append("c", str(number)) for number in range(10)]
        async with aclosing(history.follow("c", ids[8])) as events:
            assert (await anext(events)).data == "9"
            await asyncio.to_thread(keeping_redis.stop)
            keeping_redis.cut_append_only_file(1000)
            await asyncio.to_thread(keeping_redis.start)
            kept, unknown = await followed_until_unknown(history.follow("c", ids[0]))
            assert kept == ids[1 : 1 + len(kept)]
            assert 1 < len(kept) < 9
            assert unknown == kept[-1]
            with pytest.raises(UnknownEventId):
                await history.replay("c", kept[-1])
            # From now on, for one who comes before the reader has noticed and for one who comes later.
            position = await history.position("c")
            async with aclosing(history.follow("c", position)) as early:
                first = asyncio.ensure_future(anext(early))
                with pytest.raises(UnknownEventId):
                    await anext(events)
                await history.append("b", "after")
                new = await history.append("c", "after")
                assert (await first).id == new
                for event_id in (ids[0], kept[-1], ids[9]):
                    _, unknown = await followed_until_unknown(history.follow("c", event_id))
                    assert unknown == (ids[9] if event_id == ids[9] else kept[-1])
        for channel, event_id in (("b", empty), ("c", ids[0]), ("c", ids[9])):
            with pytest.raises(UnknownEventId):
                await history.replay(channel, event_id)
        assert [event.id for event in await history.replay("c", position)] == [new]
        await history.aclose()

    run(main())


def test_one_that_was_started_anew_is_told_at_once(keeping_redis: RedisServer, run: Run, tag: str) -> None:
    """Nobody can know whether its file was whole."""

    async def main() -> None:
        async with (
            aclosing(RedisHistory(keeping_redis.url, prefix=tag)) as history,
            following(history) as events,
        ):
            last = await history.append("c", "before")
            assert (await anext(events)).data == "before"
            await asyncio.to_thread(keeping_redis.stop)
            await asyncio.to_thread(keeping_redis.start)
            with pytest.raises(UnknownEventId) as caught:
                await anext(events)
            assert caught.value.event_id == last

    run(main())


def test_an_entry_of_another_run_of_redis_is_told_as_a_loss(
    shared_redis: RedisServer, run: Run, tag: str
) -> None:
    """Who reads may not have noticed that Redis was started anew."""

    async def main() -> None:
        async with (
            shared_redis.client() as redis,
            aclosing(RedisHistory(shared_redis.url, prefix=tag)) as history,
            following(history) as events,
        ):
            await history.append("c", "before")
            assert (await anext(events)).data == "before"
            await redis.xadd(f"{tag}c", {**ENTRY, "run": "0"})
            with pytest.raises(UnknownEventId):
                await anext(events)

    run(main())


def test_a_stream_that_is_forbidden_is_told_to_those_who_follow_it_and_the_others_live_on(
    shared_redis: RedisServer, run: Run, tag: str
) -> None:
    async def main() -> None:
        url = await shared_redis.user(tag, keys=[f"{tag}kept", f"{tag}taken"])
        async with (
            aclosing(RedisHistory(url, prefix=tag)) as history,
            following(history, "kept") as kept,
            following(history, "taken") as taken,
        ):
            for call in (
                history.position("other"),
                history.append("other", "x"),
                anext(history.follow("other")),
            ):
                with pytest.raises(NoPermissionError):
                    await call
            await history.append("taken", "before")
            assert (await anext(taken)).data == "before"
            await shared_redis.user(tag, keys=[f"{tag}kept"])
            with pytest.raises(NoPermissionError):
                await anext(history.follow("taken", "-0-0"))
            async with shared_redis.client() as redis:
                await redis.xadd(f"{tag}taken", ENTRY)  # what was asked for before is still answered
            with pytest.raises(NoPermissionError):
                async for _ in taken:
                    pass
            await history.append("kept", "after")
            assert (await anext(kept)).data == "after"

    run(main())


@pytest.mark.parametrize(
    ("fault", "repair", "text"),
    [
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "read only replica"),
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0"), "maxmemory"),
    ],
    ids=["READONLY", "OOM"],
)
def test_what_redis_does_not_take_is_an_error_of_who_appends_and_nobody_misses_anything(
    redis_server: RedisServer, run: Run, tag: str, fault: tuple[str, ...], repair: tuple[str, ...], text: str
) -> None:
    async def main() -> None:
        async with (
            redis_server.client() as redis,
            aclosing(RedisHistory(redis_server.url, prefix=tag)) as history,
            following(history) as events,
        ):
            await history.append("c", "before")
            await redis.execute_command(*fault)
            with pytest.raises(RedisError, match=text):
                await history.append("c", "refused")
            await redis.execute_command(*repair)
            await history.append("c", "after")
            assert [event.data for event in await take(events, 2)] == ["before", "after"]

    run(main())
