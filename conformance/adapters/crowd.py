"""10,000 WebSockets that one channel is forwarded to, in one worker: who gets what, when, and what it costs.

Every subscriber must get the same bytes, all of which are compared. The next message is published
when all have the one before, but for two who do not read: one of the policy ``drop_oldest``, which must miss messages and get
the rest in order, and one of the policy ``disconnect``, which must be closed. Nobody else may notice them.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from statistics import median

from support.websocket import TEXT, Closed, WebSocket, frame_bytes, handshake_bytes
from support.wire import Connection, Truncated

from benchmarks.process import allow_files
from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server

APP = "conformance.adapters.apps:app"
NO_PINGS = ("--ws-ping-interval", "3600")
SUBSCRIBERS = 10_000
"""The server may open a quarter more files: some keep a reserve."""
AT_ONCE = 200
"""Handshakes under way; less than any server's backlog."""
MESSAGES = 30
SIZE = 1024
FEW = 10
"""Those who stay for the large messages, of which there are enough for one who does not read to be too slow: 13 MB are more than
the kernel holds for anybody."""
LARGE_MESSAGES = 200
LARGE_SIZE = 65_536
SMALL = 4096
"""The receive buffer of those who do not read."""
LIMIT = 16
"""Messages that wait for a subscriber where its queue is the Broadcaster's own."""
PATIENCE = 60.0


def text(number: int, size: int) -> str:
    return f"{number:08d} ".ljust(size, "x")


class Subscriber:
    """One connection; ``at`` is how far in the frame it has read."""

    __slots__ = ("at", "head", "socket")

    def __init__(self, port: int) -> None:
        self.at = 0
        self.head = b""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))


class Crowd:
    """Owns the subscribers and their poller."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._poller = select.epoll()
        self._by_file: dict[int, Subscriber] = {}
        self._left = 0
        self.wrong = 0
        """Subscribers that got something else, or an end."""

    def open(self, count: int) -> None:
        """So many more, each subscribed."""
        for first in range(0, count, AT_ONCE):
            batch = [Subscriber(self._port) for _ in range(min(AT_ONCE, count - first))]
            for each in batch:
                self._by_file[each.socket.fileno()] = each
                self._poller.register(each.socket, select.EPOLLOUT)
            self._left = len(batch)
            for file, event in self._events():
                each = self._by_file[file]
                if event & select.EPOLLOUT:
                    each.socket.send(handshake_bytes("/subscribe"))
                    self._poller.modify(file, select.EPOLLIN)
                    continue
                each.head += (data := each.socket.recv(65536))
                assert data, f"refused: {each.head!r}"
                if self._is_subscribed(each.head):
                    each.head = b""
                    self._left -= 1

    @staticmethod
    def _is_subscribed(head: bytes) -> bool:
        """The head of the answer and the frame with the process's number have come."""
        answer, _, frame = head.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101"[: len(answer)]), answer
        return len(frame) >= 2 and len(frame) == 2 + frame[1]

    def deliver(self, frame: bytes) -> None:
        """Reads until everybody has this frame too."""
        self._left = len(self._by_file)
        for each in self._by_file.values():
            each.at = 0
        for file, _ in self._events():
            each = self._by_file[file]
            data = each.socket.recv(65536)
            each.at += len(data)
            if not data or frame[each.at - len(data) : each.at] != data:
                del self._by_file[file]
                each.socket.close()
                self.wrong += 1
                self._left -= 1
            elif each.at == len(frame):
                self._left -= 1

    def shrink(self, count: int) -> None:
        """All but so many leave."""
        for file in list(self._by_file)[count:]:
            self._by_file.pop(file).socket.close()

    def close(self) -> None:
        self.shrink(0)
        self._poller.close()

    def _events(self) -> Iterator[tuple[int, int]]:
        """What happens to the subscribers, until none is left that is waited for."""
        deadline = time.monotonic() + PATIENCE
        while self._left:
            assert time.monotonic() < deadline, f"not all were served within {PATIENCE:g} s"
            yield from self._poller.poll(1.0, 1000)


