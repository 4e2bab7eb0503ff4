"""The WebSocket part of train.py: messages of all sizes that come back, plain and deflated, pushed one
after the other, and published to every connection."""

import random
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

CONNECTIONS = 10
PUSHED = 500
MASK = b"\x12\x34\x56\x78"
TEXT, BINARY = 1, 2
REQUEST = (
    b"GET %s HTTP/1.1\r\nHost: www.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Origin: https://www.example.com\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
LOADS = ((b"/", b""), (b"/", DEFLATE), (b"/direct", b""), (b"/push", b""), (b"/publish", b""))


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Sends each message back: once, 500 times, or to everybody, as the path says."""
    await receive()
    await send({"type": "websocket.accept"})
    extension = scope["extensions"]["fasterapi.websocket"]["socket"]
    extension.subscribe("all")
    if scope["path"] == "/direct":
        await echo_directly(extension)
        return
    if scope["path"] == "/class":
        await as_the_class(extension)
        return
    while (message := await receive())["type"] == "websocket.receive":
        text, data = message.get("text"), message.get("bytes")
        if scope["path"] == "/publish":
            extension.publish("all", text=text, bytes=data)
            continue
        for _ in range(PUSHED if scope["path"] == "/push" else 1):
            await send({"type": "websocket.send", "text": text, "bytes": data})


async def echo_directly(extension: Any) -> None:
    """The same, once, by the calls without dictionaries."""
    try:
        while True:
            data = await extension.receive_data()
            await (extension.send_text(data) if isinstance(data, str) else extension.send_bytes(data))
    except OSError:
        pass


async def as_the_class(socket: Any) -> None:
    """Sends each message back by the calls that fasterapi.WebSocket makes."""
    try:
        while True:
            message = await socket.receive_data()
            await (socket.send_text if isinstance(message, str) else socket.send_bytes)(message)
    except OSError:
        pass


def ask(port: int) -> None:
    """Several connections at a time, each with a message under way."""
    for path, extension in LOADS:
        connections = [_opened(port, path, extension) for _ in range(CONNECTIONS)]
        readers = [connection.makefile("rb") for connection in connections]
        for frame, rounds in _messages(deflated=bool(extension)):
            if path == b"/publish":
                for _ in range(rounds):
                    connections[0].sendall(frame)
                    _read(readers, 1)
                continue
            for _ in range(1 if path == b"/push" else rounds):
                for connection in connections:
                    connection.sendall(frame)
                _read(readers, PUSHED if path == b"/push" else 1)
        for connection, reader in zip(connections, readers, strict=True):
            connection.sendall(_frame(8, b"\x03\xe8"))
            reader.read()
            reader.close()
            connection.close()


def _messages(deflated: bool) -> Iterator[tuple[bytes, int]]:
    """A frame, and how often it is sent down each connection."""
    text = b"".join(b'{"id":%d,"name":"caf\xc3\xa9","value":%f}' % (i, random.random()) for i in range(30))
    for opcode, payload, rounds in (
        (TEXT, b"Hello, World!", 300),
        (TEXT, text[:64], 500),
        (BINARY, random.randbytes(200), 200),
        (TEXT, text[:1020], 200),
        (BINARY, random.randbytes(16384), 60),
    ):
        if deflated:
            deflate = zlib.compressobj(wbits=-12)
            payload = (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
        yield _frame(opcode | (0x40 if deflated else 0), payload), rounds


def _frame(opcode: int, payload: bytes) -> bytes:
    """One masked frame that is a whole message."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    else:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    key = (MASK * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + MASK + masked.to_bytes(size, "big")


def _opened(port: int, path: bytes, extension: bytes) -> socket.socket:
    """A connection whose handshake is over."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(REQUEST % (path, extension))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(1)
    if not answer.startswith(b"HTTP/1.1 101 ") or (b"permessage-deflate" in answer) != bool(extension):
        raise SystemExit("train: the WebSocket was not accepted as expected")
    return connection


def _read(readers: list[Any], count: int) -> None:
    """Reads as many messages from each."""
    for reader in readers:
        for _ in range(count):
            size = reader.read(2)[1]
            if size == 126:
                (size,) = struct.unpack("!H", reader.read(2))
            reader.read(size)
