"""Transports of plain stream sockets, by what protocols may do in each callback, and what is left after."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

import pytest
from support.transports import CALLBACKS, Buffered, Recorder, connected, drained, fail, fill, reports

from fasterapi.loop import new_event_loop

# --- What a protocol does in a callback ------------------------------------------------------


@pytest.mark.parametrize("way", ["close", "abort"])
def test_nothing_is_received_behind_a_close(run, way):
    async def main():
        protocol, peer = await connected(data_received=lambda self: getattr(self.transport, way)())
        with peer:
            peer.sendall(b"first")
            assert await protocol.lost is None
            assert protocol.told == [
                ("connection_made",),
                ("data_received", b"first"),
                ("connection_lost", None),
            ]
            assert peer.recv(1) == b""
            assert protocol.transport.is_closing()
            assert protocol.transport.get_protocol() is None

    run(main())


def test_a_close_in_connection_made(run):
    async def main():
        protocol, peer = await connected(connection_made=lambda self: self.transport.close())
        with peer:
            assert await protocol.lost is None
            assert protocol.names() == ["connection_made", "connection_lost"]

    run(main())


def test_what_is_written_in_connection_lost_goes_nowhere(run, request):
    # asyncio's own is a TypeError since Python 3.12, mended in 3.13.6 (gh-136234).
    lines = "fasterapi" in request.node.callspec.id or sys.version_info < (3, 12)

    def write(self):
        self.transport.write(b"late")
        if lines:
            self.transport.writelines([b"late", b"r"])
        self.transport.close()
        self.transport.abort()
        self.transport.pause_reading()
        self.transport.resume_reading()

    async def main():
        protocol, peer = await connected(connection_lost=write)
        with peer:
            protocol.transport.close()
            await protocol.lost
            assert peer.recv(100) == b""
            write(protocol)
            assert protocol.transport.get_write_buffer_size() == 0

    run(main())


def test_many_late_writes_are_logged(run, logged):
    async def main():
        protocol, peer = await connected()
        with peer:
            protocol.transport.abort()
            for _ in range(10):
                protocol.transport.write(b"late")
            await protocol.lost

    run(main())
    late = [record for record in logged() if record.getMessage() == "socket.send() raised exception."]
    assert 5 <= len(late) <= 6


@pytest.mark.parametrize("way", ["close", "abort"])
@pytest.mark.parametrize("callback", ["pause_writing", "resume_writing"])
def test_an_end_within_flow_control(callback, way):
    """asyncio's own calls connection_lost twice for an end in resume_writing."""

    async def main():
        protocol, peer = await connected(**{callback: lambda self: getattr(self.transport, way)()})
        with peer:
            while not protocol.transport.is_closing() and protocol.transport.get_write_buffer_size() <= 65536:
                protocol.transport.write(bytes(65536))
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, lambda: sum(map(len, iter(lambda: peer.recv(1 << 20), b""))))
            assert await protocol.lost is None
            await asyncio.sleep(0)
            assert protocol.names().count("connection_lost") == 1

    loop = new_event_loop()
    loop.run_until_complete(asyncio.wait_for(main(), 10))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_writing_on_in_resume_writing(run):
    async def main():
        # Each more than the buffers of both sockets may grow to: some of it always waits.
        more = [b"a" * 16_000_000, b"b" * 16_000_000]

        def resume(self):
            if more:
                self.transport.write(more.pop())

        protocol, peer = await connected(resume_writing=resume)
        with peer:
            protocol.transport.write(b"c" * 16_000_000)
            await drained(peer, 48_000_000)
            protocol.transport.close()
            assert await protocol.lost is None
            assert not more

    run(main())


def test_a_protocol_that_replaces_itself(run):
    async def main():
        second = Buffered()
        protocol, peer = await connected(data_received=lambda self: self.transport.set_protocol(second))
        with peer:
            peer.sendall(b"one")
            await protocol.until("data_received")
            peer.sendall(b"and two")
            peer.shutdown(socket.SHUT_WR)
            assert await second.lost is None
            assert protocol.names() == ["connection_made", "data_received"]
            assert b"".join(
                what for name, *rest in second.told if name == "buffer_updated" for what in rest
            ) == (b"and two")

    run(main())


# --- What a protocol raises --------------------------------------------------------------------


