"""A raw HTTP/1.1 client: writes any bytes, reads answers and accepts nothing the RFCs forbid.

Every answer below 1 MB is parsed a second time by h11, and both must agree. All waits are bounded; what
does not come in time is a ``Silence``, an answer cut short is ``Truncated`` and holds what came.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import h11

TIMEOUT = 10.0
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")
VALUE = rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?"
HEADER_LINE = re.compile(rb"(" + TOKEN + rb"):[ \t]*(" + VALUE + rb")[ \t]*")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:;[\t -~\x80-\xff]*)?")

Address = tuple[str, int] | str
Headers = Iterable[tuple[str | bytes, str | bytes]]


class Silence(AssertionError):
    """Nothing more came within the bound."""


class Malformed(AssertionError):
    """The server wrote what HTTP/1.1 does not allow."""


class Truncated(AssertionError):
    """The connection ended inside an answer; ``head`` is None if it was not whole, ``body`` the rest."""

    def __init__(self, message: str, head: Response | None = None, body: bytes = b"") -> None:
        super().__init__(f"{message}: {body[:200]!r}")
        self.message = message
        self.head = head
        self.body = body


@dataclass
class Response:
    version: bytes
    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    """Names as they were on the wire."""
    framing: str = "none"
    """How the body ended: none, length, chunked or close."""
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    interim: list[Response] = field(default_factory=list)
    """1xx answers that came before this one."""

    def values(self, name: str) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name.lower().encode()]

    def header(self, name: str) -> bytes | None:
        values = self.values(name)
        if len(values) > 1:
            raise Malformed(f"{name} is there {len(values)} times: {values}")
        return values[0] if values else None


def encode(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def request_bytes(
    method: str = "GET",
    target: str | bytes = "/",
    headers: Headers = (),
    body: bytes | None = None,
    version: str = "1.1",
    host: str | None = "localhost",
) -> bytes:
    """One request; ``body`` brings its Content-Length."""
    lines = [b" ".join([encode(method), encode(target), b"HTTP/" + encode(version)])]
    if host is not None:
        lines.append(b"Host: " + encode(host))
    lines += [encode(name) + b": " + encode(value) for name, value in headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


LAST_CHUNK = b"0\r\n\r\n"


class Connection:
    """One connection to the server. Use as a context manager."""

    def __init__(
        self,
        address: Address,
        timeout: float = TIMEOUT,
        receive_buffer: int | None = None,
        source: str | None = None,
    ) -> None:
        if isinstance(address, str):
            family = socket.AF_UNIX
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            if source is not None:
                self.socket.bind((source, 0))
            self.socket.connect(address)
        except BaseException:
            self.socket.close()
            raise
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.ended = False

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    # Writing

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, *arguments: object, **options: object) -> None:
        """Writes one request; see ``request_bytes``."""
        self.send(request_bytes(*arguments, **options))  # type: ignore[arg-type]

    def finish_writing(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Ends the connection by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # Reading

    def _more(self) -> bool:
        """Reads once; False at the end of the connection."""
        if self.ended:
            return False
        try:
            data = self.socket.recv(1 << 18)
        except TimeoutError:
            limit, unread = self.socket.gettimeout(), bytes(self.buffer[:200])
            raise Silence(f"nothing more within {limit} s; unread: {unread!r}") from None
        except ConnectionResetError:
            data = b""
        self.buffer += data
        self.ended = not data
        return bool(data)

    def read_until(self, marker: bytes) -> bytes:
        """Reads to the end of ``marker``, as bytes of the wire."""
        start = 0
        while (at := self.buffer.find(marker, start)) < 0:
            start = max(0, len(self.buffer) - len(marker) + 1)
            if not self._more():
                raise Truncated(f"the connection ended before {marker!r}", body=self._take(len(self.buffer)))
        return self._take(at + len(marker))

    def read_exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self._more():
                missing = size - len(self.buffer)
                raise Truncated(
                    f"the connection ended {missing} bytes short", body=self._take(len(self.buffer))
                )
        return self._take(size)

    def read_to_end(self) -> bytes:
        while self._more():
            pass
        return self._take(len(self.buffer))

    def _take(self, size: int) -> bytes:
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def expect_end(self) -> None:
        """The server closes, and writes nothing more."""
        rest = self.read_to_end()
        if rest:
            raise Malformed(f"bytes after the last answer: {rest[:200]!r}")

    # Answers

    def head(self) -> Response:
        """Reads one head; ``framing`` tells how its body will end if it has one."""
        return self._head()[0]

    def _head(self) -> tuple[Response, bytes]:
        raw = self.read_until(b"\r\n\r\n")
        lines = raw[:-4].split(b"\r\n")
        status = STATUS_LINE.fullmatch(lines[0])
        if status is None:
            raise Malformed(f"status line {lines[0]!r}")
        response = Response(status[1], int(status[2]), status[3], fields(lines[1:]))
        response.framing = framing(response)
        return response, raw

    def response(self, method: str = "GET") -> Response:
        """Reads one whole answer to a request of ``method``, with the 1xx ones before it."""
        interim = []
        while True:
            response, raw = self._head()
            if not 100 <= response.status < 200 or response.status == 101:
                break
            interim.append(response)
        response.interim = interim
        if method == "HEAD":
            response.framing = "none"
        try:
            raw += self._body(response)
        except Truncated as cut:
            raise Truncated(cut.message, response, response.body + cut.body) from None
        if len(raw) < 1 << 20 and response.status != 101:
            compare_with_h11(method, raw, response)
        return response

    def _body(self, response: Response) -> bytes:
        if response.framing == "length":
            response.body = self.read_exactly(int(response.header("content-length") or b"0"))
            return response.body
        if response.framing == "close":
            response.body = self.read_to_end()
            return response.body
        if response.framing == "chunked":
            return self._chunks(response)
        return b""

    def read_chunk(self) -> bytes:
        """Reads one chunk; b"" for the last one, whose trailers are left to be read."""
        return self._chunk()[0]

    def _chunk(self) -> tuple[bytes, bytes]:
        line = self.read_until(b"\r\n")
        match = CHUNK_LINE.fullmatch(line[:-2])
        if match is None:
            raise Malformed(f"chunk line {line!r}")
        size = int(match[1], 16)
        if size == 0:
            return b"", line
        data = self.read_exactly(size)
        if (after := self.read_exactly(2)) != b"\r\n":
            raise Malformed(f"a chunk of {size} bytes is followed by {after!r}")
        return data, line + data + after

    def _chunks(self, response: Response) -> bytes:
        parts: list[bytes] = []
        raws: list[bytes] = []
        try:
            while True:
                data, raw = self._chunk()
                raws.append(raw)
                if not data:
                    break
                parts.append(data)
        finally:
            response.body = b"".join(parts)
        while (line := self.read_until(b"\r\n")) != b"\r\n":
            raws.append(line)
            response.trailers += fields([line[:-2]])
        return b"".join(raws) + b"\r\n"

    def ask(self, *arguments: object, **options: object) -> Response:
        """Writes one request and reads its answer."""
        self.request(*arguments, **options)
        method = arguments[0] if arguments else options.get("method", "GET")
        return self.response(str(method))

    def get(self, target: str | bytes, headers: Headers = ()) -> Response:
        return self.ask("GET", target, headers)


def fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    result = []
    for line in lines:
        match = HEADER_LINE.fullmatch(line)
        if match is None:
            raise Malformed(f"header line {line!r}")
        result.append((match[1], match[2]))
    return result


def framing(response: Response) -> str:
    """RFC 9112 6.3, refusing what a server must not send."""
    coding, length = response.values("transfer-encoding"), response.values("content-length")
    if response.status < 200 or response.status == 204:
        if coding or length:
            raise Malformed(f"{response.status} with {response.headers}")
        return "none"
    if coding and length:
        raise Malformed(f"two framings: {response.headers}")
    if coding and [value.lower() for value in coding] != [b"chunked"]:
        raise Malformed(f"transfer-encoding {coding}")
    if length and (len(length) != 1 or not length[0].isdigit()):
        raise Malformed(f"content-length {length}")
    if response.status == 304:
        if coding:
            raise Malformed("304 with transfer-encoding")
        return "none"
    return "chunked" if coding else "length" if length else "close"


def compare_with_h11(method: str, raw: bytes, response: Response) -> None:
    """Parses ``raw``, one final answer, by h11 too; both readings must be the same."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    parser.send(h11.Request(method=method, target="/", headers=[("Host", "localhost")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(raw)
    if response.framing == "close":
        parser.receive_data(b"")
    head, body = None, b""
    while type(event := parser.next_event()) is not h11.EndOfMessage:
        if isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            raise Malformed(f"h11 sees {event!r} in {raw[:200]!r}")
    seen = [(name.lower(), value) for name, value in response.headers]
    if (head.status_code, list(head.headers), body) != (response.status, seen, response.body):
        raise Malformed(f"h11 reads {head!r} {body[:100]!r}, this client {response!r}")
