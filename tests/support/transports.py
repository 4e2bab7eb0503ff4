"""A protocol that writes down what it is told, connected to a plain socket: for tests of a loop's transports."""

from __future__ import annotations

import asyncio
import socket

import pytest

CALLBACKS = ["connection_made", "data_received", "eof_received", "pause_writing", "resume_writing"]


class Recorder(asyncio.Protocol):
    """Keeps what it is told, and does in a callback what ``deeds`` has for it."""

    def __init__(self, **deeds):
        self.deeds = deeds
        self.told = []
        self.more = asyncio.Event()
        self.transport = None
        self.lost = asyncio.get_running_loop().create_future()

    def do(self, name, *arguments):
        self.told.append((name, *arguments))
        self.more.set()
        if name in self.deeds:
            return self.deeds[name](self)
        return None

    def names(self):
        return [name for name, *_ in self.told]

    async def until(self, name):
        while name not in self.names():
            self.more.clear()
            await self.more.wait()

    def connection_made(self, transport):
        self.transport = transport
        self.do("connection_made")

    def data_received(self, data):
        self.do("data_received", data)

    def eof_received(self):
        return self.do("eof_received")

    def pause_writing(self):
        self.do("pause_writing")

    def resume_writing(self):
        self.do("resume_writing")

    def connection_lost(self, error):
        self.lost.set_result(error)
        self.do("connection_lost", error)


class Buffered(Recorder, asyncio.BufferedProtocol):
    def __init__(self, size=7, **deeds):
        super().__init__(**deeds)
        self.buffer = bytearray(size)

    def get_buffer(self, hint):
        assert hint == -1
        return self.do("get_buffer") or self.buffer

    def buffer_updated(self, count):
        self.do("buffer_updated", bytes(self.buffer[:count]))


async def connected(kind=Recorder, **deeds):
    """A protocol whose transport is connected to the blocking socket that comes with it."""
    ours, peer = socket.socketpair()
    peer.settimeout(5)
    _, protocol = await asyncio.get_running_loop().create_connection(lambda: kind(**deeds), sock=ours)
    return protocol, peer


def fail(protocol):
    raise ValueError("the protocol's")


def reports():
    """What goes to the running loop's exception handler from now on."""
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    return told


async def fill(transport):
    """Writes until the protocol is paused; the number of bytes."""
    written = 0
    while not transport.get_write_buffer_size() > transport.get_write_buffer_limits()[1]:
        transport.write(bytes(65536))
        written += 65536
    return written


async def drained(peer, size):
    """``size`` bytes that the peer reads, in turn with the loop.

    A thread that reads meanwhile may empty the socket as fast as one send() fills it: then nothing ever waits.
    """
    loop = asyncio.get_running_loop()
    patience = peer.gettimeout()
    peer.setblocking(False)
    while size:
        size -= len(await loop.sock_recv(peer, min(size, 1 << 20))) or pytest.fail("the connection ended")
    peer.settimeout(patience)