def measure(start: Start) -> Outcome:
    allow_files(SUBSCRIBERS)
    with (
        start(app=APP, files=SUBSCRIBERS * 5 // 4, options=NO_PINGS) as server,
        contextlib.ExitStack() as stack,
    ):
        crowd = stack.enter_context(contextlib.closing(Crowd(server.port)))
        crowd.open(100)  # what the first bring in is not a subscriber's
        before = server.memory()
        crowd.open(SUBSCRIBERS - 100)
        held = server.memory() - before
        missing = stack.enter_context(slow(server, "drop_oldest"))
        dropped = stack.enter_context(slow(server, "disconnect"))
        publisher = stack.enter_context(server.connect())
        used = server.cpu()
        seconds = [delivered(crowd, publisher, text(number, SIZE)) for number in range(MESSAGES)]
        used = server.cpu() - used
        crowd.shrink(FEW)
        for number in range(MESSAGES, MESSAGES + LARGE_MESSAGES):
            delivered(crowd, publisher, text(number, LARGE_SIZE))
        crowd.shrink(0)
        notes = [*too_slow(missing, publisher), *disconnected(dropped)]
    return Outcome(
        (
            SUBSCRIBERS - crowd.wrong,
            2 - len(notes),
            1000 * median(seconds),
            1e6 * used / SUBSCRIBERS / MESSAGES,
            held / 1024 / (SUBSCRIBERS - 100),
        ),
        notes,
    )


def slow(server: Server, policy: str) -> WebSocket:
    """A subscriber that takes as little as possible."""
    path = f"/subscribe?policy={policy}&limit={LIMIT}"
    peer = WebSocket(("127.0.0.1", server.port), path, receive_buffer=SMALL, timeout=PATIENCE)
    peer.opened()
    peer.message()
    return peer


def delivered(crowd: Crowd, publisher: Connection, message: str) -> float:
    """Seconds from publishing until the last subscriber has it."""
    began = time.monotonic()
    publisher.request("POST", "/publish", body=message.encode())
    crowd.deliver(frame_bytes(TEXT, message.encode(), mask=None))
    took = time.monotonic() - began
    assert publisher.response().status == 200
    return took


def too_slow(peer: WebSocket, publisher: Connection) -> list[str]:
    """Reads what it was sent: what is wrong with that. In the end it gets what is new again."""
    new, numbers = MESSAGES + LARGE_MESSAGES, [-1]
    while numbers[-1] < new:
        assert publisher.ask("POST", "/publish", body=text(new, SIZE).encode()).status == 200
        numbers.append(int(str(peer.message()).split()[0]))
    if len(numbers) - 2 == new:
        return ["the slow subscriber missed nothing"]
    if numbers != sorted(set(numbers)):
        return [f"the slow subscriber got {numbers}"]
    return []


def disconnected(peer: WebSocket) -> list[str]:
    """What is wrong with the end of a subscriber of the policy ``disconnect``."""
    numbers = []
    try:
        while True:
            numbers.append(int(str(peer.message()).split()[0]))
    except Closed as closed:
        wrong = [] if "1013" in str(closed) else [f"closed by {closed}"]
    except Truncated:
        wrong = []  # it had no room for a Close
    if numbers != list(range(len(numbers))) or len(numbers) >= MESSAGES + LARGE_MESSAGES:
        wrong.append(f"before it was closed it got {numbers}")
    return wrong[:1]


ROW = Row(
    "subscribers",
    "10,000 subscribers of one channel",
    (
        Figure("got every message, of 10,000", at_least=SUBSCRIBERS, count=True),
        Figure("slow ones handled right, of 2", at_least=2, count=True),
        Figure("a message to the last of them, ms", at_most=1000),
        Figure("CPU, each message and subscriber, µs", at_most=25),
        Figure("memory, each, KB", at_most=64),
    ),
    measure,
)
