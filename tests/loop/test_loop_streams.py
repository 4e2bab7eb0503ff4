"""The stdlib's stream transports on the loop: TCP, Unix sockets, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys

import pytest

BIG = bytes(range(256)) * 16384  # 4 MiB: more than all buffers on the way


@contextlib.asynccontextmanager
async def serving(handler, **options):
    """The address of a server that answers each connection by ``handler(reader, writer)``."""
    running = set()

    async def handle(reader, writer):
        running.add(asyncio.current_task())
        try:
            await handler(reader, writer)
        finally:
            running.remove(asyncio.current_task())

    server = await asyncio.start_server(handle, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        if running:
            await asyncio.wait(running)
        await server.wait_closed()


async def finish(writer):
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


async def echo(reader, writer):
    """Sends back what comes, to the end."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    await finish(writer)


async def talk(reader, writer, data):
    """What comes back for ``data``."""

    async def send():
        writer.write(data)
        await writer.drain()

    sending = asyncio.ensure_future(send())
    answer = await reader.readexactly(len(data))
    await sending
    return answer


def test_echo(run):
    async def main():
        async with serving(echo) as address:
            reader, writer = await asyncio.open_connection(*address)
            for number in range(100):
                assert await talk(reader, writer, b"%d\n" % number) == b"%d\n" % number
            writer.write_eof()
            assert await reader.read() == b""
            await finish(writer)

    run(main())


def test_many_clients_at_once(run):
    async def client(address, number):
        reader, writer = await asyncio.open_connection(*address)
        data = b"%d" % number * 1000
        assert await talk(reader, writer, data) == data
        await finish(writer)
        return number

    async def main():
        async with serving(echo) as address:
            done = await asyncio.gather(*(client(address, number) for number in range(100)))
        assert done == list(range(100))

    run(main())


def test_more_than_all_buffers_take(run):
    async def main():
        async with serving(echo) as address:
            reader, writer = await asyncio.open_connection(*address)
            assert await talk(reader, writer, BIG) == BIG
            await finish(writer)

    run(main())


def test_a_writer_waits_for_a_reader_that_does_not_read(run):
    async def main():
        release = asyncio.Event()
        received = asyncio.get_running_loop().create_future()

        async def slow(reader, writer):
            await release.wait()
            received.set_result(len(await reader.read()))
            await finish(writer)

        async with serving(slow) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(BIG * 4)
            draining = asyncio.ensure_future(writer.drain())
            for _ in range(20):
                await asyncio.sleep(0)
            assert not draining.done()
            release.set()
            await draining
            writer.write_eof()
            assert await received == len(BIG) * 4
            await finish(writer)

    run(main())


def test_a_reset_connection(run):
    async def main():
        gone = asyncio.get_running_loop().create_future()

        async def wait(reader, writer):
            try:
                gone.set_result(await reader.read())
            except ConnectionResetError as error:
                gone.set_result(error)
            await finish(writer)

        async with serving(wait) as address:
            _, writer = await asyncio.open_connection(*address)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
            assert isinstance(await gone, ConnectionResetError)
            await finish(writer)

    run(main())


def test_a_closed_server_takes_no_more(run):
    async def main():
        async with serving(echo) as address:
            _, writer = await asyncio.open_connection(*address)
            await finish(writer)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)

    run(main())


def test_serve_forever_ends_when_cancelled(run):
    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        task = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        assert server.is_serving()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.is_serving()

    run(main())


def test_unix_server_and_connection(run, tmp_path):
    path = str(tmp_path / "socket")

    async def main():
        server = await asyncio.start_unix_server(echo, path)
        reader, writer = await asyncio.open_unix_connection(path)
        assert await talk(reader, writer, BIG) == BIG
        await finish(writer)
        server.close()
        await server.wait_closed()

    run(main())


def test_paused_reading(run):
    async def main():
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        got = []

        class Protocol(asyncio.Protocol):
            def data_received(self, data):
                got.append(data)
                arrived.set()

        arrived = asyncio.Event()
        transport, _ = await loop.create_connection(Protocol, sock=left)
        transport.pause_reading()
        right.send(b"x")
        for _ in range(10):
            await asyncio.sleep(0)
        assert got == []
        transport.resume_reading()
        await arrived.wait()
        assert got == [b"x"]
        transport.close()
        right.close()

    run(main())


def test_a_buffered_protocol(run):
    async def main():
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        ended = loop.create_future()

        class Protocol(asyncio.BufferedProtocol):
            got = b""
            buffer = bytearray(7)

            def get_buffer(self, hint):
                return self.buffer

            def buffer_updated(self, count):
                self.got += self.buffer[:count]

            def eof_received(self):
                ended.set_result(self.got)

        await loop.create_connection(Protocol, sock=left)
        right.sendall(b"more than seven bytes")
        right.close()
        assert await ended == b"more than seven bytes"

    run(main())


