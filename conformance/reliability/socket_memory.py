"""S4, S5 and S18 of WebSockets: what a client costs that writes without end, reads nothing, or says nothing.

S4 sends 1 GB to an application that receives nothing, in messages of 64 KB; S5 takes nothing of the 1 GB that an
application sends. A server that goes on taking is stopped at MOST. S18 holds 1,000 connections that agreed on
permessage-deflate, have used it both ways, and are silent since.
"""

from __future__ import annotations

import contextlib
import time

from support.measure import push_until_blocked, queues
from support.websocket import BINARY, WebSocket, frame_bytes

from conformance.reliability.row import Figure, Outcome, Row, Start
from conformance.reliability.server import Server
from conformance.reliability.slow_readers import growths, settled
from conformance.reliability.sockets import DEFLATE, connect

KB, MB = 1 << 10, 1 << 20
MOST = 1 << 30
IDLE = 1000
# More than any server's time after which it gives back what an idle connection needs not.
SILENT = 5.0
# 2 KB that deflate makes smaller, but not to nothing.
TALK = "".join(f'{{"id":{number * 7919 % 1000},"name":"n{number}"}}' for number in range(80))


def measure_unreceived(start: Start) -> Outcome:
    with start() as server:
        with connect(server, path="/socket_never_receives?first") as peer:
            server.probe.expect("called", "first")
        server.probe.open("first")
        before = server.memory()
        with connect(server, path="/socket_never_receives?push") as peer:
            server.probe.expect("called", "push")
            pushed = push_until_blocked(peer.socket, frame_bytes(BINARY, bytes(64 * KB)), MOST)
            taken = pushed - queues(peer.port, server.port).unsent - queues(server.port, peer.port).unread
            growth = server.memory() - before
        server.probe.open("push")
        assert server.answers(), "the next client is not answered"
    return Outcome((growth / MB, taken / KB))


def measure_unread(start: Start) -> Outcome:
    with start() as server:
        with connect(server, path="/socket_flood?first"):
            pass
        server.probe.expect("ended", "first")
        base = settled(server)
        return growths(server, base, lambda server, tag: connect(server, path=f"/socket_flood?{tag}"))


def measure_idle(start: Start) -> Outcome:
    with start() as server:
        with idle(server, 20):
            pass
        base = settled(server)
        with idle(server, IDLE) as peers:
            time.sleep(SILENT)
            held = settled(server)
            agreed = sum(peer.inflater is not None for peer in peers)
        time.sleep(SILENT)
        left = settled(server)
    notes = [] if agreed == IDLE else [f"permessage-deflate agreed on by {agreed}"]
    return Outcome(((held - base) / KB / IDLE, 100 * (left - base) / base), notes)


@contextlib.contextmanager
def idle(server: Server, count: int):
    """So many connections, each of which has sent and received two messages."""
    with contextlib.ExitStack() as stack:
        peers: list[WebSocket] = []
        for _ in range(count):
            peer = stack.enter_context(connect(server, DEFLATE, path="/socket_echo"))
            for _ in range(2):
                peer.say(TALK)
                assert peer.message() == TALK
            peers.append(peer)
        yield peers


SENDER_ROW = Row(
    "S4-websocket",
    "a WebSocket client sends 1 GB that nobody receives",
    (Figure("memory, MB", at_most=1), Figure("taken, KB", at_most=256)),
    measure_unreceived,
)
READER_ROW = Row(
    "S5-websocket",
    "WebSocket clients who do not read",
    (
        Figure("memory, one reader, KB", at_most=64),
        Figure("memory, each of 50, KB", at_most=64),
        Figure("left when they have gone, each of 50, KB", at_most=64),
    ),
    measure_unread,
)
IDLE_ROW = Row(
    "S18-websocket",
    "1,000 silent WebSockets with permessage-deflate",
    (Figure("memory, each, KB", at_most=4), Figure("left when they have gone, %", at_most=20)),
    measure_idle,
)
