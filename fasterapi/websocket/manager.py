"""The WebSockets that belong together, a chat room's for example, and what is sent to all of them.

On this server a broadcast is framed and deflated once, whoever receives it, by a topic of docs/websocket.md; on others
each connection has an outbox. Both lose a message rather than wait: at most once, and bounded.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque

from fasterapi.json_text import dumps
from fasterapi.websocket.connection import WebSocket
from fasterapi.websocket.messages import HeaderLines
from fasterapi.websocket.state import WebSocketState

MAX_WAITING = 64 * 1024
"""Bytes that wait for one receiver, who misses what comes beyond them. As this server's topics have it."""
MESSAGE_OVERHEAD = 64
"""Bytes that a message counts besides its own, so that empty ones are bounded too."""


class ConnectionManager:
    """Connections, and broadcasts to them.

    A receiver that has gone is removed by the next broadcast. One that reads too slowly misses messages, and nobody waits
    for it. Connections of other processes are not reached: that is a ``Broadcaster``'s.
    """

    def __init__(self) -> None:
        self._members: dict[WebSocket, Outbox | None] = {}  # None: subscribed to the server's topic
        self._name = f"ConnectionManager {uuid.uuid4().hex}"

    @property
    def active_connections(self) -> list[WebSocket]:
        """Those that are open, in the order of ``connect()``."""
        return [ws for ws in self._members if ws.is_open]

    def __len__(self) -> int:
        return len(self.active_connections)

    async def connect(
        self,
        websocket: WebSocket,
        subprotocol: str | None = None,
        headers: HeaderLines | None = None,
    ) -> None:
        """Accepts the WebSocket, if that is still to be done, and adds it. Raises as its ``accept()``."""
        if websocket.state is WebSocketState.CONNECTING:
            await websocket.accept(subprotocol, headers)
        if websocket in self._members or not websocket.is_open:
            return
        if (topics := websocket.native) is not None:
            topics.subscribe(self._topic_of(websocket))
            self._members[websocket] = None
        else:
            self._members[websocket] = Outbox(websocket)

    def disconnect(self, websocket: WebSocket) -> None:
        """Removes the WebSocket, which stays open if it is. Does nothing for one that is not there."""
        outbox = self._members.pop(websocket, None)
        if outbox is not None:
            outbox.clear()
        elif (topics := websocket.native) is not None and websocket.is_open:
            topics.unsubscribe(self._topic_of(websocket))

    async def broadcast(self, message: str) -> None:
        """Sends a text to all. Raises TypeError for another type, ValueError for what has no UTF-8."""
        if not isinstance(message, str):
            raise TypeError(f"Expected str, got {type(message)}")
        await self._broadcast(message, len(message.encode()))

    async def broadcast_bytes(self, message: bytes | bytearray | memoryview) -> None:
        """Sends a binary message to all. Raises TypeError for another type."""
        if not isinstance(message, (bytes, bytearray, memoryview)):
            raise TypeError(f"Expected bytes, got {type(message)}")
        data = bytes(message)
        await self._broadcast(data, len(data))

    async def broadcast_json(self, obj: object) -> None:
        """Sends a value as JSON text to all. Raises TypeError as ``WebSocket.send_json()``."""
        await self.broadcast(dumps(obj))

    async def send_personal_message(self, message: str | bytes, websocket: WebSocket) -> None:
        """Sends a text or binary message to one, and waits for that. Raises as ``WebSocket.send()``; one that has gone is
        removed."""
        try:
            await websocket.send(message)
        except RuntimeError:
            self._remove_dead(websocket)
            raise

    async def send_personal_json(self, obj: object, websocket: WebSocket) -> None:
        """Sends a value as JSON text to one; as ``send_personal_message()``."""
        await self.send_personal_message(dumps(obj), websocket)

    async def _broadcast(self, message: str | bytes, size: int) -> None:
        published = set()
        for websocket, outbox in list(self._members.items()):
            topic = self._topic_of(websocket)
            if self._remove_dead(websocket) or topic in published:
                continue
            if outbox is not None:
                outbox.put(message, size)
            elif (topics := websocket.native) is not None:
                published.add(topic)
                if isinstance(message, str):
                    topics.publish(topic, text=message)
                else:
                    topics.publish(topic, bytes=message)
        await asyncio.sleep(0)  # written out before the next one comes

    def _remove_dead(self, websocket: WebSocket) -> bool:
        if websocket.is_open:
            return False
        self.disconnect(websocket)
        return True

    def _topic_of(self, websocket: WebSocket) -> str:
        """Topics are one server's, and a process may have several."""
        return f"{self._name} {websocket.scope.get('server')}"


class Outbox:
    """What was broadcast and one connection has not taken. Its task lives while something waits."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._messages: deque[tuple[str | bytes, int]] = deque()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    def put(self, message: str | bytes, size: int) -> None:
        """Sends the message behind the others, or drops it where too much waits."""
        if self._waiting > MAX_WAITING:
            return
        size += MESSAGE_OVERHEAD
        self._waiting += size
        self._messages.append((message, size))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._send_all())

    def clear(self) -> None:
        """Forgets what waits."""
        self._messages.clear()
        self._waiting = 0
        if self._task is not None:
            self._task.cancel()

    async def _send_all(self) -> None:
        try:
            while self._messages:
                message, size = self._messages.popleft()
                await self._websocket.send(message)
                self._waiting -= size
        except RuntimeError:
            pass  # closed by either side: the next broadcast removes it
        finally:
            self._task = None