@pytest.mark.parametrize("callback", ["data_received", "eof_received", "get_buffer", "buffer_updated"])
def test_an_error_in_reading_ends_the_connection(run, callback):
    async def main():
        told = reports()
        kind = Recorder if callback in CALLBACKS else Buffered
        protocol, peer = await connected(kind, **{callback: fail})
        with peer:
            if callback == "eof_received":
                peer.shutdown(socket.SHUT_WR)
            else:
                peer.sendall(b"data")
            error = await protocol.lost
            assert str(error) == "the protocol's"
            assert [context["message"] for context in told] == [
                f"Fatal error: protocol.{callback}() call failed."
            ]
            assert told[0]["exception"] is error
            assert told[0]["protocol"] is protocol
            assert told[0]["transport"] is protocol.transport

    run(main())


@pytest.mark.parametrize(
    "callback", ["connection_made", "pause_writing", "resume_writing", "connection_lost"]
)
def test_an_error_elsewhere_is_told_and_no_more(run, callback):
    async def main():
        told = reports()
        protocol, peer = await connected(**{callback: fail})
        with peer:
            await drained(peer, await fill(protocol.transport))
            peer.sendall(b"still there")
            await protocol.until("data_received")
            protocol.transport.close()
            await protocol.lost
            await asyncio.sleep(0)
            assert [str(context["exception"]) for context in told] == ["the protocol's"]

    run(main())


def test_an_empty_buffer(run):
    async def main():
        told = reports()
        protocol, peer = await connected(Buffered, size=0)
        with peer:
            peer.sendall(b"data")
            assert isinstance(await protocol.lost, RuntimeError)
            assert told[0]["message"] == "Fatal error: protocol.get_buffer() call failed."

    run(main())


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_loop_goes_through(loop, kind):
    def interrupt(self):
        raise kind

    protocol, peer = loop.run_until_complete(connected(data_received=interrupt))
    with peer:
        peer.sendall(b"data")
        with pytest.raises(kind):
            loop.run_until_complete(protocol.lost)
        protocol.transport.close()
        assert loop.run_until_complete(protocol.lost) is None


# --- The peer ----------------------------------------------------------------------------------


def test_a_reset_in_the_middle_of_a_write(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            _, protocol = await loop.create_connection(Recorder, *listener.getsockname())
            peer, _ = listener.accept()
        await fill(protocol.transport)
        protocol.transport.pause_reading()  # so that writing meets it
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        assert isinstance(await protocol.lost, ConnectionError)
        assert protocol.transport.get_write_buffer_size() == 0

    run(main())


def test_forty_megabytes_in_a_bounded_buffer(run):
    async def main():
        writable = asyncio.Event()
        protocol, peer = await connected(
            pause_writing=lambda self: writable.clear(), resume_writing=lambda self: writable.set()
        )
        transport, piece, most = protocol.transport, bytes(1 << 20), 0
        reading = asyncio.ensure_future(drained(peer, 40 << 20))
        with peer:
            writable.set()
            for _ in range(40):
                await writable.wait()
                transport.write(piece)
                most = max(most, transport.get_write_buffer_size())
            await reading
            transport.close()
            await protocol.lost
        assert most <= transport.get_write_buffer_limits()[1] + len(piece)
        paused, resumed = (protocol.names().count(name) for name in ("pause_writing", "resume_writing"))
        assert paused == resumed > 0

    run(main())


def test_the_end_is_sent_behind_what_waits(run):
    async def main():
        protocol, peer = await connected(eof_received=lambda self: True)
        with peer:
            peer.shutdown(socket.SHUT_WR)
            data = bytes(range(256)) * 8192
            protocol.transport.write(data[:1000])
            protocol.transport.writelines([data[1000:5000], bytearray(data[5000:])])
            protocol.transport.write_eof()
            with pytest.raises(RuntimeError, match="after write_eof"):
                protocol.transport.write(b"more")
            loop = asyncio.get_running_loop()
            read = await loop.run_in_executor(None, lambda: b"".join(iter(lambda: peer.recv(1 << 20), b"")))
            assert read == data
            assert not protocol.transport.is_closing()
            protocol.transport.close()
            await protocol.lost

    run(main())


def test_pausing_before_the_first_byte(run, request):
    # asyncio's own forgets such a pause before Python 3.11.
    forgets = "asyncio" in request.node.callspec.id and sys.version_info < (3, 11)

    async def main():
        protocol, peer = await connected(connection_made=lambda self: self.transport.pause_reading())
        with peer:
            peer.sendall(b"waits")
            for _ in range(10):
                await asyncio.sleep(0)
            assert protocol.names() == ["connection_made", *["data_received"] * forgets]
            assert not protocol.transport.is_reading()
            protocol.transport.resume_reading()
            await protocol.until("data_received")
            assert protocol.told[1] == ("data_received", b"waits")
            protocol.transport.abort()
            await protocol.lost

    run(main())
