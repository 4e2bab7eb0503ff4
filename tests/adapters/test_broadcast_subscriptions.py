"""What one subscriber sees of a channel: order, limits, policies, gaps, and how it ends. In one process."""

from __future__ import annotations

import asyncio
import sys

import pytest

from fasterapi.broadcast import Broadcaster, Lost, SubscriberTooSlow


async def read(subscription, count):
    return [await anext(subscription) for _ in range(count)]


def test_messages_come_as_they_were_published_in_order(run):
    async def main():
        async with Broadcaster() as broadcaster, broadcaster.subscribe("a") as one:
            for message in ("text é", b"\x00\xff", {"ключ": [1, None]}, 7, bytearray(b"x"), memoryview(b"y")):
                await broadcaster.publish("a", message)
            return await read(one, 6)

    assert run(main()) == ["text é", b"\x00\xff", '{"ключ":[1,null]}', "7", b"x", b"y"]


def test_every_subscriber_of_a_channel_and_no_other_gets_a_message(run):
    async def main():
        async with (
            Broadcaster() as broadcaster,
            broadcaster.subscribe("a") as one,
            broadcaster.subscribe("a") as two,
            broadcaster.subscribe("b") as other,
        ):
            await broadcaster.publish("a", "for a")
            await broadcaster.publish("b", "for b")
            return await read(one, 1), await read(two, 1), await read(other, 1)

    assert run(main()) == (["for a"], ["for a"], ["for b"])


def test_what_nothing_can_be_sent_to_is_refused_at_once(recwarn):
    with pytest.raises(TypeError, match="to a WebSocket or an SSE, not to object"):
        Broadcaster().forward("a", object())
    with pytest.raises(TypeError, match="on_lost must be callable or None, not str"):
        Broadcaster().subscribe("a", on_lost="lost")
    assert not recwarn.list


@pytest.mark.parametrize(
    ("channel", "message", "error"),
    [
        ("a", object(), TypeError),
        ("a", "x" * ((16 << 20) + 1), ValueError),
        ("a", "\ud800", ValueError),
        ("é" * 513, "x", ValueError),
        (b"a", "x", TypeError),
    ],
)
def test_what_cannot_be_published_says_so(run, channel, message, error):
    async def main():
        async with Broadcaster() as broadcaster:
            await broadcaster.publish(channel, message)

    with pytest.raises(error):
        run(main())


def test_nothing_goes_before_connecting_or_after(run):
    async def main():
        broadcaster = Broadcaster()
        with pytest.raises(RuntimeError, match="not connected"):
            await broadcaster.publish("a", "x")
        with pytest.raises(RuntimeError, match="not connected"):
            async with broadcaster.subscribe("a"):
                pass
        await broadcaster.connect()
        await broadcaster.connect()
        await broadcaster.publish("a", "x")
        await broadcaster.disconnect()
        await broadcaster.disconnect()
        with pytest.raises(RuntimeError, match="not connected"):
            await broadcaster.publish("a", "x")

    run(main())


def test_the_oldest_messages_make_room_and_are_counted(run):
    gaps = []

    async def main():
        async with (
            Broadcaster() as broadcaster,
            broadcaster.subscribe("a", limit=4, on_lost=gaps.append) as slow,
            broadcaster.subscribe("a") as quick,
        ):
            for number in range(10):
                await broadcaster.publish("a", str(number))
            seen = await read(slow, 3)
            return seen, slow.dropped, slow.queued, await read(quick, 10)

    seen, dropped, queued, all_of_them = run(main())
    assert seen == ["7", "8", "9"]
    assert (dropped, queued) == (7, 0)
    assert gaps == [Lost("the subscriber is too slow", 7)]
    assert all_of_them == [str(number) for number in range(10)]


def test_a_gap_can_be_told_in_its_place(run):
    async def main():
        async with (
            Broadcaster() as broadcaster,
            broadcaster.subscribe("a", limit=3, on_lost=lambda lost: f"{lost.count} lost") as slow,
        ):
            for number in range(5):
                await broadcaster.publish("a", str(number))
            first = await read(slow, 3)
            await broadcaster.publish("a", "later")
            return first + await read(slow, 1)

    assert run(main()) == ["3 lost", "3", "4", "later"]


class SlowStream:
    """Stands in for an SSE: more was published than it is given before it takes the first message."""

    def __init__(self, broadcaster):
        self.broadcaster = broadcaster

    async def start(self):
        for number in range(3):
            await self.broadcaster.publish("a", str(number))

    async def send(self, message):
        raise AssertionError(message)

    send_binary = send


def raises(lost):
    raise LookupError("on_lost knows nothing")


@pytest.mark.parametrize("on_lost", [raises, lambda lost: lost.count], ids=["raises", "no-message"])
def test_what_is_wrong_with_on_lost_is_raised_where_messages_are_forwarded(run, on_lost):
    async def main():
        async with Broadcaster() as broadcaster:
            await broadcaster.forward("a", SlowStream(broadcaster), limit=1, on_lost=on_lost)

    with pytest.raises((LookupError, TypeError), match="on_lost"):
        run(main())


def test_the_size_of_what_waits_is_bounded(run):
    async def main():
        async with Broadcaster() as broadcaster, broadcaster.subscribe("a", limit_bytes=100) as slow:
            for number in range(5):
                await broadcaster.publish("a", bytes([number]) * 40)
            two = await read(slow, 2)
            await broadcaster.publish("a", bytes(1000))
            return [message[0] for message in two], slow.dropped, len((await read(slow, 1))[0]), slow.queued

    assert run(main()) == ([3, 4], 3, 1000, 0)


