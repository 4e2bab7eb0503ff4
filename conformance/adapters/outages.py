"""Redis killed and started again, under load, below two workers: what subscribers and followers miss, and what they are told.

Senders number their messages and publish, or append, as quickly as Redis takes them. All that a receiver got is compared with
what was sent: nothing twice, everything in order, and where numbers are missing either the receiver was told (``Lost``,
``UnknownEventId``) or their sender (an exception). The history's followers use ``sse_connect``, and their streams end now and then, so that
they also come back with an id from before the outage.

Three histories: a Redis that keeps nothing; one with an append-only file, written out every second; and the same with the file's
end missing, as after a power failure.
"""

from __future__ import annotations

import asyncio
import functools
import tempfile
import time
from pathlib import Path
from statistics import median

from support.redis_server import RedisServer

from conformance.adapters.fleet import PATIENCE, WORKERS, Fleet
from conformance.adapters.sequences import Received
from conformance.reliability.row import Figure, Outcome, Row, Start

APP = "conformance.adapters.apps:app"
OPTIONS = ("--workers", str(WORKERS))
OUTAGES = 5
FLOW = 1000
"""Messages that each receiver must get between two outages."""
CUT = 100_000
"""Bytes missing at the end of the file: some hundred events."""


def measure(start: Start, kind: str, append_only: bool = False, cut: int = 0) -> Outcome:
    """``kind``: ``channel`` or ``history``."""
    with tempfile.TemporaryDirectory() as directory:
        redis = RedisServer(Path(directory), append_only)
        redis.start()
        try:
            with start(
                app=APP, options=OPTIONS, environment={"BROADCAST": redis.url, "HISTORY": redis.url}
            ) as server:
                return asyncio.run(outages(Fleet(server, kind), redis, cut))
        finally:
            redis.stop()


async def outages(fleet: Fleet, redis: RedisServer, cut: int) -> Outcome:
    back = []
    async with fleet:
        for _ in range(OUTAGES):
            await flow(fleet)
            await asyncio.to_thread(redis.stop)
            if cut:
                redis.cut_append_only_file(cut)
            await asyncio.to_thread(redis.start)
            began = time.monotonic()
            await flow(fleet, 1)
            back.append(time.monotonic() - began)
        await flow(fleet)
        # Else a sender's last message may be one of those that were told as lost.
        assert await fleet.until(lambda one: one.resumed), "nothing comes of some senders any more"
        sent = await fleet.stop_sending()
        last = {name: max(set(range(each.count)) - each.failed) for name, each in sent.items()}
        whole = await fleet.until(
            lambda one: all(one.reached(name) > number for name, number in last.items())
        )
    received = fleet.receivers
    return Outcome(
        (
            sum(one.again for one in received),
            sum(one.silent_losses(sent) for one in received),
            sum(max(0, one.told - OUTAGES) for one in received),
            min(one.messages for one in received),
            median(back),
        ),
        [] if whole else [f"the last message did not arrive within {PATIENCE:g} s"],
    )


async def flow(fleet: Fleet, count: int = FLOW) -> None:
    """Until every receiver has so many more messages."""
    before = {id(one): one.messages for one in fleet.receivers}

    def flows(one: Received) -> bool:
        return one.messages >= before[id(one)] + count

    assert await fleet.until(flows), f"not {count} more messages for everybody within {PATIENCE:g} s"


FIGURES = (
    Figure("messages twice or late", at_most=0, count=True),
    Figure("missing, and nobody told", at_most=0, count=True),
    Figure("losses told beyond one for each outage", at_most=0, count=True),
    Figure("messages that the least of them got", at_least=OUTAGES * FLOW, count=True),
    Figure("flows again after, s", at_most=5),
)
ROWS = (
    Row(
        "outages-channel",
        "Redis killed five times under redis:// channels",
        FIGURES,
        functools.partial(measure, kind="channel"),
    ),
    Row(
        "outages-history",
        "the same under a history that Redis does not keep",
        FIGURES,
        functools.partial(measure, kind="history"),
    ),
    Row(
        "outages-kept",
        "the same, and Redis keeps a file that it writes out every second",
        FIGURES,
        functools.partial(measure, kind="history", append_only=True),
    ),
    Row(
        "outages-cut",
        "the same, and the end of that file is gone each time",
        FIGURES,
        functools.partial(measure, kind="history", append_only=True, cut=CUT),
    ),
)
