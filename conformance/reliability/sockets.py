"""S20, S21, S22: one WebSocket client at its worst, and what others and the server's memory see of it.

S20 sends 1 GB deflated to about 1 MB in one message. S21 announces a frame of 2^40 bytes, sends 512 MB in
fragments of 64 KB, a million fragments of one byte, and 200,000 empty ones; each must be closed, by 1009 or 1008. S22 sends
pings without end, and reads the pongs or does not. Meanwhile another client asks one HTTP request after the other.
"""

from __future__ import annotations

import functools
import itertools
import select
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator

from support.measure import push_until_blocked
from support.websocket import BINARY, CONTINUATION, PING, WebSocket, frame_bytes, read_close
from support.wire import Malformed, Silence, Truncated, request_bytes

from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server

KB, MB = 1 << 10, 1 << 20
BOMB = 1 << 30
DEFLATE = ("Sec-WebSocket-Extensions", "permessage-deflate")
PINGS = 200_000
MOST_UNREAD = 64 * MB


class Bystander(threading.Thread):
    """Another client and the server's memory, looked at again and again until ``end``."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._ended = threading.Event()
        self.slowest = 0.0
        self.before = self.most = server.memory()
        self.start()

    def run(self) -> None:
        with self._server.connect() as connection:
            while not self._ended.is_set():
                began = time.monotonic()
                connection.send(request_bytes("GET", "/hello"))
                connection.response()
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.most = max(self.most, self._server.memory())
                self._ended.wait(0.005)

    def end(self) -> tuple[float, float]:
        """The slowest answer in milliseconds, the growth in bytes."""
        self._ended.set()
        self.join()
        return self.slowest * 1000, self.most - self.before


def connect(server: Server, *headers: tuple[str, str], path: str = "/socket") -> WebSocket:
    peer = WebSocket(("127.0.0.1", server.port), path, headers)
    peer.opened()
    return peer


def under_attack(start: Start, attack: Callable[[Server], str]) -> tuple[float, float, str]:
    """The others' slowest answer, the growth, and how the attack ended."""
    with start() as server:
        with connect(server) as peer:  # what the first brings in is not the attack's
            peer.close_with(1000)
            peer.ended_by()
        bystander = Bystander(server)
        ended = attack(server)
        slowest, growth = bystander.end()
        assert server.answers(), "the next client is not answered"
    return slowest, growth, ended


def closed_by(peer: WebSocket, blocks: Iterable[bytes]) -> str:
    """Sends until the server closes; the code."""
    try:
        for block in blocks:
            peer.send(block)
            if select.select([peer.socket], [], [], 0)[0]:
                break
    except OSError:
        pass  # it has closed in the middle of our sending
    try:
        while (frame := peer.read_data_frame()).opcode != 8:
            pass
        return str(read_close(frame)[0])
    except (Truncated, Silence, Malformed, OSError) as error:
        return type(error).__name__


@functools.cache
def bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=-9)
    parts = [packer.compress(bytes(MB)) for _ in range(BOMB // MB)]
    return b"".join([*parts, packer.flush(zlib.Z_SYNC_FLUSH)])[:-4]


def explode(server: Server) -> str:
    with connect(server, DEFLATE) as peer:
        if peer.inflater is None:
            return "1009"  # nothing was agreed on: nothing is inflated
        return closed_by(peer, [frame_bytes(BINARY, bomb(), reserved=4)])


def fragments(size: int, count: int) -> Iterator[bytes]:
    """Blocks of fragments: so many of so many bytes, of one message that never ends."""
    yield frame_bytes(BINARY, bytes(size), final=False)
    one = frame_bytes(CONTINUATION, bytes(size), final=False)
    together = max(1, 64 * KB // len(one))
    yield from itertools.repeat(one * together, count // together)


ATTACKS: dict[str, Callable[[], Iterable[bytes]]] = {
    "a frame of 2^40 bytes": lambda: [b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(4)],
    "512 MB in fragments": lambda: fragments(64 * KB, 8192),
    "a million fragments of a byte": lambda: fragments(1, 1_000_000),
    "200,000 empty fragments": lambda: fragments(0, 200_000),
}


def attack_with(blocks: Callable[[], Iterable[bytes]], server: Server) -> str:
    with connect(server) as peer:
        return closed_by(peer, blocks())


def ping_and_read(server: Server) -> str:
    block = frame_bytes(PING, bytes(100)) * 100
    with connect(server) as peer:
        for _ in range(PINGS // 100):
            peer.send(block)
            for _ in range(100):
                peer.read_frame()
    return ""


def ping_unread(server: Server) -> str:
    with connect(server) as peer:
        taken = push_until_blocked(peer.socket, frame_bytes(PING, bytes(100)) * 100, MOST_UNREAD)
    return "" if taken < MOST_UNREAD else "was never stopped"


def measure_bomb(start: Start) -> Outcome:
    bomb()
    slowest, growth, ended = under_attack(start, explode)
    return Outcome((growth / MB, slowest), [] if ended == "1009" else [f"closed by {ended}"])


def measure_frames(start: Start) -> Outcome:
    worst, most, notes = 0.0, 0.0, []
    for name, blocks in ATTACKS.items():
        slowest, growth, ended = under_attack(start, functools.partial(attack_with, blocks))
        worst, most = max(worst, slowest), max(most, growth)
        if ended not in ("1008", "1009"):
            notes.append(f"{name}: {ended}")
    return Outcome((most / MB, worst), notes)


def measure_pings(start: Start) -> Outcome:
    read = under_attack(start, ping_and_read)
    unread = under_attack(start, ping_unread)
    notes = [f"unread: {unread[2]}"] if unread[2] else []
    return Outcome((unread[1] / KB, max(read[0], unread[0])), notes)


# The limit of a message is 16 MB by default.
MEMORY = Figure("memory, MB", at_most=17)
LATENCY = Figure("others' slowest answer, ms", at_most=20)
BOMB_ROW = Row("S20", "a WebSocket message of 1 GB, deflated to 1 MB", (MEMORY, LATENCY), measure_bomb)
FRAMES_ROW = Row("S21", "WebSocket frames and fragments without end", (MEMORY, LATENCY), measure_frames)
PINGS_ROW = Row(
    "S22", "WebSocket pings without end", (Figure("memory, unread, KB", at_most=64), LATENCY), measure_pings
)
