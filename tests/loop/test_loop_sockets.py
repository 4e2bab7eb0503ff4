"""The loop's sock_* methods, datagrams and sendfile."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def test_recv_and_sendall(run, pair):
    left, right = pair

    async def main():
        loop = asyncio.get_running_loop()
        receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
        await asyncio.sleep(0)
        assert not receiving.done()
        await loop.sock_sendall(right, b"hello")
        assert await receiving == b"hello"
        buffer = bytearray(3)
        await loop.sock_sendall(right, b"abcdef")
        assert await loop.sock_recv_into(left, buffer) == 3
        assert bytes(buffer) == b"abc"
        assert await loop.sock_recv(left, 100) == b"def"
        right.close()
        assert await loop.sock_recv(left, 100) == b""

    run(main())


def test_sendall_of_more_than_fits(run, pair):
    left, right = pair
    data = bytes(range(256)) * 16384

    async def main():
        loop = asyncio.get_running_loop()
        sending = asyncio.ensure_future(loop.sock_sendall(right, data))
        got = bytearray()
        while len(got) < len(data):
            got += await loop.sock_recv(left, 100_000)
        await sending
        assert got == data

    run(main())


def test_accept_and_connect(run, listener):
    async def main():
        loop = asyncio.get_running_loop()
        clients, accepted = [], []
        for _ in range(20):
            client = socket.socket()
            client.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(listener))
            await loop.sock_connect(client, listener.getsockname())
            server, address = await accepting
            assert address == client.getsockname()
            assert server.getblocking() is False
            clients.append(client)
            accepted.append(server)
        for number, (client, server) in enumerate(zip(clients, accepted, strict=True)):
            await loop.sock_sendall(client, b"%d" % number)
            assert await loop.sock_recv(server, 10) == b"%d" % number
        for sock in (*clients, *accepted):
            sock.close()

    run(main())


@pytest.fixture
def refusing():
    """An address that refuses; the socket that has it does not listen, and keeps it from others."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()


def test_a_refused_connection(run, refusing):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(client, refusing)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*refusing)

    run(main())


def test_who_is_refused_and_tries_again_at_once_lets_the_loop_go_on(run, refusing):
    async def main():
        loop = asyncio.get_running_loop()
        others = []
        for attempt in range(1, 10):
            loop.call_soon(others.append, attempt)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*refusing)
            assert len(others) == attempt

    run(main())


def test_who_connects_again_and_again_lets_the_loop_go_on(run, listener):
    async def main():
        loop = asyncio.get_running_loop()
        others = []
        for attempt in range(1, 10):
            loop.call_soon(others.append, attempt)
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, listener.getsockname())
            assert len(others) == attempt

    run(main())


def test_a_cancelled_operation_leaves_the_socket_usable(run, pair):
    left, right = pair

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(3):
            receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
            await asyncio.sleep(0)
            receiving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await receiving
            assert loop.remove_reader(left) is False
        await loop.sock_sendall(right, b"x")
        assert await loop.sock_recv(left, 100) == b"x"

    run(main())


def test_a_socket_may_be_closed_after_a_cancelled_operation(run):
    """And another one gets its number."""

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(10):
            left, right = socket.socketpair()
            left.setblocking(False)
            receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
            await asyncio.sleep(0)
            receiving.cancel()
            await asyncio.wait([receiving])
            left.close()
            right.close()

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="new in Python 3.11")
def test_recvfrom_and_sendto(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
            for sock in (one, two):
                sock.bind(("127.0.0.1", 0))
                sock.setblocking(False)
            receiving = asyncio.ensure_future(loop.sock_recvfrom(one, 100))
            await asyncio.sleep(0)
            await loop.sock_sendto(two, b"datagram", one.getsockname())
            assert await receiving == (b"datagram", two.getsockname())

    run(main())


def test_unix_sockets(run, tmp_path):
    path = str(tmp_path / "socket")

    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
            listener.bind(path)
            listener.listen()
            for sock in (listener, client):
                sock.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(listener))
            await loop.sock_connect(client, path)
            server, _ = await accepting
            with server:
                await loop.sock_sendall(server, b"x")
                assert await loop.sock_recv(client, 10) == b"x"

    run(main())


def test_sendfile_of_a_socket(run, listener, tmp_path):
    path = tmp_path / "file"
    data = bytes(range(256)) * 8192
    path.write_bytes(data)

    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(listener))
            await loop.sock_connect(client, listener.getsockname())
            server, _ = await accepting
            with server, path.open("rb") as file:
                sending = asyncio.ensure_future(loop.sock_sendfile(server, file, offset=256))
                got = bytearray()
                while len(got) < len(data) - 256:
                    got += await loop.sock_recv(client, 100_000)
                assert await sending == len(data) - 256
            assert got == data[256:]

    run(main())


# --- Datagrams -----------------------------------------------------------------------------


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


class Collect(asyncio.DatagramProtocol):
    def __init__(self):
        self.got = asyncio.Queue()
        self.lost = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, address):
        self.got.put_nowait(data)

    def error_received(self, error):
        self.got.put_nowait(error)

    def connection_lost(self, error):
        self.lost.set_result(error)


def test_datagrams_there_and_back(run):
    async def main():
        loop = asyncio.get_running_loop()
        server, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
        client, protocol = await loop.create_datagram_endpoint(
            Collect, remote_addr=server.get_extra_info("sockname")
        )
        for number in range(50):
            client.sendto(b"%d" % number)
            assert await protocol.got.get() == b"%d" % number
        client.sendto(b"x" * 60_000)
        assert await protocol.got.get() == b"x" * 60_000
        client.close()
        assert await protocol.lost is None
        server.close()
        await asyncio.sleep(0)

    run(main())


def test_a_datagram_to_nobody_is_an_error_received(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            address = gone.getsockname()
        client, protocol = await loop.create_datagram_endpoint(Collect, remote_addr=address)
        client.sendto(b"x")
        assert isinstance(await protocol.got.get(), ConnectionRefusedError)
        client.abort()
        assert await protocol.lost is None

    run(main())


def test_datagrams_over_unix_sockets(run, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        one, protocol = await loop.create_datagram_endpoint(
            Collect, local_addr=str(tmp_path / "one"), family=socket.AF_UNIX
        )
        two, _ = await loop.create_datagram_endpoint(
            Collect, local_addr=str(tmp_path / "two"), family=socket.AF_UNIX
        )
        two.sendto(b"datagram", str(tmp_path / "one"))
        assert await protocol.got.get() == b"datagram"
        one.close()
        two.close()
        await asyncio.sleep(0)

    run(main())


def test_getaddrinfo_and_getnameinfo(run):
    async def main():
        loop = asyncio.get_running_loop()
        [(_, _, _, _, address), *_] = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        assert address == ("127.0.0.1", 80)
        numbers = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        assert await loop.getnameinfo(("127.0.0.1", 80), numbers) == ("127.0.0.1", "80")

    run(main())
