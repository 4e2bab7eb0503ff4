"""Histories: replay and then live, without a gap or a duplicate; what is unknown is told."""

from __future__ import annotations

import asyncio
import itertools
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import pytest
from support import sse
from support.server import ServerProcess
from support.sse import take

from fasterapi import MemoryHistory, RedisHistory, ServerSentEvent, UnknownEventId, sse_connect

Run = Callable[[Coroutine[Any, Any, Any]], Any]
KINDS = ("memory", "redis")


@pytest.fixture(params=KINDS)
def open_history(request: pytest.FixtureRequest, tag: str) -> Any:
    """``async with open_history(**bounds) as history``."""
    redis = request.getfixturevalue("shared_redis") if request.param == "redis" else None

    @asynccontextmanager
    async def opened(**bounds: int) -> AsyncIterator[Any]:
        if redis is None:
            yield MemoryHistory(**bounds)
            return
        history = RedisHistory(redis.url, prefix=tag, **bounds)
        try:
            yield history
        finally:
            await history.aclose()

    return opened


def data(events: list[ServerSentEvent]) -> list[Any]:
    return [event.data for event in events]


class TestOrder:
    def test_replay_gives_what_came_after_an_id(self, open_history: Any, run: Run) -> None:
        async def main() -> None:
            async with open_history() as history:
                start = await history.position("c")
                ids = [await history.append("c", str(number)) for number in range(250)]
                await history.append("other", "x")
                assert len(set(ids)) == 250
                assert data(await history.replay("c", start)) == [str(number) for number in range(250)]
                assert [event.id for event in await history.replay("c", ids[99])] == ids[100:]
                assert await history.replay("c", ids[-1]) == []

        run(main())

    def test_events_are_kept_whole(self, open_history: Any, run: Run) -> None:
        async def main() -> None:
            async with open_history() as history:
                start = await history.position("c")
                given = [{"a": "ü"}, None, "text", b"\0", ServerSentEvent([1], "e", "ignored", 5, "note")]
                ids = [await history.append("c", each) for each in given]
                assert await history.replay("c", start) == [
                    ServerSentEvent('{"a":"ü"}', id=ids[0]),
                    ServerSentEvent("null", id=ids[1]),
                    ServerSentEvent("text", id=ids[2]),
                    ServerSentEvent("data:application/octet-stream;base64,AA==", id=ids[3]),
                    ServerSentEvent("[1]", "e", ids[4], 5, "note"),
                ]
                with pytest.raises(TypeError):
                    await history.append("c", object())
                for unsendable in (
                    "\ud800",
                    ServerSentEvent("x", event="a\nb"),
                    ServerSentEvent("x", retry=-1),
                    ServerSentEvent(comment="\ud800"),
                ):
                    with pytest.raises(ValueError, match=r"surrogate|line end|retry"):
                        await history.append("c", unsendable)
                assert len(await history.replay("c", start)) == len(given)

        run(main())

    def test_followers_see_each_event_once_while_others_append(self, open_history: Any, run: Run) -> None:
        """Ten followers begin in the middle of appending, each behind another event."""

        async def main() -> None:
            async with open_history() as history:
                loop = asyncio.get_running_loop()
                ids: list[asyncio.Future[str]] = [loop.create_future() for _ in range(500)]

                async def append() -> None:
                    for number in range(500):
                        ids[number].set_result(await history.append("c", str(number)))
                        await asyncio.sleep(0)

                async def follow(begin: int) -> list[Any]:
                    async with aclosing(history.follow("c", await ids[begin])) as events:
                        return data(await take(events, 499 - begin))

                begins = [0, 1, 7, 50, 99, 100, 101, 200, 400, 498]
                _, *found = await asyncio.gather(append(), *(follow(begin) for begin in begins))
                for begin, seen in zip(begins, found, strict=True):
                    assert seen == [str(number) for number in range(begin + 1, 500)]

        run(main())

    def test_without_an_id_only_new_events_come(self, open_history: Any, run: Run) -> None:
        async def main() -> None:
            async with open_history() as history:
                await history.append("c", "old")
                async with aclosing(history.follow("c")) as events:
                    first = asyncio.ensure_future(anext(events))
                    sent = 0
                    while not first.done():
                        await history.append("c", str(sent))
                        await asyncio.sleep(0)
                        sent += 1
                    begin = int(first.result().data)
                    rest = data(await take(events, sent - 1 - begin))
                    assert rest == [str(number) for number in range(begin + 1, sent)]

        run(main())


