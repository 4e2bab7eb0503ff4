"""Channels over Redis: outages, what it refuses, and what it says instead of an answer."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from support.sse import take

from fasterapi.broadcast import Broadcaster, BroadcastUnavailable, ChannelForbidden, redis


@asynccontextmanager
async def impatient(url: str) -> AsyncIterator[Broadcaster]:
    """Waits long for its first connection, since the machine may be busy, and hardly for the next."""
    async with Broadcaster(url) as broadcaster:
        broadcaster._backend._patience = 0.1
        yield broadcaster


def test_redis_stops_and_starts_under_load(run, redis_server):
    gaps = []

    async def main():
        async with (
            impatient(redis_server.url) as here,
            Broadcaster(redis_server.url) as there,
        ):
            stopping, refused = asyncio.Event(), asyncio.Event()
            outcomes = {"sent": 0, "failed": 0}

            async def publish():
                while not stopping.is_set():
                    try:
                        await here.publish("a", str(outcomes["sent"] + outcomes["failed"]))
                        outcomes["sent"] += 1
                    except BroadcastUnavailable:
                        outcomes["failed"] += 1
                        refused.set()

            publishing = asyncio.create_task(publish())
            async with there.subscribe("a", on_lost=gaps.append) as subscription:
                before = await take(subscription, 100)
                await asyncio.to_thread(redis_server.stop)
                await refused.wait()
                await asyncio.to_thread(redis_server.start)
                seen = [int(message) for message in before]
                while not gaps:
                    seen.append(int(await anext(subscription)))
                gap_at = len(seen) - 1
                seen += [int(message) for message in await take(subscription, 100)]
                stopping.set()
                await publishing
            return seen, gap_at, outcomes

    seen, gap_at, outcomes = run(main())
    assert seen == sorted(set(seen))
    assert outcomes["failed"] > 0
    # The one place where numbers are missing is the one that was told.
    missing = [at for at in range(1, len(seen)) if seen[at] != seen[at - 1] + 1]
    assert missing == [gap_at]
    assert [gap.count for gap in gaps] == [None]


def test_publishing_without_redis_fails_clearly_and_subscribing_waits_for_it(run, redis_server):
    async def main():
        async with impatient(redis_server.url) as broadcaster:
            await asyncio.to_thread(redis_server.stop)
            with pytest.raises(BroadcastUnavailable, match="Redis: "):
                await broadcaster.publish("a", "x")
            async with broadcaster.subscribe(
                "a", on_lost=lambda lost: "something may be lost"
            ) as subscription:
                await asyncio.to_thread(redis_server.start)
                first = await anext(subscription)
                await broadcaster.publish("a", "back")
                return first, await anext(subscription)

    assert run(main()) == ("something may be lost", "back")


def test_connecting_without_redis_fails_clearly(run, redis_server):
    redis_server.stop()

    async def main():
        with pytest.raises(BroadcastUnavailable, match=r"Redis: no connection in 0.2 s: .+"):
            await Broadcaster(redis_server.url, patience=0.2).connect()

    run(main())


def test_what_others_publish_in_redis_is_not_taken_for_a_message(run, shared_redis):
    async def main():
        async with Broadcaster(shared_redis.url) as broadcaster, broadcaster.subscribe("a") as one:
            async with Redis.from_url(shared_redis.url) as other:
                for data in (b"", b"x", b"t\xff"):
                    await other.publish("a", data)
                await other.publish("a", b"tours")
            return await anext(one)

    assert run(main()) == "ours"


def test_a_cancelled_publication_does_not_confuse_the_next(run, shared_redis):
    async def main():
        async with Broadcaster(shared_redis.url) as broadcaster, broadcaster.subscribe("a") as one:
            async with Redis.from_url(shared_redis.url) as other:
                await other.client_pause(200)
            publishing = asyncio.create_task(broadcaster.publish("nobody's", "cancelled"))
            await asyncio.wait([publishing], timeout=0.05)
            publishing.cancel()
            await asyncio.wait([publishing])
            receivers = await redis._ask(broadcaster._backend._publisher, "PUBLISH", "a", b"t1")
            return receivers, await anext(one)

    assert run(main()) == (1, "1")


def test_where_redis_is_silent_no_publication_waits_for_the_others(run, shared_redis, monkeypatch):
    monkeypatch.setattr(redis, "TIMEOUT", 0.2)

    async def silence(*_):
        await asyncio.get_running_loop().create_future()

    async def main():
        async with Broadcaster(shared_redis.url) as broadcaster:
            monkeypatch.setattr(redis, "_ask", silence)
            publishing = asyncio.gather(
                *(broadcaster.publish("a", "x") for _ in range(50)), return_exceptions=True
            )
            # One behind the other they would take 10 s.
            done, _ = await asyncio.wait([publishing], timeout=25 * redis.TIMEOUT)
            publishing.cancel()
            assert done
            return {type(failure) for failure in await publishing}

    assert run(main()) == {BroadcastUnavailable}


# --- What it does not allow ---------------------------------------------------------------------


class Listener:
    """Stands in for a WebSocket that is forwarded to and whose client stays."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}
        self.sent: asyncio.Queue[str] = asyncio.Queue()

    async def receive(self) -> Any:
        await asyncio.get_running_loop().create_future()

    receive_bytes = send_bytes = receive

    async def send_text(self, text: str) -> None:
        self.sent.put_nowait(text)


