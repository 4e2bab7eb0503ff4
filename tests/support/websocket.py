"""A raw WebSocket client: sends any frame, reads frames and accepts nothing that RFC 6455 and 7692 forbid a server.

Nothing is answered by itself: a test that wants a ping or a close answered says so. All waits are bounded as in
``support.wire``, whose ``Connection`` this is.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from support.server import ServerProcess
from support.wire import Address, Connection, Headers, Malformed, Response, request_bytes

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
RESERVED_1 = 4
"""Of the three reserved bits the first: a compressed message (RFC 7692 section 6)."""
UNSENDABLE = (1004, 1005, 1006, 1015)
"""Codes that no close frame may hold (RFC 6455 section 7.4.1)."""


@dataclass(frozen=True)
class Frame:
    opcode: int
    data: bytes = b""
    final: bool = True
    reserved: int = 0


class Closed(AssertionError):
    """A close frame came where a message was awaited."""


def frame_bytes(
    opcode: int,
    data: bytes = b"",
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x1f\xc2\x03\x99",
) -> bytes:
    """One frame as it is on the wire; ``mask`` None leaves it unmasked."""
    masked = 0 if mask is None else 0x80
    if len(data) < 126:
        size = struct.pack("!B", masked | len(data))
    elif len(data) < 1 << 16:
        size = struct.pack("!BH", masked | 126, len(data))
    else:
        size = struct.pack("!BQ", masked | 127, len(data))
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode]) + size
    return head + data if mask is None else head + mask + masked_by(mask, data)


def masked_by(mask: bytes, data: bytes) -> bytes:
    """RFC 6455 section 5.3."""
    key = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(len(data), "big")


def close_payload(code: int | None = None, reason: bytes | str = b"") -> bytes:
    reason = reason.encode() if isinstance(reason, str) else reason
    return b"" if code is None else struct.pack("!H", code) + reason


def handshake_bytes(
    target: str | bytes = "/", headers: Headers = (), method: str = "GET", **changed: str | None
) -> bytes:
    """An opening handshake; ``changed`` replaces headers of it by name (``_`` for ``-``), None leaves one out."""
    fields: dict[str, str | None] = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }
    names = {name.lower().replace("-", "_"): name for name in fields}
    for name, value in changed.items():
        fields[names[name]] = value
    given = [(name, value) for name, value in fields.items() if value is not None]
    return request_bytes(method, target, [*given, *headers])


class WebSocket(Connection):
    """One connection that has sent its opening handshake. Use as a context manager."""

    def __init__(
        self,
        address: Address,
        target: str | bytes = "/",
        headers: Headers = (),
        first: bytes = b"",
        changed: dict[str, str | None] | None = None,
        **options: Any,
    ) -> None:
        """``first`` goes out together with the handshake; ``options`` are those of ``Connection``."""
        super().__init__(address, **options)
        self.inflater: Any = None
        self.deflater: Any = None
        self.window = 15
        self.forgets = False, False
        handshake = handshake_bytes(target, headers, **changed or {})
        self.key = handshake.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        self.send(handshake + first)

    # The handshake's answer

    def opened(self) -> Response:
        """Reads the answer, which must be a right 101 (RFC 6455 section 4.2.2)."""
        answer = self.head()
        if answer.status != 101:
            raise Malformed(f"not upgraded: {answer}")
        accept = base64.b64encode(hashlib.sha1(self.key + GUID).digest())
        upgrade, connection = answer.header("upgrade"), answer.header("connection")
        assert answer.header("sec-websocket-accept") == accept, answer
        assert upgrade is not None, answer
        assert upgrade.lower() == b"websocket", answer
        assert connection is not None, answer
        assert b"upgrade" in [token.strip().lower() for token in connection.split(b",")], answer
        if extensions := answer.header("sec-websocket-extensions"):
            self._agree(extensions.decode())
        return answer

    def _agree(self, extensions: str) -> None:
        """Takes the parameters of permessage-deflate. Contexts are kept unless the answer says otherwise."""
        name, *parameters = (part.strip() for part in extensions.split(";"))
        if name != "permessage-deflate":
            raise Malformed(f"nobody offered {extensions!r}")
        values = dict(parameter.partition("=")[::2] for parameter in parameters)
        self.window = max(int(values.get("client_max_window_bits") or 15), 9)
        self.inflater = zlib.decompressobj(-15)
        self.deflater = zlib.compressobj(wbits=-self.window)
        self.forgets = "client_no_context_takeover" in values, "server_no_context_takeover" in values

    # Frames

    def frame(self, opcode: int, data: bytes | str = b"", **options: Any) -> None:
        """Writes one frame; see ``frame_bytes``."""
        self.send(frame_bytes(opcode, data.encode() if isinstance(data, str) else data, **options))

    def say(self, message: str | bytes) -> None:
        """Writes a message in one frame, compressed if that was agreed upon."""
        opcode = TEXT if isinstance(message, str) else BINARY
        data = message.encode() if isinstance(message, str) else message
        if self.deflater is None:
            self.frame(opcode, data)
            return
        packed = self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        self.frame(opcode, packed[:-4], reserved=RESERVED_1)
        if self.forgets[0]:
            self.deflater = zlib.compressobj(wbits=-self.window)

    def close_with(self, code: int | None = None, reason: bytes | str = b"") -> None:
        self.frame(CLOSE, close_payload(code, reason))

    def read_frame(self) -> Frame:
        """Reads one frame, which must be one that a server may send."""
        first, second = self.read_exactly(2)
        opcode, final, reserved = first & 15, bool(first & 0x80), first >> 4 & 7
        size = second & 0x7F
        if second & 0x80:
            raise Malformed("a masked frame")
        if reserved & ~(RESERVED_1 if self.inflater else 0):
            raise Malformed(f"reserved bits {reserved:03b}")
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise Malformed(f"opcode {opcode}")
        if opcode >= CLOSE and (size > 125 or not final or reserved):
            raise Malformed(f"control frame {first:02x} of {size}")
        if size >= 126:
            least, bytes_of_size = (126, 2) if size == 126 else (1 << 16, 8)
            size = int.from_bytes(self.read_exactly(bytes_of_size), "big")
            if size < least:
                raise Malformed(f"a length of {size} in {bytes_of_size} bytes")
        return Frame(opcode, self.read_exactly(size), final, reserved)

    def read_data_frame(self) -> Frame:
        """The next frame that is neither ping nor pong."""
        while (frame := self.read_frame()).opcode in (PING, PONG):
            pass
        return frame

    def message(self) -> str | bytes:
        """Reads a whole message. Raises Closed for a close frame."""
        frame = first = self.read_data_frame()
        if first.opcode == CLOSE:
            raise Closed(repr(read_close(first)))
        if first.opcode == CONTINUATION:
            raise Malformed("a continuation of nothing")
        parts = [first.data]
        while not frame.final:
            frame = self.read_data_frame()
            if frame.opcode != CONTINUATION or frame.reserved:
                raise Malformed(f"{frame} inside a message")
            parts.append(frame.data)
        data = b"".join(parts)
        if first.reserved:
            data = self.inflater.decompress(data + b"\x00\x00\xff\xff")
            if self.forgets[1]:
                self.inflater = zlib.decompressobj(-15)
        return data.decode() if first.opcode == TEXT else data

    def closing(self) -> tuple[int | None, str]:
        """Reads up to the close frame; its code, None if it has none, and its reason."""
        while (frame := self.read_data_frame()).opcode != CLOSE:
            pass
        return read_close(frame)

    def ended_by(self) -> tuple[int | None, str] | None:
        """The same, answered; then the server must end the connection. None if it ended without a close frame."""
        told = None
        while not self.ended:
            if not self.buffer and not self._more():
                break
            frame = self.read_frame()
            if told is not None:
                raise Malformed(f"{frame} after the close frame")
            if frame.opcode == CLOSE:
                told = read_close(frame)
                self.answer_close(frame.data[:2])
        return told

    def answer_close(self, data: bytes) -> None:
        try:
            self.frame(CLOSE, data)
        except OSError:
            self.ended = True  # a server that failed the connection need not read what comes then


def read_close(frame: Frame) -> tuple[int | None, str]:
    """The code and the reason, which must be ones that may be sent (RFC 6455 section 7.4)."""
    if not frame.data:
        return None, ""
    if len(frame.data) == 1:
        raise Malformed("a close frame with half a code")
    code = int.from_bytes(frame.data[:2], "big")
    if code in UNSENDABLE or not (1000 <= code < 1016 or 3000 <= code < 5000):
        raise Malformed(f"close code {code}")
    return code, frame.data[2:].decode()


def script(*steps: Any) -> tuple[str, str]:
    """The header that carries ``steps`` to the scenario ``script``."""
    return "x-script", quote(repr(list(steps)))


def scripted(
    server: ServerProcess, tag: str, *steps: Any, headers: Headers = (), **options: Any
) -> WebSocket:
    """A handshake for the scenario ``script``, which does ``steps``."""
    return WebSocket(server.address, f"/script?{tag}", [script(*steps), *headers], **options)


def outcomes(server: ServerProcess, tag: str) -> list[Any]:
    """How each step of the script ended, once all have."""
    ended: list[Any] = server.probe.expect("script", tag)["outcomes"]
    return ended


def scope_of(server: ServerProcess, target: str | bytes = "/websocket_scope", headers: Headers = ()) -> Any:
    """The scope that the application was given."""
    with WebSocket(server.address, target, headers) as peer:
        peer.opened()
        told = peer.message()
        assert isinstance(told, str)
        return ast.literal_eval(told)