class TestUnknown:
    @pytest.mark.parametrize(
        "event_id", ["", "x", "1", "-", "7-1-1", "99999999999999999999-0", "zz-5", "0-٣"]
    )
    def test_ids_of_nobody(self, open_history: Any, run: Run, event_id: str) -> None:
        async def main() -> None:
            async with open_history() as history:
                await history.append("c", "x")
                with pytest.raises(UnknownEventId) as caught:
                    await history.replay("c", event_id)
                assert caught.value.event_id == event_id
                with pytest.raises(UnknownEventId):
                    await anext(history.follow("c", event_id))

        run(main())

    def test_ids_of_the_future_and_of_another_history(self, open_history: Any, run: Run) -> None:
        async def main() -> None:
            async with open_history() as history:
                last = await history.append("c", "x")
                for event_id in (last[:-1] + str(int(last[-1]) + 1), await MemoryHistory().append("c", "x")):
                    with pytest.raises(UnknownEventId):
                        await history.replay("c", event_id)
                    with pytest.raises(UnknownEventId):
                        await anext(history.follow("c", event_id))

        run(main())

    def test_what_has_been_cut_off_is_told(self, open_history: Any, run: Run) -> None:
        async def main() -> None:
            # Redis cuts off whole nodes of a hundred entries.
            async with open_history(max_events=100) as history:
                start = await history.position("c")
                ids = [await history.append("c", str(number)) for number in range(500)]
                for event_id in (start, ids[0], ids[100]):
                    with pytest.raises(UnknownEventId):
                        await history.replay("c", event_id)
                assert data(await history.replay("c", ids[450])) == [
                    str(number) for number in range(451, 500)
                ]

        run(main())

    def test_a_follower_that_is_too_slow_is_told(self, run: Run) -> None:
        async def main() -> None:
            history = MemoryHistory(max_events=10)
            async with aclosing(history.follow("c")) as events:
                first = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
                await history.append("c", "0")
                assert (await first).data == "0"
                for number in range(1, 20):
                    await history.append("c", str(number))
                with pytest.raises(UnknownEventId):
                    await anext(events)

        run(main())

    def test_a_history_in_memory_is_bounded_by_bytes_and_channels(self, run: Run) -> None:
        async def main() -> None:
            history = MemoryHistory(max_events=1000, max_bytes=10_000, max_channels=2)
            ids = [await history.append("a", "x" * 1000) for _ in range(20)]
            assert 5 <= len(await history.replay("a", ids[11])) <= 10
            with pytest.raises(UnknownEventId):
                await history.replay("a", ids[5])
            await history.append("b", "x")
            position = await history.position("c")
            await history.append("c", "x")
            with pytest.raises(UnknownEventId):
                await history.replay("a", ids[15])
            assert len(await history.replay("c", position)) == 1

        run(main())

    def test_an_event_larger_than_the_bound_reaches_its_followers(self, open_history: Any, run: Run) -> None:
        async def main() -> None:
            async with open_history(max_bytes=1000) as history, sse.following(history) as events:
                for text in ("small", "x" * 2000, "y" * 2000, "small again"):
                    await history.append("c", text)
                    assert (await anext(events)).data == text

        run(main())

    def test_channels_that_nobody_follows_any_more_go_too(self, run: Run) -> None:
        async def main() -> None:
            history = MemoryHistory(max_channels=2)
            async with AsyncExitStack() as stack:
                for name in "abcdef":
                    events = await stack.enter_async_context(aclosing(history.follow(name)))
                    first = asyncio.ensure_future(anext(events))
                    await asyncio.sleep(0)
                    await history.append(name, name)
                    assert (await first).data == name
            start = await history.position("g")
            await history.append("g", "g")
            assert data(await history.replay("g", start)) == ["g"]
            assert len(history._logs) == 2

        run(main())

    def test_names_that_somebody_makes_up_drive_out_no_channel(self, run: Run) -> None:
        async def main() -> None:
            history = MemoryHistory(max_channels=2)
            start = await history.position("a")
            last = await history.append("a", "kept")
            for number in range(10):
                async with aclosing(history.follow(f"follows {number}")) as events:
                    waits = asyncio.ensure_future(anext(events))
                    await asyncio.sleep(0)
                    waits.cancel()
                    await asyncio.gather(waits, return_exceptions=True)
                assert await history.replay(f"reads {number}", last) == []
            assert data(await history.replay("a", start)) == ["kept"]

        run(main())


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, shared: Callable[..., ServerProcess]) -> ServerProcess:
    env = {}
    if request.param == "redis":
        env["TEST_REDIS"] = request.getfixturevalue("shared_redis").url
    return shared("apps.sse_history:app", env=env)


@pytest.fixture
def channel() -> str:
    return uuid.uuid4().hex


def append(server: ServerProcess, channel: str, *lines: str) -> str:
    """Returns the last one's id."""
    with server.connect() as connection:
        answer = connection.ask(
            "POST", f"/append?channel={channel}", [("Connection", "close")], "\n".join(lines).encode()
        )
    assert answer.status == 200
    return answer.body.decode()


def test_a_client_that_was_away_misses_nothing(server: ServerProcess, channel: str) -> None:
    append(server, channel, "before")
    with sse.connected(server, f"/follow?channel={channel}") as events:
        server.probe.expect("following", channel)
        sent = append(server, channel, "0", "1", "2")
        got = list(itertools.islice(events, 3))
    assert [event.data for event in got] == ["0", "1", "2"]
    assert got[-1].id == sent
    append(server, channel, *"3456")
    headers = {"Last-Event-ID": got[1].id}
    with sse.connected(server, f"/follow?channel={channel}", headers=headers) as events:
        assert [event.data for event in itertools.islice(events, 5)] == list("23456")
        append(server, channel, "7")
        assert next(events).data == "7"


def test_a_client_with_an_unknown_id_is_told_and_goes_on(server: ServerProcess, channel: str) -> None:
    append(server, channel, "old")
    with sse.connected(server, f"/follow?channel={channel}", headers={"Last-Event-ID": "abc"}) as events:
        event = next(events)
        assert (event.event, event.data) == ("lost", "abc")
        append(server, channel, "new")
        assert next(events).data == "new"


def test_a_reconnecting_client_gets_every_event_once(server: ServerProcess, channel: str) -> None:
    """The server ends the stream after each seventh event, while others append all the time."""
    start = append(server, channel, "start")
    appending = threading.Thread(
        target=lambda: [append(server, channel, str(2 * number), str(2 * number + 1)) for number in range(50)]
    )

    async def main() -> list[str]:
        url = f"{sse.url(server)}/one_by_one?channel={channel}"
        async with sse_connect(url, last_event_id=start, retry=0) as source:
            appending.start()
            return [(await anext(source)).data for _ in range(100)]

    assert asyncio.run(main()) == [str(number) for number in range(100)]
    appending.join()