def test_a_channel_that_is_forbidden_is_told_to_those_who_want_it_and_the_others_live_on(
    run, shared_redis, tag
):
    gaps = []

    async def enter(broadcaster):
        async with broadcaster.subscribe("forbidden"):
            raise AssertionError("nobody may")

    async def main():
        url = await shared_redis.user(tag, channels=["allowed"])
        async with (
            Broadcaster(url) as broadcaster,
            broadcaster.subscribe("allowed", on_lost=gaps.append) as one,
        ):
            refused = await asyncio.gather(
                enter(broadcaster),
                enter(broadcaster),
                broadcaster.forward("forbidden", Listener()),
                broadcaster.publish("forbidden", "x"),
                return_exceptions=True,
            )
            refused += await asyncio.gather(enter(broadcaster), return_exceptions=True)
            await broadcaster.publish("allowed", "x")
            assert await anext(one) == "x"
            return refused, list(broadcaster._channels), set(broadcaster._backend._wanted)

    refused, channels, wanted = run(main())
    assert {type(error) for error in refused} == {ChannelForbidden}, refused
    assert all(str(error).startswith("Redis: ") and "permissions" in str(error) for error in refused)
    assert (channels, wanted, gaps) == (["allowed"], {"allowed"}, [])


def test_a_channel_that_is_forbidden_later_ends_its_iterations_and_the_others_live_on(run, shared_redis, tag):
    async def main():
        url = await shared_redis.user(tag, channels=["kept", "taken"])
        async with (
            Broadcaster(url) as broadcaster,
            broadcaster.subscribe("kept", on_lost=lambda lost: "something may be lost") as kept,
            broadcaster.subscribe("taken") as taken,
        ):
            listener = Listener()
            forwarding = asyncio.ensure_future(broadcaster.forward("taken", listener))
            while listener.sent.empty():
                await broadcaster.publish("taken", "x")
            assert await anext(taken) == "x"
            await shared_redis.user(tag, channels=["kept"])
            assert await anext(kept) == "something may be lost"
            await broadcaster.publish("kept", "back")
            assert await anext(kept) == "back"
            with pytest.raises(ChannelForbidden):
                async for _ in taken:
                    pass
            with pytest.raises(ChannelForbidden):
                await forwarding
            # Once it is allowed again.
            await shared_redis.user(tag, channels=["kept", "taken"])
            async with broadcaster.subscribe("taken") as again:
                await broadcaster.publish("taken", "again")
                return await anext(again)

    assert run(main()) == "again"


@pytest.mark.parametrize(
    ("login", "reason"),
    [("default:wrong@", "password"), ("", "Authentication required")],
    ids=["wrong", "none"],
)
def test_a_password_that_is_missing_or_wrong_is_told(run, redis_server, login, reason):
    async def main():
        async with redis_server.client() as client:
            await client.config_set("requirepass", "secret")
        with pytest.raises(BroadcastUnavailable, match=rf"Redis: no connection in 0.5 s: .*{reason}"):
            await Broadcaster(f"redis://{login}127.0.0.1:{redis_server.port}/0", patience=0.5).connect()

    run(main())


# --- What it says instead of an answer ----------------------------------------------------------


def test_a_redis_that_refuses_pings_is_there(run, redis_server, tmp_path):
    """One that cannot write its file does (MISCONF)."""

    async def until(client, section, name, test):
        while not test((await client.info(section)).get(name)):  # noqa: ASYNC110  Redis tells nobody
            await asyncio.sleep(0.01)

    async def main():
        gaps = []
        async with redis_server.client() as client:
            await client.config_set("save", "3600 1")
            shutil.rmtree(tmp_path)
            await client.bgsave()
            await until(client, "persistence", "rdb_last_bgsave_status", lambda status: status == "err")
            async with (
                Broadcaster(redis_server.url) as broadcaster,
                broadcaster.subscribe("a", on_lost=gaps.append) as one,
            ):
                for _ in range(3):
                    broadcaster._backend._commands.put_nowait(("PING",))
                # One more was at connecting.
                await until(client, "commandstats", "cmdstat_ping", lambda ping: ping["rejected_calls"] >= 4)
                await broadcaster.publish("a", "x")
                return await anext(one), gaps

    assert run(main()) == ("x", [])


def test_a_redis_that_says_nothing_when_it_is_connected_to_is_tried_again(run, monkeypatch):
    monkeypatch.setattr(redis, "TIMEOUT", 0.05)

    async def main():
        connections = asyncio.Semaphore(0)

        async def say_nothing(reader, writer):
            connections.release()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        broadcaster = Broadcaster(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
        connecting = asyncio.ensure_future(broadcaster.connect())
        for _ in range(3):
            await connections.acquire()
        connecting.cancel()
        await asyncio.wait([connecting])
        server.close()
        await server.wait_closed()

    run(main())