def test_connect_accepted_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
        ended = loop.create_future()

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                transport.write(b"welcome")
                transport.close()

            def connection_lost(self, error):
                ended.set_result(error)

        await loop.connect_accepted_socket(Protocol, accepted)
        assert await ended is None
        assert client.recv(100) == b"welcome"
        client.close()

    run(main())


def test_sendfile_through_a_transport(run, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(BIG)

    async def main():
        async def send(reader, writer):
            with path.open("rb") as file:
                assert await asyncio.get_running_loop().sendfile(writer.transport, file) == len(BIG)
            await finish(writer)

        async with serving(send) as address:
            reader, writer = await asyncio.open_connection(*address)
            assert await reader.read() == BIG
            await finish(writer)

    run(main())


# --- TLS -----------------------------------------------------------------------------------


def test_tls(run, tls):
    server_tls, client_tls = tls

    async def main():
        async with serving(echo, ssl=server_tls) as address:
            reader, writer = await asyncio.open_connection(*address, ssl=client_tls)
            assert writer.get_extra_info("ssl_object").version().startswith("TLS")
            for number in range(20):
                assert await talk(reader, writer, b"%d\n" % number) == b"%d\n" % number
            assert await talk(reader, writer, BIG) == BIG
            await finish(writer)

    run(main())


def test_many_tls_clients_at_once(run, tls):
    server_tls, client_tls = tls

    async def client(address, number):
        reader, writer = await asyncio.open_connection(*address, ssl=client_tls, server_hostname="localhost")
        data = b"%d" % number * 10_000
        assert await talk(reader, writer, data) == data
        await finish(writer)

    async def main():
        async with serving(echo, ssl=server_tls) as address:
            await asyncio.gather(*(client(address, number) for number in range(20)))

    run(main())


def test_a_certificate_that_nobody_trusts(run, tls):
    async def main():
        async with serving(echo, ssl=tls[0]) as address:
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection(*address, ssl=ssl.create_default_context())

    run(main())


class Upgrading(asyncio.Protocol):
    """Talks plainly until it is asked for TLS; answers in capital letters from then on."""

    def __init__(self, context):
        self.context = context

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if data == b"STARTTLS":
            self.transport.pause_reading()
            self.transport.write(b"go ahead")
            self.upgrading = asyncio.ensure_future(self.upgrade())
        else:
            self.transport.write(data.upper())

    def connection_lost(self, error):
        self.transport.close()

    async def upgrade(self):
        loop = asyncio.get_running_loop()
        self.transport = await loop.start_tls(self.transport, self, self.context, server_side=True)
        self.transport.write(b"ready")


class Received(asyncio.Protocol):
    def __init__(self):
        self.data = asyncio.Queue()
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        self.data.put_nowait(data)

    def connection_lost(self, error):
        self.lost.set_result(error)


def test_start_tls(run, tls):
    server_tls, client_tls = tls

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Upgrading(server_tls), "127.0.0.1", 0)
        transport, protocol = await loop.create_connection(Received, *server.sockets[0].getsockname())
        transport.write(b"STARTTLS")
        assert await protocol.data.get() == b"go ahead"
        transport = await loop.start_tls(transport, protocol, client_tls, server_hostname="localhost")
        assert await protocol.data.get() == b"ready"
        transport.write(b"secret")
        assert await protocol.data.get() == b"SECRET"
        transport.close()
        await protocol.lost
        server.close()
        await server.wait_closed()

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="StreamWriter.start_tls is new in Python 3.11")
def test_start_tls_of_a_stream(run, tls):
    server_tls, client_tls = tls

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Upgrading(server_tls), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"STARTTLS")
        assert await reader.readexactly(8) == b"go ahead"
        await writer.start_tls(client_tls, server_hostname="localhost")
        assert await reader.readexactly(5) == b"ready"
        writer.write(b"secret")
        assert await reader.readexactly(6) == b"SECRET"
        await finish(writer)
        server.close()
        await server.wait_closed()

    run(main())


def test_a_thread_talks_tls_to_the_loop(run, tls):
    """The peer blocks in a thread of the same process: the loop must not hold the interpreter while it waits."""
    server_tls, client_tls = tls

    def peer(address):
        plain = socket.create_connection(address)
        with client_tls.wrap_socket(plain, server_hostname="localhost") as sock:
            for number in range(20):
                sock.sendall(b"%d\n" % number)
                assert sock.recv(100) == b"%d\n" % number

    async def main():
        async with serving(echo, ssl=server_tls) as address:
            await asyncio.to_thread(peer, address)

    run(main())


def test_a_thread_serves_the_loop(run, tls):
    server_tls, client_tls = tls

    def peer(listener):
        plain, _ = listener.accept()
        with server_tls.wrap_socket(plain, server_side=True) as sock:
            while data := sock.recv(100):
                sock.sendall(data.upper())

    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            working = asyncio.ensure_future(asyncio.to_thread(peer, listener))
            reader, writer = await asyncio.open_connection(*listener.getsockname(), ssl=client_tls)
            for _ in range(20):
                writer.write(b"abc")
                assert await reader.readexactly(3) == b"ABC"
            await finish(writer)
            await working

    run(main())