def test_a_subscriber_that_is_too_slow_is_told_by_policy_and_the_others_go_on(run):
    async def main():
        async with (
            Broadcaster() as broadcaster,
            broadcaster.subscribe("a", limit=2, policy="disconnect") as slow,
            broadcaster.subscribe("a") as quick,
        ):
            for number in range(4):
                await broadcaster.publish("a", str(number))
            with pytest.raises(SubscriberTooSlow, match="3 messages of 3 bytes wait for a subscriber of 'a'"):
                await anext(slow)
            return slow.queued, await read(quick, 4)

    assert run(main()) == (0, ["0", "1", "2", "3"])


class Receiver:
    """Stands in for a WebSocket that is forwarded to."""

    def __init__(self):
        self.scope = {}
        self.closed = asyncio.Queue()

    async def receive_bytes(self):
        raise AssertionError("nobody receives")

    async def send_text(self, text):
        raise AssertionError("nothing is sent behind a gap")

    send_bytes = send_text

    async def close(self, code, reason):
        self.closed.put_nowait((code, reason))


def test_a_websocket_for_whom_too_much_waits_at_once_is_closed_by_policy(run):
    async def main():
        async with Broadcaster() as broadcaster:
            receiver = Receiver()
            async with broadcaster.forward("a", receiver, policy="disconnect", limit=1):
                # Before the task that sends has begun.
                for _ in range(3):
                    await broadcaster.publish("a", "x")
                return await receiver.closed.get()

    assert run(main()) == (1013, "too slow")


def test_a_forwarding_that_is_neither_awaited_nor_entered_warns(run):
    async def main():
        async with Broadcaster() as broadcaster:
            with pytest.warns(RuntimeWarning) as told:
                async with broadcaster.forward("entered", Receiver()):
                    broadcaster.forward("forgotten", Receiver())
            return [str(each.message) for each in told if each.category is RuntimeWarning]

    assert run(main()) == ["forward('forgotten', …) was neither awaited nor entered with 'async with'"]


def test_a_bad_policy_or_limit_is_refused():
    for options in ({"policy": "drop_newest"}, {"limit": 0}, {"limit_bytes": 0}):
        with pytest.raises(ValueError, match=r"policy|limit"):
            Broadcaster().subscribe("a", **options)


def test_a_cancelled_subscriber_leaves_nothing_behind(run):
    async def main():
        async with Broadcaster() as broadcaster:
            entered = asyncio.Event()

            async def subscriber():
                async with broadcaster.subscribe("a") as subscription:
                    entered.set()
                    async for _ in subscription:
                        raise AssertionError("nothing was published")

            task = asyncio.create_task(subscriber())
            await entered.wait()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await broadcaster.publish("a", "x")
            return broadcaster._channels

    assert run(main()) == {}


def test_a_cancelled_read_loses_no_message(run):
    async def main():
        async with Broadcaster() as broadcaster, broadcaster.subscribe("a") as one:
            reading = asyncio.ensure_future(anext(one))
            await asyncio.sleep(0)
            await broadcaster.publish("a", "x")
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            return await read(one, 1)

    assert run(main()) == ["x"]


def test_disconnecting_ends_an_iteration_after_what_was_queued(run):
    async def main():
        broadcaster = Broadcaster()
        await broadcaster.connect()
        async with broadcaster.subscribe("a") as one, broadcaster.subscribe("a") as waiting:
            await broadcaster.publish("a", "last")
            assert await anext(waiting) == "last"
            reading = asyncio.ensure_future(anext(waiting, "ended"))
            await asyncio.sleep(0)
            await broadcaster.disconnect()
            return [message async for message in one], await reading

    assert run(main()) == (["last"], "ended")


def test_an_iteration_without_entering_does_not_wait_for_ever(run):
    async def main():
        async with Broadcaster() as broadcaster:
            with pytest.raises(RuntimeError, match=r"async with broadcaster\.subscribe"):
                async for _ in broadcaster.subscribe("news"):
                    pass

    run(main())


def test_one_task_reads(run):
    async def main():
        async with Broadcaster() as broadcaster, broadcaster.subscribe("a") as one:
            first = asyncio.ensure_future(anext(one))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task"):
                await anext(one)
            await broadcaster.publish("a", "x")
            return await first

    assert run(main()) == "x"


def test_ten_thousand_subscribers_of_one_channel_get_every_message(run):
    async def main():
        async def subscriber(entered):
            async with broadcaster.subscribe("a") as subscription:
                entered.release()
                return [int(message) async for message in subscription]

        async with Broadcaster() as broadcaster:
            entered = asyncio.Semaphore(0)
            tasks = [asyncio.create_task(subscriber(entered)) for _ in range(10_000)]
            for _ in tasks:
                await entered.acquire()
            for number in range(3):
                await broadcaster.publish("a", str(number))
        return await asyncio.gather(*tasks)

    assert run(main()) == [[0, 1, 2]] * 10_000


def test_an_unknown_url_and_a_missing_package_say_what_to_do(monkeypatch):
    with pytest.raises(ValueError, match="memory://, host:// or redis://"):
        Broadcaster("kafka://x")
    with pytest.raises(ValueError, match="host://NAME"):
        Broadcaster("host://../x")
    monkeypatch.delitem(sys.modules, "fasterapi.broadcast.redis", raising=False)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ImportError, match=r"fasterapi\[redis\]"):
        Broadcaster("redis://127.0.0.1:1")
