"""One WebSocket as an application sees it: ``receive()`` and ``send()`` of ASGI WebSocket 2.5 on one side, messages
on the other. Made for one scope, by whoever mounts the handler.

Two paths, chosen at construction. On this server messages go through its extension (docs/websocket.md) without a
dictionary each, unless something stands between: a ``send`` or ``receive`` that is not the server's own is called, as
on any other server, with ASGI's dictionaries.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from fasterapi.connection_scope import ConnectionScope, Message, Receive, Scope, Send
from fasterapi.json_text import dumps, loads
from fasterapi.websocket.errors import CLOSED, WebSocketDisconnect
from fasterapi.websocket.messages import (
    HeaderLines,
    binary,
    check_close,
    control_payload,
    denial,
    header_lines,
    text,
)
from fasterapi.websocket.state import NORMAL_CODES, WebSocketClose, WebSocketState

if TYPE_CHECKING:
    from fasterapi._native import WebSocketCycle

T = TypeVar("T")


class WebSocket(ConnectionScope):
    """One WebSocket.

    After a ``close()`` of the application's own every send, receive and ping raises ``RuntimeError``. Once the peer has
    gone, they raise ``WebSocketDisconnect``; messages that came before are received first.

    Args:
        scope, receive, send: what an ASGI application is called with.
        accepts: the first send, receive, ping or close accepts the handshake, unless ``accept()`` has.

    Attributes:
        scope: ASGI's scope.
        connection_id: a number of its own, in this process.
    """

    __slots__ = (
        "__weakref__",
        "_accepts",
        "_closed",
        "_counts",
        "_end",
        "_greeted",
        "_held",
        "_latency",
        "_receive",
        "_receiver",
        "_send",
        "_sender",
        "_socket",
        "_state",
        "_turn_to_receive",
        "_turn_to_send",
        "connection_id",
    )

    _ids = itertools.count(1)

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, accepts: bool = False) -> None:
        if scope["type"] != "websocket":
            raise ValueError(f"a WebSocket needs a scope of type 'websocket', not {scope['type']!r}")
        super().__init__(scope)
        self.connection_id: int = next(self._ids)
        self._receive = receive
        self._send = send
        self._accepts = accepts
        self._state = WebSocketState.CONNECTING
        self._greeted = False  # by "websocket.connect"
        self._closed = False  # by the application
        self._end: tuple[int, str] | None = None  # the close code and reason, once receive() has told
        self._held: list[str | bytes] = []  # messages that were not of the kind that was asked for
        self._counts = [0, 0, 0, 0]  # messages and bytes sent, received: where the server does not count
        self._latency: float | None = None
        # Messages leave in the order of the calls on every server: asyncio's locks are fair.
        self._turn_to_send = asyncio.Lock()
        self._turn_to_receive = asyncio.Lock()
        extension = (scope.get("extensions") or {}).get("fasterapi.websocket")
        self._socket: WebSocketCycle | None = extension and extension["socket"]
        # The server's own ways without dictionaries; the sender from the accept on.
        self._sender: WebSocketCycle | None = None
        self._receiver: WebSocketCycle | None = self._socket if self._is_servers_own(receive) else None

    def _is_servers_own(self, call: object) -> bool:
        return self._socket is not None and getattr(call, "__self__", None) is self._socket

    # --- What it is --------------------------------------------------------------------------

    @property
    def state(self) -> WebSocketState:
        """Where it is in its life. The peer's leaving is known once a call was told of it; on this server at once."""
        ended = self._socket is not None and self._socket.close_code is not None
        if ended and self._state is WebSocketState.CONNECTED:
            return WebSocketState.DISCONNECTED
        return self._state

    @property
    def is_open(self) -> bool:
        """Whether it was accepted and is not closed."""
        return self.state is WebSocketState.CONNECTED

    @property
    def native(self) -> WebSocketCycle | None:
        """The server's extension (docs/websocket.md), from the accept to the close, unless a middleware sees messages."""
        return self._sender

    @property
    def subprotocols(self) -> list[str]:
        """What the client offers, for ``accept()`` to choose from."""
        return list(self.scope.get("subprotocols") or ())

    @property
    def messages_sent(self) -> int:
        """Text and binary messages."""
        return self._count("messages_sent", 0)

    @property
    def messages_received(self) -> int:
        """Text and binary messages that a receive has taken."""
        return self._count("messages_received", 2)

    @property
    def bytes_sent(self) -> int:
        """Bytes of the messages' payloads, before compression."""
        return self._count("bytes_sent", 1)

    @property
    def bytes_received(self) -> int:
        """Bytes of the messages' payloads, decompressed."""
        return self._count("bytes_received", 3)

    def _count(self, name: str, index: int) -> int:
        if self._socket is None or self._state is WebSocketState.CONNECTING:
            return self._counts[index]
        return int(self._socket.statistics()[name])

    @property
    def latency(self) -> float | None:
        """Seconds of the last ``ping()``, or else of the server's last keep-alive ping. ``None``: of neither."""
        if self._latency is None and self._socket is not None and self.is_open:
            seconds: float | None = self._socket.statistics()["latency"]
            return seconds
        return self._latency

    # --- Handshake ---------------------------------------------------------------------------

    async def accept(self, subprotocol: str | None = None, headers: HeaderLines | None = None) -> None:
        """Opens the WebSocket.

        Args:
            subprotocol: one of ``subprotocols``.
            headers: more header lines for the answer.

        Raises:
            RuntimeError: it was accepted or closed already.
            ValueError: a header or subprotocol that cannot be sent.
            WebSocketDisconnect: the client has left.
        """
        async with self._turn_to_send:
            self._check_unanswered()
            await self._accept(subprotocol, headers)

    def _check_unanswered(self) -> None:
        if self._state is WebSocketState.CONNECTED:
            raise RuntimeError("WebSocket connection was accepted already")
        if self._state is WebSocketState.DISCONNECTED:
            raise self._gone()

    async def _accept(self, subprotocol: str | None, headers: HeaderLines | None) -> None:
        if self._receiver is None and not self._greeted:
            self._check_event(await self._receive())  # websocket.connect
            self._greeted = True
        message: Message = {"type": "websocket.accept"}
        if subprotocol is not None:
            message["subprotocol"] = subprotocol
        if headers is not None:
            message["headers"] = header_lines(headers)
        await self._call(self._send, message)
        self._state = WebSocketState.CONNECTED
        if self._is_servers_own(self._send):
            self._sender = self._socket

    async def send_denial_response(
        self,
        response: int | Callable[[Scope, Receive, Send], Awaitable[None]] = 403,
        body: str | bytes = b"",
        headers: HeaderLines = (),
    ) -> None:
        """Answers the handshake with an HTTP response instead of a WebSocket.

        Args:
            response: the status, or a response of Starlette's, which has all that follows itself.
            body: the response's body; ``str`` as UTF-8 text.
            headers: more header lines.

        Raises:
            RuntimeError: it was accepted or closed already, or the server has no ``websocket.http.response``.
        """
        async with self._turn_to_send:
            self._check_unanswered()
            if "websocket.http.response" not in (self.scope.get("extensions") or {}):
                raise RuntimeError("this server can only answer a handshake by accept() or close()")
            self._close_state()
            if isinstance(response, int):
                for message in denial(response, body, headers):
                    await self._send(message)
            else:
                await response(self.scope, self._receive, self._send)

    # --- Sending -----------------------------------------------------------------------------

    async def send(self, message: str | bytes | bytearray | memoryview | dict[Any, Any] | list[Any]) -> None:
        """Sends ``str`` as text, bytes as a binary message, ``dict`` and ``list`` as JSON text.

        Raises:
            TypeError: another type, or something in it that JSON cannot hold.
            RuntimeError: it is closed, or not accepted.
            WebSocketDisconnect: the peer has gone.
        """
        if isinstance(message, str):
            await self.send_text(message)
        elif isinstance(message, (bytes, bytearray, memoryview)):
            await self.send_bytes(message)
        elif isinstance(message, (dict, list)):
            await self.send_text(dumps(message))
        else:
            raise TypeError(f"Unsupported message type: {type(message)}")

    async def send_text(self, data: str, *, compress: bool | None = None) -> None:
        """Sends a text message; waits while the peer reads too slowly. Raises as ``send()``.

        ``compress``: whether it is deflated, where this server and the client have agreed on that; ``None``: the
        server's ``--ws-deflate-threshold`` decides.
        """
        if self._sender is None:
            await self._send_in_turn(*text(data), compress)
            return
        try:
            await self._sender.send_text(data, compress)
        except OSError:
            raise self._gone() from None

    async def send_bytes(self, data: bytes | bytearray | memoryview, *, compress: bool | None = None) -> None:
        """Sends a binary message; as ``send_text()``."""
        if self._sender is None:
            await self._send_in_turn(*binary(data), compress)
            return
        try:
            await self._sender.send_bytes(data, compress)
        except OSError:
            raise self._gone() from None

    send_binary = send_bytes

    async def send_json(self, obj: object, mode: str = "text", *, compress: bool | None = None) -> None:
        """Sends a value as JSON (``fasterapi.json_text.dumps``), in a ``"text"`` or ``"binary"`` message.

        Raises as ``send()``, and ValueError for another mode.
        """
        if mode == "text":
            await self.send_text(dumps(obj), compress=compress)
        elif mode == "binary":
            await self.send_bytes(dumps(obj).encode(), compress=compress)
        else:
            raise ValueError(f"mode must be 'text' or 'binary', not {mode!r}")

    async def _send_in_turn(self, message: Message, size: int, compress: bool | None) -> None:
        if compress is not None and self._socket is not None:
            message["compress"] = compress
        async with self._turn_to_send:
            await self._begin()
            if self._end is not None:
                raise self._gone()
            await self._call(self._send, message)
            self._counts[0] += 1
            self._counts[1] += size

    async def _begin(self) -> None:
        """In turn: whatever the call, it needs a WebSocket that is open or was."""
        if self._state is WebSocketState.CONNECTING:
            if not self._accepts:
                raise RuntimeError("WebSocket connection is not accepted: await accept() first")
            await self._accept(None, None)
        elif self._closed:
            raise RuntimeError(CLOSED)

    # --- Receiving ---------------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        """The next message.

        Raises:
            WebSocketDisconnect: the peer has gone, and all its messages were received.
            RuntimeError: it is closed, or not accepted.
        """
        try:
            return await self._next()
        except OSError:
            raise self._gone() from None

    def _next(self) -> Awaitable[str | bytes]:
        """The next message, or OSError: awaited by each kind of receive itself, which costs a coroutine less."""
        if self._receiver is None or self._state is not WebSocketState.CONNECTED or self._held:
            return self._receive_in_turn()
        return self._receiver.receive_data()

    async def receive_text(self) -> str:
        """The next message, a text. Raises as ``receive()``; TypeError for another kind, which stays the next."""
        try:
            data = await self._next()
        except OSError:
            raise self._gone() from None
        if isinstance(data, str):
            return data
        self._held.insert(0, data)
        raise TypeError(f"Expected text message, got {type(data)}")

    async def receive_bytes(self) -> bytes:
        """The next message, binary. Raises as ``receive()``; TypeError for another kind, which stays the next."""
        try:
            data = await self._next()
        except OSError:
            raise self._gone() from None
        if isinstance(data, bytes):
            return data
        self._held.insert(0, data)
        raise TypeError(f"Expected binary message, got {type(data)}")

    receive_binary = receive_bytes

    async def receive_json(self, mode: str = "text") -> Any:
        """The value of the next message, JSON in a ``"text"`` or ``"binary"`` message.

        Raises as ``receive_text()``, ``json.JSONDecodeError`` where the message is not JSON (it was received), and
        ValueError for another mode.
        """
        if mode == "text":
            return loads(await self.receive_text())
        if mode == "binary":
            return loads(await self.receive_bytes())
        raise ValueError(f"mode must be 'text' or 'binary', not {mode!r}")

    async def _receive_in_turn(self) -> str | bytes:
        if self._held:
            return self._held.pop(0)
        if self._state is WebSocketState.CONNECTING or self._closed:
            async with self._turn_to_send:
                await self._begin()
        async with self._turn_to_receive:
            while True:
                if self._end is not None or self._closed:
                    raise self._gone()
                event = await self._call(self._receive)
                self._check_event(event)
                if event["type"] == "websocket.receive":
                    return self._received(event)

    def _received(self, event: Message) -> str | bytes:
        given = event.get("text")
        data: str | bytes = event["bytes"] if given is None else given
        self._counts[2] += 1
        self._counts[3] += len(data.encode() if isinstance(data, str) else data)
        return data

    def iter_text(self) -> AsyncIterator[str]:
        """All text messages until the WebSocket is closed: quietly by ``close()`` and where the client leaves
        normally, else with WebSocketDisconnect. Raises as ``receive_text()`` otherwise."""
        return self._each(self.receive_text)

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """As ``iter_text()``, by ``receive_bytes()``."""
        return self._each(self.receive_bytes)

    def iter_json(self) -> AsyncIterator[Any]:
        """As ``iter_text()``, by ``receive_json()``."""
        return self._each(self.receive_json)

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """As ``iter_text()``, by ``receive()``."""
        return self._each(self.receive)

    async def _each(self, receive: Callable[[], Awaitable[T]]) -> AsyncIterator[T]:
        while True:
            try:
                message = await receive()
            except WebSocketDisconnect as end:
                if end.code not in NORMAL_CODES:
                    raise
                return
            except RuntimeError:
                if not self._closed:
                    raise
                return
            yield message

    # --- Control -----------------------------------------------------------------------------

    async def ping(self, data: bytes | str | None = None) -> float:
        """Sends a Ping (RFC 6455 5.5.2) and waits for its Pong: the seconds in between. Pongs are read while the
        application receives its messages, or has none waiting.

        Args:
            data: at most 125 bytes; ``None``: the server's choice.

        Raises:
            ValueError: more than 125 bytes, or the same as in another ping that waits.
            NotImplementedError: the server gives no access to pings; fasterapi's own does.
            RuntimeError, WebSocketDisconnect: as ``send()``, and when it ends before the Pong.
        """
        payload = control_payload(data)
        socket = await self._control_socket("ping")
        try:
            self._latency = await socket.ping(payload)
        except OSError:
            raise self._gone() from None
        return self._latency

    async def pong(self, data: bytes | str | None = None) -> None:
        """Sends a Pong that nobody asked for, a one-way heartbeat (RFC 6455 5.5.3). Pings are answered by the server.
        Raises as ``ping()``."""
        payload = control_payload(data)
        socket = await self._control_socket("pong")
        try:
            socket.pong(payload)
        except OSError:
            raise self._gone() from None

    async def _control_socket(self, what: str) -> WebSocketCycle:
        async with self._turn_to_send:
            await self._begin()
        if self._end is not None:
            raise self._gone()
        if self._socket is None:
            raise NotImplementedError(f"{what}() needs fasterapi's server: this one gives no access to pings")
        return self._socket

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the WebSocket, or refuses a handshake that was not accepted (403). Once it is closed, does nothing.

        Raises:
            ValueError: a code that may not be sent (RFC 6455 7.4), or a reason of more than 123 bytes of UTF-8.
        """
        check_close(code, reason)
        async with self._turn_to_send:
            if self._state is WebSocketState.DISCONNECTED:
                return
            with suppress(OSError, RuntimeError):  # the peer was first
                if self._state is WebSocketState.CONNECTING and self._accepts:
                    await self._accept(None, None)
                self._close_state()
                await self._send({"type": "websocket.close", "code": code, "reason": reason})

    def _close_state(self) -> None:
        self._state = WebSocketState.DISCONNECTED
        self._closed = True
        self._sender = None
        self._held.clear()

    # --- Its end -----------------------------------------------------------------------------

    async def _call(self, call: Callable[..., Awaitable[T]], *arguments: Message) -> T:
        """ASGI's call; what it raises because the connection has ended is ours."""
        try:
            return await call(*arguments)
        except (OSError, RuntimeError) as error:
            # Servers that raise no OSError call it a wrong state. Here, while it is open, it is a middleware's fault.
            if self._socket is not None and self._socket.close_code is None:
                raise
            raise self._gone() from error

    def _check_event(self, event: Message) -> None:
        if event["type"] == "websocket.disconnect":
            self._end = (event.get("code") or WebSocketClose.NO_STATUS_RECEIVED, event.get("reason") or "")
            raise self._gone()

    def _gone(self) -> RuntimeError:
        """The connection has ended: the exception that says how."""
        if self._closed:
            return RuntimeError(CLOSED)
        self._state = WebSocketState.DISCONNECTED
        if self._end is not None:
            return WebSocketDisconnect(*self._end)
        if self._socket is not None and self._socket.close_code is not None:
            return WebSocketDisconnect(self._socket.close_code, self._socket.close_reason)
        return WebSocketDisconnect(WebSocketClose.ABNORMAL_CLOSURE)
