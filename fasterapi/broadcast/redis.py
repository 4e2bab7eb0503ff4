"""Channels of many machines: Redis's publish/subscribe, by the package ``redis`` (extra ``fasterapi[redis]``).

Two connections, since one that subscribes may not publish (RESP2). They are used without that package's own reconnecting,
which would hide that messages were missed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

try:
    from redis.asyncio import ConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import NoPermissionError, RedisError, ResponseError
except ImportError as error:
    raise ImportError("a redis:// broadcaster needs: pip install 'fasterapi[redis]'") from error

from fasterapi.broadcast.errors import ChannelForbidden
from fasterapi.broadcast.message import Message, pack
from fasterapi.broadcast.reconnecting import ReconnectingBackend

IDLE = 15.0
"""Seconds of silence after which Redis is asked whether it is there, and as many until it counts as gone."""
TIMEOUT = 5.0
"""Seconds for connecting and for the answer to a publication."""


class RedisBackend(ReconnectingBackend):
    """Args: url: as ``redis.asyncio.from_url`` takes it. Raises ValueError for a bad one."""

    failures = (OSError, RedisError, asyncio.TimeoutError)

    def __init__(self, url: str, patience: float) -> None:
        # The URL may carry a password.
        super().__init__("Redis", patience)
        self._pool: Any = ConnectionPool.from_url(
            url,
            protocol=2,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            socket_timeout=None,
            socket_connect_timeout=TIMEOUT,
        )
        self._subscriber: Any = None
        self._publisher: Any = None
        self._publishing = asyncio.Lock()
        self._commands: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()
        self._unanswered: deque[tuple[str, ...]] = deque()

    async def _open(self) -> None:
        self._commands = asyncio.Queue()
        self._unanswered = deque()
        self._publishing = asyncio.Lock()
        self._subscriber = self._pool.make_connection()
        self._publisher = self._pool.make_connection()
        # The package bounds how long it connects, not the commands that it begins with.
        await asyncio.wait_for(self._connect(), TIMEOUT)

    async def _connect(self) -> None:
        await self._subscriber.connect()
        await self._publisher.connect()
        try:
            # Who has given no password is refused only now.
            await _ask(self._publisher, "PING")
        except ResponseError:  # it is there all the same, see _take()
            pass

    async def _serve(self) -> None:
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _close(self) -> None:
        for connection in (self._subscriber, self._publisher):
            if connection is not None:
                await connection.disconnect(nowait=True)
        self._subscriber = self._publisher = None

    def _announce(self, channel: str, wanted: bool) -> None:
        self._commands.put_nowait(("SUBSCRIBE" if wanted else "UNSUBSCRIBE", channel))

    async def _send(self, channel: str, message: Message) -> None:
        # Its turn counts: where Redis is silent, the last of many waits no longer than the first.
        try:
            await asyncio.wait_for(self._publish_in_turn(channel, pack(message)), TIMEOUT)
        except NoPermissionError as error:
            raise ChannelForbidden(f"Redis: {error}") from error

    async def _publish_in_turn(self, channel: str, data: bytes) -> None:
        async with self._publishing:
            connection = self._publisher
            if connection is None:
                raise ConnectionResetError(self._reason)
            try:
                await _ask(connection, "PUBLISH", channel, data)
            except BaseException:
                # An answer may still be on its way; the next publication connects anew.
                await connection.disconnect(nowait=True)
                raise

    async def _write(self) -> None:
        while True:
            command = await self._commands.get()
            self._unanswered.append(command)
            await self._subscriber.send_command(*command, check_health=False)

    async def _read(self) -> None:
        asked = False
        while True:
            try:
                answer = await self._subscriber.read_response(timeout=IDLE, disconnect_on_error=False)
            except ResponseError as error:
                answer = error
            if answer is None:
                if asked:
                    raise ConnectionResetError(f"Redis has not answered for {IDLE:g} s")
                self._commands.put_nowait(("PING",))
                asked = True
                continue
            asked = False
            self._take(answer)

    def _take(self, answer: Any) -> None:
        """A message, or the answer to the first command that has none. Raises what Redis has answered to a subscription."""
        if isinstance(answer, list) and answer[0] == b"message":
            _, name, data = answer
            self._deliver(name.decode(), data)
            return
        if not self._unanswered:
            raise ConnectionResetError("Redis has answered what it was not asked")
        command, *channels = self._unanswered.popleft()
        # To a PING an error is an answer too: that it cannot write its file (MISCONF), or may not be asked.
        if command == "SUBSCRIBE":
            if isinstance(answer, NoPermissionError):
                self.forbidden(channels[0], str(answer))
            elif isinstance(answer, ResponseError):
                raise answer
            else:
                self.confirmed(channels[0])


async def _ask(connection: Any, *command: Any) -> Any:
    await connection.send_command(*command, check_health=False)
    return await connection.read_response()
