"""The work by which a profile-guided build learns what is common: requests as browsers, tools and
load balancers send them, answers as frameworks give them, WebSocket messages as train_websocket.py sends them,
and what train_loop.py asks of the loop. Serves and asks in one process, whose ordinary end writes the profile.

usage: python scripts/train.py        with the instrumented fasterapi importable
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import train_loop
import train_websocket

import fasterapi
from fasterapi.loop import new_event_loop

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

ROUNDS = 300
TEXT = [(b"content-type", b"text/plain; charset=utf-8")]
BROWSER = (
    b"Host: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n"
    b"Cookie: session=0123456789abcdef; theme=dark\r\nSec-Fetch-Mode: navigate\r\n"
)
TOOL = b"Host: 127.0.0.1:8000\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n"


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answers at once, in pieces, late, or with the request's body, as the path says."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await train_websocket.app(scope, receive, send)
        return
    path = scope["path"]
    if path == "/events":
        await events(send)
        return
    body = b"Hello, World!"
    if path == "/echo":
        body = b""
        while True:
            event = await receive()
            body += event["body"]
            if not event["more_body"]:
                break
    elif path == "/later":
        await asyncio.sleep(0)
    elif path == "/large":
        body = b"x" * 65536
    pieces = 10 if path == "/stream" else 1
    length = [] if pieces > 1 else [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": TEXT + length})
    for left in range(pieces - 1, -1, -1):
        await send({"type": "http.response.body", "body": body, "more_body": left > 0})


async def events(send: Send) -> None:
    """An event stream of texts and of JSON."""
    stream = fasterapi.open_event_stream(send)
    assert stream is not None
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    for number in range(50):
        await stream.send(f"a line of text {number}")
        await stream.send('{"id": 17, "price": 23.5}\n{"id": 18}', event="price", id=str(number))
    await send({"type": "http.response.body"})


def requests() -> Iterator[tuple[bytes, int]]:
    """What is sent in one write, and how many requests that is."""
    for headers in (BROWSER, TOOL):
        for path in (b"/", b"/items/42?q=some%20text&page=2", b"/later", b"/stream", b"/large", b"/events"):
            yield b"GET %s HTTP/1.1\r\n%s\r\n" % (path, headers), 1
        for size in (20, 16384):
            length = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % size
            yield b"POST /echo HTTP/1.1\r\n%s%s\r\n" % (headers, length) + b"b" * size, 1
        chunked = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        yield b"POST /echo HTTP/1.1\r\n%s%s" % (headers, chunked), 1
        yield b"HEAD / HTTP/1.1\r\n%s\r\n" % headers, 1
        yield b"GET / HTTP/1.1\r\n%s\r\n" % headers * 8, 8


def ask(port: int) -> None:
    """Several connections at a time, each with a request under way."""
    rounds = list(requests())
    for first in range(0, ROUNDS, 10):
        connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
        readers = [connection.makefile("rb") for connection in connections]
        for number in range(first, first + 10):
            sent, count = rounds[number % len(rounds)]
            for _ in range(20):
                for connection in connections:
                    connection.sendall(sent)
                for reader in readers:
                    for _ in range(count):
                        read_answer(reader, has_body=not sent.startswith(b"HEAD"))
        for connection, reader in zip(connections, readers, strict=True):
            reader.close()
            connection.close()


def read_answer(reader: Any, has_body: bool) -> None:
    """Reads one answer to its end."""
    if not reader.readline().startswith(b"HTTP/1.1 200 "):
        raise SystemExit("train: the server did not answer as expected")
    length = 0
    chunked = False
    while (line := reader.readline()) != b"\r\n":
        name, _, value = line.partition(b": ")
        if name == b"content-length":
            length = int(value)
        chunked |= name == b"transfer-encoding"
    if not has_body:
        return
    if not chunked:
        reader.read(length)
        return
    while (size := int(reader.readline(), 16)) > 0:
        reader.read(size + 2)
    reader.readline()


async def main() -> None:
    """Serves until everything was asked."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    server = fasterapi.Server(fasterapi.Config(app, log_level="warning", access_log=False))
    failures: list[BaseException] = []

    def client() -> None:
        try:
            ask(listener.getsockname()[1])
            train_websocket.ask(listener.getsockname()[1])
        except BaseException as failure:
            failures.append(failure)
        finally:
            server.should_exit = True

    thread = threading.Thread(target=client)
    thread.start()
    await server.serve(sockets=[listener])
    thread.join()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    loop = new_event_loop()
    try:
        loop.run_until_complete(main())
        loop.run_until_complete(train_loop.main())
    finally:
        loop.close()
