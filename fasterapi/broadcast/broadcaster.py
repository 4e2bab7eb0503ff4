"""Channels with publishers and subscribers. See docs/broadcast.md.

Owns its backend and knows who subscribes to what; delivering is a walk over a channel's subscribers that waits for nobody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from fasterapi.broadcast.backend import Backend
from fasterapi.broadcast.errors import ChannelForbidden
from fasterapi.broadcast.forwarding import Forwarding, NativeTopics, check_connection
from fasterapi.broadcast.memory import MemoryBackend
from fasterapi.broadcast.message import Lost, Message, check_channel, encode
from fasterapi.broadcast.subscription import Limits, OnLost, Policy, Subscription
from fasterapi.numbers import check_seconds

LIMIT = 1024
LIMIT_BYTES = 1 << 20
"""What waits for one subscriber: a burst of a second or so, and little enough for 10,000 subscribers that share messages."""


class Broadcaster:
    """Delivers each message at most once to every subscriber of its channel, in the order in which the channel has them.

    Args:
        url: ``memory://`` for one process; ``host://NAME`` for the workers of one host that give the same name, with no
            server to install; ``redis://…``, ``rediss://…`` or ``unix://…`` for many machines.
        patience: seconds that ``connect`` and ``publish`` wait for a connection to come (back), and a subscription to be
            confirmed: later it is, with a ``Lost``.

    Raises:
        ValueError: no such kind of URL, or ``patience`` is less than 0 or more than a year.
        ImportError: Redis without ``fasterapi[redis]``.
    """

    def __init__(self, url: str = "memory://", *, patience: float = 5.0) -> None:
        check_seconds("patience", patience)
        self._backend = _backend(url, patience)
        self._connected = False
        self._channels: dict[str, _Channel] = {}

    async def connect(self) -> None:
        """Raises BroadcastUnavailable after ``patience`` seconds. Nothing happens if connected already."""
        if self._connected:
            return
        self._connected = True
        try:
            await self._backend.start(self)
        except BaseException:
            self._connected = False
            raise

    async def disconnect(self) -> None:
        """Ends the iterations of all subscriptions. Nothing happens if not connected."""
        if self._connected:
            self._connected = False
            try:
                await self._backend.stop()
            finally:
                for channel in self._channels.values():
                    for subscription in channel.subscriptions:
                        subscription.end()

    async def __aenter__(self) -> Broadcaster:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.disconnect()

    @asynccontextmanager
    async def lifespan(self, app: Any = None) -> AsyncIterator[None]:
        """For ``App(lifespan=broadcaster.lifespan)``, Starlette and FastAPI: connected as long as the application serves."""
        async with self:
            yield

    async def publish(self, channel: str, message: object) -> None:
        """Sends ``str`` as text, ``bytes`` as they are, anything else as a text of JSON. Nothing is kept for later.

        Raises:
            BroadcastUnavailable: there was no connection for ``patience`` seconds, or it broke: the message may be lost.
            ChannelForbidden: Redis does not allow it.
            TypeError: neither text nor bytes nor JSON.
            ValueError: a message of more than 16 MiB or a channel's name of more than 1,024 bytes.
            RuntimeError: before ``connect``.
        """
        self._check_connected()
        check_channel(channel)
        await self._backend.publish(channel, encode(message))

    def subscribe(
        self,
        channel: str,
        *,
        policy: Policy = "drop_oldest",
        limit: int = LIMIT,
        limit_bytes: int = LIMIT_BYTES,
        on_lost: OnLost | None = None,
    ) -> Subscription:
        """``async with broadcaster.subscribe("news") as subscription: async for message in subscription: …``

        Args:
            policy: of a subscriber for whom more waits than the limits allow. ``drop_oldest``: the oldest messages go, and
                are counted. ``disconnect``: the iteration raises SubscriberTooSlow.
            limit: messages that wait.
            limit_bytes: their bytes (text counts by characters); a single message may have more.
            on_lost: called with a ``Lost`` by the iteration, where messages are missing. A ``str`` or ``bytes`` that it
                returns is delivered in their place.

        Raises:
            TypeError, ValueError: of what is given here.
            RuntimeError: from ``async with``, before ``connect``.
        """
        check_channel(channel)
        return Subscription(channel, Limits(policy, limit, limit_bytes), on_lost, self)

    def forward(
        self,
        channel: str,
        connection: Any,
        *,
        policy: Policy = "drop_oldest",
        limit: int = LIMIT,
        limit_bytes: int = LIMIT_BYTES,
        on_lost: OnLost | None = None,
    ) -> Forwarding:
        """Sends a channel's messages to a WebSocket or an SSE connection.

        ``async with broadcaster.forward("chat", ws): …`` does so while the body runs. ``await broadcaster.forward("news",
        sse)`` does so until the client leaves, and reads and ignores what a WebSocket's client sends.

        ``connection`` is a ``fasterapi.WebSocket`` or ``fasterapi.SSE``, which this opens, or an accepted WebSocket of Starlette's. A WebSocket
        of this server's gets the messages without Python code for each, framed and deflated once for all of them, as long as
        ``policy`` and ``on_lost`` are the defaults; then the server drops what comes while more than 64 KiB wait for it. With ``disconnect`` a client
        that is too slow gets close 1013 (a stream of events ends).

        Raises:
            TypeError, ValueError: of what is given here.
            RuntimeError: from ``async with`` and ``await``, before ``connect``.
        """
        check_connection(connection)
        subscription = self.subscribe(
            channel, policy=policy, limit=limit, limit_bytes=limit_bytes, on_lost=on_lost
        )
        by_topic = policy == "drop_oldest" and on_lost is None
        return Forwarding(self, subscription, connection, by_topic)

    async def join(self, member: Subscription | Forwarding) -> None:
        """For subscriptions and forwardings only."""
        self._check_connected()
        channel = self._channels.setdefault(member.channel, _Channel(member.channel))
        channel.add(member)
        await self._backend.subscribe(member.channel)

    def leave(self, member: Subscription | Forwarding) -> None:
        """For subscriptions and forwardings only."""
        channel = self._channels.get(member.channel)
        if channel is not None:
            channel.remove(member)
            if channel.empty:
                del self._channels[member.channel]
                self._backend.unsubscribe(member.channel)

    def deliver(self, channel: str, message: Message) -> None:
        """For the backend only."""
        found = self._channels.get(channel)
        if found is not None:
            found.deliver(message)

    def lost(self, channel: str, lost: Lost) -> None:
        """For the backend only."""
        found = self._channels.get(channel)
        if found is not None:
            for subscription in found.subscriptions:
                subscription.report(lost)

    def forbidden(self, channel: str, error: ChannelForbidden) -> None:
        """For the backend only."""
        found = self._channels.get(channel)
        if found is not None:
            for subscription in found.subscriptions:
                subscription.forbid(error)

    def _check_connected(self) -> None:
        if not self._connected:
            raise RuntimeError("the Broadcaster is not connected: call connect(), or use its lifespan")


class _Channel:
    """Who in this process receives a channel's messages."""

    def __init__(self, name: str) -> None:
        self.subscriptions: dict[Subscription, None] = {}
        self._topics = NativeTopics(name)

    @property
    def empty(self) -> bool:
        return not self.subscriptions and self._topics.empty

    def add(self, member: Subscription | Forwarding) -> None:
        if isinstance(member, Subscription):
            self.subscriptions[member] = None
            member.begin()
        else:
            self._topics.add(member)

    def remove(self, member: Subscription | Forwarding) -> None:
        """Nothing happens if it is not there."""
        if isinstance(member, Subscription):
            self.subscriptions.pop(member, None)
        else:
            self._topics.remove(member)

    def deliver(self, message: Message) -> None:
        for subscription in self.subscriptions:
            subscription.offer(message)
        self._topics.publish(message)


def _backend(url: str, patience: float) -> Backend:
    kind = urlsplit(url).scheme
    if kind == "memory":
        return MemoryBackend()
    if kind == "host":
        from fasterapi.broadcast.host import HostBackend

        return HostBackend(url.partition("://")[2], patience)
    if kind in ("redis", "rediss", "unix"):
        from fasterapi.broadcast.redis import RedisBackend

        return RedisBackend(url, patience)
    raise ValueError(f"a Broadcaster's URL begins with memory://, host:// or redis://, not {url!r}")
