"""Channels that processes share: by the host's relay and by Redis. Two Broadcasters stand for two processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fasterapi.broadcast import Broadcaster, BroadcastUnavailable, frames, relay
from fasterapi.broadcast.message import pack

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import asyncio, os
from fasterapi.broadcast import Broadcaster

async def main():
    async with Broadcaster("host://test") as broadcaster, broadcaster.subscribe("to worker") as subscription:
        print("ready", flush=True)
        async for message in subscription:
            if message == "fork" and not os.fork():
                os.read(0, 1)
                os._exit(0)
            await broadcaster.publish("from worker", message)

asyncio.run(main())
"""


pytestmark = pytest.mark.usefixtures("meeting_place")


@pytest.fixture(params=["host", "redis"])
def two(request: pytest.FixtureRequest) -> Callable[[], AsyncIterator[tuple[Broadcaster, Broadcaster]]]:
    """``async with two() as (one, other)``: Broadcasters with the same URL."""
    url = "host://test" if request.param == "host" else request.getfixturevalue("shared_redis").url

    @asynccontextmanager
    async def two() -> AsyncIterator[tuple[Broadcaster, Broadcaster]]:
        async with Broadcaster(url) as one, Broadcaster(url) as other:
            yield one, other

    return two


async def read(subscription, count):
    return [await anext(subscription) for _ in range(count)]


def test_messages_arrive_in_each_process_as_they_were_published_in_order(run, two):
    sent = ["text é", b"\x00\xff", '{"a":1}', *(str(number) for number in range(500))]

    async def main():
        async with (
            two() as (one, other),
            one.subscribe("a") as near,
            other.subscribe("a") as far,
            other.subscribe("b") as elsewhere,
        ):
            for message in ["text é", b"\x00\xff", {"a": 1}, *sent[3:]]:
                await one.publish("a", message)
            await one.publish("b", "b")
            return await read(near, len(sent)), await read(far, len(sent)), await read(elsewhere, 1)

    assert run(main()) == (sent, sent, ["b"])


def test_two_publishers_have_one_order_for_all(run, two):
    async def main():
        async def publish(broadcaster, name):
            for number in range(200):
                await broadcaster.publish("a", f"{name}{number}")

        async with two() as (one, other), one.subscribe("a") as near, other.subscribe("a") as far:
            await asyncio.gather(publish(one, "x"), publish(other, "y"))
            return await read(near, 400), await read(far, 400)

    near, far = run(main())
    assert near == far
    assert [message for message in near if message[0] == "x"] == [f"x{number}" for number in range(200)]


def test_a_channel_may_be_left_and_entered_again_at_once(run, two):
    async def main():
        async with two() as (one, other):
            for number in range(50):
                async with other.subscribe("a") as subscription:
                    await one.publish("a", str(number))
                    assert await anext(subscription) == str(number)
            return one._channels, other._channels, other._backend._wanted

    assert run(main()) == ({}, {}, set())


@pytest.mark.parametrize("kind", ["host", "redis"])
def test_one_broadcaster_serves_one_event_loop_after_the_other(run, kind, shared_redis):
    broadcaster = Broadcaster("host://test" if kind == "host" else shared_redis.url)

    async def main():
        async with broadcaster, broadcaster.subscribe("a") as subscription:
            await asyncio.gather(*(broadcaster.publish("a", str(number)) for number in range(10)))
            return sorted(await read(subscription, 10))

    for _ in range(3):
        assert run(main()) == [str(number) for number in range(10)]


def test_a_message_of_the_largest_size_arrives(run, two):
    async def main():
        async with two() as (one, other), other.subscribe("a") as subscription:
            await one.publish("a", bytes(16 << 20))
            return len(await anext(subscription))

    assert run(main()) == 16 << 20


def test_many_subscribers_of_a_process_cost_one_subscription_of_it(run, two):
    async def main():
        async def subscriber(entered):
            async with other.subscribe("a") as subscription:
                entered.release()
                return await anext(subscription)

        async with two() as (one, other):
            entered = asyncio.Semaphore(0)
            tasks = [asyncio.create_task(subscriber(entered)) for _ in range(1000)]
            for _ in tasks:
                await entered.acquire()
            await one.publish("a", "x")
            return await asyncio.gather(*tasks)

    assert run(main()) == ["x"] * 1000


# --- The host's relay ---------------------------------------------------------------------------


def test_another_takes_over_when_the_relay_leaves_and_subscribers_are_told(run):
    gaps = []

    async def main():
        first = Broadcaster("host://test")
        await first.connect()
        async with (
            Broadcaster("host://test") as second,
            Broadcaster("host://test") as third,
            second.subscribe("a", on_lost=lambda lost: gaps.append(lost) or "something may be lost") as one,
        ):
            await third.publish("a", "before")
            seen = await read(one, 1)
            await first.disconnect()
            seen += await read(one, 1)
            await third.publish("a", "after")
            return seen + await read(one, 1)

    assert run(main()) == ["before", "something may be lost", "after"]
    assert [gap.count for gap in gaps] == [None]


