"""One subscriber's messages: a bounded queue that whoever delivers never waits for.

Made by ``Broadcaster.subscribe``, entered with ``async with``, read with ``async for`` by one task.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol

from fasterapi.broadcast.errors import ChannelForbidden, SubscriberTooSlow
from fasterapi.broadcast.message import Lost, Message
from fasterapi.numbers import check_count

Policy = Literal["drop_oldest", "disconnect"]
OnLost = Callable[[Lost], Any]


@dataclass(frozen=True)
class Limits:
    """Of one subscriber; see ``Broadcaster.subscribe``."""

    policy: Policy
    messages: int
    size: int

    def __post_init__(self) -> None:
        if self.policy not in ("drop_oldest", "disconnect"):
            raise ValueError(f"policy is 'drop_oldest' or 'disconnect', not {self.policy!r}")
        check_count("limit", self.messages)
        check_count("limit_bytes", self.size)


class Membership(Protocol):
    """Who knows the subscribers of each channel: the Broadcaster."""

    async def join(self, subscription: Subscription) -> None: ...

    def leave(self, subscription: Subscription) -> None: ...


class Subscription:
    """Messages of one channel from the moment of entering, in the order in which the channel has them.

    Iteration ends when the Broadcaster disconnects, after what was queued.

    Raises (from iteration):
        RuntimeError: it was not entered.
        SubscriberTooSlow: the policy is ``disconnect``, and more was published than the limits allow. What waited is gone.
        ChannelForbidden: from entering too: Redis does not allow the channel, or no longer.
    """

    def __init__(self, channel: str, limits: Limits, on_lost: OnLost | None, membership: Membership) -> None:
        if on_lost is not None and not callable(on_lost):
            raise TypeError(f"on_lost must be callable or None, not {type(on_lost).__name__}")
        self.channel = channel
        self.dropped = 0
        """Messages that this subscriber was too slow for."""
        self._limits = limits
        self._on_lost = on_lost
        self._membership = membership
        self._queue: deque[Message | Lost] = deque()
        self._size = 0
        self._begun = self._ended = False
        self.error: SubscriberTooSlow | ChannelForbidden | None = None
        """Why it has ended, if not by ``end``."""
        self._when_failed: Callable[[], object] | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def queued(self) -> int:
        """Messages that wait to be read."""
        return len(self._queue)

    async def __aenter__(self) -> Subscription:
        try:
            await self._membership.join(self)
        except BaseException:
            self._membership.leave(self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._membership.leave(self)
        self.end()

    def __aiter__(self) -> Subscription:
        if not self._begun:
            raise RuntimeError(
                "nothing is subscribed to yet: async with broadcaster.subscribe(…) as subscription"
            )
        return self

    async def __anext__(self) -> Message:
        while True:
            while self._queue:
                entry = self._queue.popleft()
                if not isinstance(entry, Lost):
                    self._size -= len(entry)
                    return entry
                instead = None if self._on_lost is None else self._on_lost(entry)
                if isinstance(instead, (str, bytes)):
                    return instead
                if instead is not None:
                    raise TypeError(f"on_lost returns str, bytes or None, not {type(instead).__name__}")
            if self.error is not None:
                raise self.error
            if self._ended:
                raise StopAsyncIteration
            await self._wait()

    def begin(self) -> None:
        """Who publishes knows of it."""
        self._begun = True

    def offer(self, message: Message) -> None:
        """Queues a message; by the policy, older ones make room or the subscription fails."""
        if self._ended:
            return
        self._queue.append(message)
        self._size += len(message)
        limits = self._limits
        # One message may be larger than the limit: it would never be delivered otherwise.
        if len(self._queue) > 1 and (len(self._queue) > limits.messages or self._size > limits.size):
            self._make_room()
        self._wake()

    def report(self, lost: Lost) -> None:
        """Marks the place of a gap. Neighbouring gaps are one."""
        if self._ended:
            return
        if self._queue and isinstance(last := self._queue[-1], Lost):
            self._queue[-1] = _both(last, lost)
        else:
            self._queue.append(lost)
        self._wake()

    def when_failed(self, callback: Callable[[], object] | None) -> None:
        """``callback()`` is called when the policy ``disconnect`` ends the subscription."""
        self._when_failed = callback

    def forbid(self, error: ChannelForbidden) -> None:
        """Nothing more will come; the iteration raises that."""
        self.error = error
        self.end()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._wake()

    def _make_room(self) -> None:
        limits = self._limits
        if limits.policy == "disconnect":
            self.error = SubscriberTooSlow(
                f"{len(self._queue)} messages of {self._size} bytes wait for a subscriber of {self.channel!r}"
            )
            self._queue.clear()
            self._ended = True
            if self._when_failed is not None:
                self._when_failed()
            return
        gap = Lost("the subscriber is too slow", 0)
        # The newest stays; the gap itself takes a place.
        while len(self._queue) > 1 and (len(self._queue) >= limits.messages or self._size > limits.size):
            oldest = self._queue.popleft()
            if isinstance(oldest, Lost):
                gap = _both(oldest, gap)
            else:
                self._size -= len(oldest)
                self.dropped += 1
                gap = _both(gap, Lost(gap.reason, 1))
        self._queue.appendleft(gap)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("another task reads this subscription already")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


def _both(first: Lost, second: Lost) -> Lost:
    if first.count is None or second.count is None:
        return Lost(first.reason if first.count is None else second.reason)
    return Lost(first.reason, first.count + second.count)
