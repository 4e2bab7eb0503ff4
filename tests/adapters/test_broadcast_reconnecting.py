"""What the carriers of broadcasts that are reached over a connection have in common."""

from __future__ import annotations

import asyncio

import pytest

from fasterapi.broadcast import Broadcaster, BroadcastUnavailable
from fasterapi.broadcast.reconnecting import ReconnectingBackend


class Confirmable(ReconnectingBackend):
    """Connected at once; confirmations come by hand."""

    async def _open(self):
        pass

    async def _serve(self):
        await asyncio.get_running_loop().create_future()

    async def _close(self):
        pass

    def _announce(self, channel, wanted):
        pass

    async def _send(self, channel, message):
        pass


def test_the_confirmation_of_an_earlier_subscription_is_not_taken_for_this_one(run):
    async def main():
        backend = Confirmable("nothing", 1.0)
        await backend.start(Broadcaster())
        first = asyncio.create_task(backend.subscribe("a"))
        await asyncio.sleep(0)
        backend.unsubscribe("a")
        await first
        second = asyncio.create_task(backend.subscribe("a"))
        await asyncio.sleep(0)
        backend.confirmed("a")
        early = await asyncio.wait([second], timeout=0.01)
        backend.confirmed("a")
        await second
        await backend.stop()
        return len(early[0])

    assert run(main()) == 0


def test_a_subscription_that_is_not_confirmed_in_time_begins_with_a_gap(run):
    async def main():
        backend = Confirmable("nothing", 0.05)
        async with Broadcaster() as broadcaster:
            await backend.start(broadcaster)
            broadcaster._backend = backend
            async with broadcaster.subscribe("a", on_lost=lambda lost: lost.reason) as subscription:
                backend.confirmed("a")
                return await anext(subscription)

    assert run(main()) == "no confirmation in 0.05 s"


class Failing(Confirmable):
    """Connected, and nothing can be sent: known at once, as that there is no network."""

    async def _send(self, channel, message):
        raise ConnectionError("no network")


def test_a_publisher_that_tries_again_at_once_lets_the_loop_go_on(run):
    async def main():
        backend = Failing("nothing", 1.0)
        await backend.start(Broadcaster())
        gone_on = asyncio.Event()
        asyncio.get_running_loop().call_soon(gone_on.set)
        with pytest.raises(BroadcastUnavailable, match="no network; the message may be lost"):
            await backend.publish("a", "x")
        assert gone_on.is_set()
        await backend.stop()

    run(main())
