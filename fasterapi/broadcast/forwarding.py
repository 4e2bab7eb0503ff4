"""A channel's messages to one WebSocket or stream of events.

Two ways, chosen once: this server's topics, which run no Python code for a receiver, or a task that sends what a
``Subscription`` gives. The Forwarding owns the task; ``NativeTopics`` is a channel's own.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Protocol

from fasterapi.broadcast.errors import SubscriberTooSlow
from fasterapi.broadcast.message import Message
from fasterapi.broadcast.subscription import Subscription
from fasterapi.websocket import WebSocket, WebSocketState

CLOSE_LIMIT = 5.0
"""Seconds for the close of a WebSocket that takes nothing."""
TRY_AGAIN_LATER = 1013
"""RFC 6455 7.4.1, IANA's registry of close codes."""


class Membership(Protocol):
    """The Broadcaster."""

    async def join(self, member: Subscription | Forwarding) -> None: ...

    def leave(self, member: Subscription | Forwarding) -> None: ...


def check_connection(connection: object) -> None:
    """Raises TypeError for what is neither a WebSocket nor an SSE."""
    if not (_is_websocket(connection) or hasattr(connection, "send_binary")):
        raise TypeError(
            f"a channel is forwarded to a WebSocket or an SSE, not to {type(connection).__name__}"
        )


class Forwarding:
    """See ``Broadcaster.forward``. One that is neither entered nor awaited does nothing, and a RuntimeWarning says so, as that of a
    coroutine."""

    def __init__(
        self, membership: Membership, subscription: Subscription, connection: Any, by_topic: bool
    ) -> None:
        self.channel = subscription.channel
        self.native: Any = None
        """The extension's socket, if its topics are used."""
        self.error: Exception | None = None
        """Why forwarding has ended before its time: what sending raised, SubscriberTooSlow or ChannelForbidden."""
        self._membership = membership
        self._subscription = subscription
        self._connection = connection
        self._by_topic = by_topic
        self._raises = False
        self._task: asyncio.Task[None] | None = None
        self._entered = False

    def __del__(self) -> None:
        if not self._entered:
            warnings.warn(
                f"forward({self.channel!r}, …) was neither awaited nor entered with 'async with'",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )

    @property
    def server(self) -> Any:
        """Topics are those of one server: its address tells it from another of this process."""
        return str(self._connection.scope.get("server"))

    @property
    def dropped(self) -> int:
        """Messages that the client was too slow for."""
        if self.native is None:
            return self._subscription.dropped
        return int(self.native.statistics()["messages_dropped"])

    async def __aenter__(self) -> Forwarding:
        self._entered = True
        connection = self._connection
        if isinstance(connection, WebSocket) and connection.state is WebSocketState.CONNECTING:
            await connection.accept()
        if self._by_topic:
            self.native = _native_socket(connection)
        try:
            await self._membership.join(self._member)
            if not _is_websocket(connection):
                # Who sees the stream begin is subscribed.
                await connection.start()
        except BaseException:
            self._membership.leave(self._member)
            raise
        if self.native is None:
            self._task = asyncio.create_task(self._pump(), name=f"forwards {self.channel}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._membership.leave(self._member)
        if self._task is not None:
            self._subscription.when_failed(None)
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._raises and error is None and self.error is not None:
            raise self.error

    @property
    def _member(self) -> Subscription | Forwarding:
        return self._subscription if self.native is None else self

    def __await__(self) -> Generator[Any, None, None]:
        return self._until_the_client_leaves().__await__()

    async def _until_the_client_leaves(self) -> None:
        async with self:
            waiting = [] if self._task is None else [self._task]
            if _is_websocket(self._connection):
                waiting.append(asyncio.create_task(_ignore_messages(self._connection)))
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waiting:
                    task.cancel()
                await asyncio.wait(waiting)

    async def _pump(self) -> None:
        send = _sender(self._connection)
        assert self._task is not None
        self._subscription.when_failed(self._task.cancel)
        try:
            async for message in self._subscription:
                try:
                    await send(message)
                # What a server raises for a client that has gone is its own affair.
                except Exception as error:
                    self.error = error
                    return
        except asyncio.CancelledError:
            self.error = self._subscription.error
            if self.error is None:
                raise
        except Exception as error:
            self.error = error
            self._raises = not isinstance(error, SubscriberTooSlow)
        if isinstance(self.error, SubscriberTooSlow):
            await self._close()

    async def _close(self) -> None:
        close = self._connection.close
        closing = close(TRY_AGAIN_LATER, "too slow") if _is_websocket(self._connection) else close()
        try:
            await asyncio.wait_for(closing, CLOSE_LIMIT)
        except Exception:  # it has gone meanwhile, or takes not even this
            pass


class NativeTopics:
    """One channel's WebSockets of this process that receive by ``fasterapi.websocket``'s topics."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._sockets: dict[str, dict[Any, int]] = {}
        """By topic; how many forwardings each has."""

    @property
    def empty(self) -> bool:
        return not self._sockets

    def add(self, member: Forwarding) -> None:
        topic = self._topic(member)
        try:
            member.native.subscribe(topic)
        except OSError:  # the client has gone, which the application's next receive says
            return
        sockets = self._sockets.setdefault(topic, {})
        sockets[member.native] = sockets.get(member.native, 0) + 1

    def remove(self, member: Forwarding) -> None:
        topic = self._topic(member)
        sockets = self._sockets.get(topic, {})
        if member.native not in sockets:
            return
        sockets[member.native] -= 1
        if sockets[member.native] == 0:
            del sockets[member.native]
            try:
                member.native.unsubscribe(topic)
            except OSError:  # its end has ended its subscriptions
                pass
        if not sockets:
            del self._sockets[topic]

    def publish(self, message: Message) -> None:
        payload = {"text": message} if isinstance(message, str) else {"bytes": message}
        for topic, sockets in self._sockets.items():
            for socket in sockets:
                try:
                    socket.publish(topic, **payload)
                    break
                except OSError:  # closed; another of this server's speaks for all
                    continue

    def _topic(self, member: Forwarding) -> str:
        return f"{id(self):x} {member.server} {self._channel}"


def _native_socket(connection: Any) -> Any:
    """The extension's socket of a WebSocket of this server's, else ``None``."""
    if isinstance(connection, WebSocket):
        return connection.native
    if not _is_websocket(connection):
        return None
    extension = connection.scope.get("extensions", {}).get("fasterapi.websocket")
    return None if extension is None else extension["socket"]


def _is_websocket(connection: Any) -> bool:
    return hasattr(connection, "receive_bytes")


def _sender(connection: Any) -> Callable[[Message], Awaitable[Any]]:
    text, data = (
        (connection.send_text, connection.send_bytes)
        if _is_websocket(connection)
        else (connection.send, connection.send_binary)
    )

    def send(message: Message) -> Awaitable[Any]:
        return text(message) if isinstance(message, str) else data(message)  # type: ignore[no-any-return]

    return send


async def _ignore_messages(websocket: Any) -> None:
    """Returns when the client has left. Starlette tells by a message, ours by an exception."""
    while True:
        try:
            message = await websocket.receive()
        except RuntimeError:
            return
        if isinstance(message, dict) and message["type"] == "websocket.disconnect":
            return