@pytest.fixture
def worker() -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """``worker()`` starts a process that is subscribed when it returns. It forks when it is told to: the child stays until the
    test ends."""
    workers: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER], env=environment, stdout=subprocess.PIPE, stdin=subprocess.PIPE
        )
        workers.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in workers:
        process.kill()
        process.wait(20)
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize("message", ["one", "fork"])
def test_the_worker_that_relays_is_killed(run, worker, message):
    """A child that it has forked lives on, and keeps neither its place nor the others' connections."""
    first = worker()
    worker()

    async def main():
        async with (
            Broadcaster("host://test", patience=30) as broadcaster,
            broadcaster.subscribe("from worker", on_lost=lambda lost: "something may be lost") as answers,
        ):
            await broadcaster.publish("to worker", message)
            seen = await read(answers, 2)
            first.kill()
            seen += await read(answers, 1)
            # The other worker may not be back yet: whether it is can only be asked.
            while seen[-1] != "two":
                await broadcaster.publish("to worker", "two")
                try:
                    seen.append(await asyncio.wait_for(anext(answers), 0.2))
                except asyncio.TimeoutError:
                    pass
            return seen

    assert run(main()) == [message, message, "something may be lost", "two"]


def test_a_worker_that_reads_too_slowly_misses_messages_and_the_others_do_not(run, monkeypatch):
    monkeypatch.setattr(relay, "CLIENT_LIMIT", 1 << 20)
    count, size = 400, 20_000

    async def main():
        async with Broadcaster("host://test") as broadcaster, broadcaster.subscribe("a") as quick:
            path = str(relay.private_directory("test") / "relay")
            reader, writer = await asyncio.open_unix_connection(path, limit=1 << 16)
            writer.write(frames.frame(frames.SUBSCRIBE, "a"))
            await reader.readexactly(len(frames.frame(frames.SUBSCRIBE, "a")))
            for _ in range(count):
                await broadcaster.publish("a", bytes(size))
                await anext(quick)
            seen = lost = 0
            while seen + lost < count:
                frame_size, operation, name = frames._HEAD.unpack(await reader.readexactly(7))
                payload = (await reader.readexactly(frame_size))[name:]
                if operation == frames.LOST:
                    lost += int(payload)
                else:
                    seen += payload == pack(bytes(size))
            # What comes after the gap arrives again.
            await broadcaster.publish("a", "later")
            assert await reader.readexactly(7 + 1 + 6) == frames.frame(frames.PUBLISH, "a", b"tlater")
            writer.close()
            return seen, lost

    seen, lost = run(main())
    assert lost > 0
    assert seen + lost == count


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 7,
        b"GET / HTTP/1.1\r\n\r\n",
        frames._HEAD.pack(1, 0, 2),
        frames._HEAD.pack(1, 0, 1) + b"\xff",
    ],
)
def test_whoever_does_not_speak_as_a_broadcaster_is_cut_off(run, garbage, caplog):
    async def main():
        async with Broadcaster("host://test") as broadcaster, broadcaster.subscribe("a") as one:
            reader, writer = await asyncio.open_unix_connection(
                str(relay.private_directory("test") / "relay")
            )
            writer.write(garbage)
            assert await reader.read() == b""
            writer.close()
            await broadcaster.publish("a", "x")
            return await anext(one)

    assert run(main()) == "x"
    assert not caplog.records


@pytest.mark.parametrize(
    "poison",
    [
        frames.frame(frames.PUBLISH, "a", b""),
        frames.frame(frames.PUBLISH, "a", b"x"),
        frames.frame(frames.PUBLISH, "a", b"t\xff"),
        frames.frame(frames.LOST, "a", b"x"),
        frames.frame(7, "a"),
    ],
)
def test_what_another_process_of_this_user_publishes_harms_no_subscriber(run, poison):
    gaps = []

    async def main():
        async with (
            Broadcaster("host://test") as broadcaster,
            broadcaster.subscribe("a", on_lost=gaps.append) as one,
        ):
            _, writer = await asyncio.open_unix_connection(str(relay.private_directory("test") / "relay"))
            writer.write(poison + frames.frame(frames.PUBLISH, "a", b"ttheirs"))
            assert await anext(one) == "theirs"
            await broadcaster.publish("a", "ours")
            writer.close()
            return await anext(one)

    assert run(main()) == "ours"
    assert gaps == []


def test_a_worker_that_leaves_is_forgotten(run):
    async def main():
        async with Broadcaster("host://test") as broadcaster:
            _, writer = await asyncio.open_unix_connection(str(relay.private_directory("test") / "relay"))
            channels = broadcaster._backend._relay._channels
            writer.write(frames.frame(frames.SUBSCRIBE, "a") + frames.frame(frames.SUBSCRIBE, "b"))
            while len(channels) < 2:  # noqa: ASYNC110  the relay tells nobody
                await asyncio.sleep(0)
            writer.close()
            while channels:  # noqa: ASYNC110
                await asyncio.sleep(0)

    run(main())


def test_another_users_process_is_refused(run, monkeypatch):
    monkeypatch.setattr(frames, "peer_user", lambda connection: os.geteuid() + 1)

    async def main():
        with pytest.raises(BroadcastUnavailable, match="another user's process"):
            await Broadcaster("host://test", patience=1).connect()

    run(main())


def test_the_other_sides_user_is_the_kernels_word(run):
    async def main():
        async with Broadcaster("host://test"):
            _, writer = await asyncio.open_unix_connection(str(relay.private_directory("test") / "relay"))
            writer.close()
            return frames.peer_user(writer.get_extra_info("socket"))

    assert run(main()) == os.geteuid()


def test_a_meeting_place_that_others_may_enter_is_refused(run, meeting_place):
    (meeting_place / f"fasterapi-{os.geteuid()}-test").mkdir(mode=0o755)

    async def main():
        with pytest.raises(BroadcastUnavailable, match="only this user may enter"):
            await Broadcaster("host://test", patience=1).connect()

    run(main())
