"""What is asked of a connection's transport, and its ends, on our loop and on asyncio's."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import socket
import warnings

import pytest
from support.transports import Recorder, connected, reports

from fasterapi.loop import new_event_loop

# --- What is asked of a transport --------------------------------------------------------------


def test_limits(run):
    async def main():
        protocol, peer = await connected()
        transport = protocol.transport
        with peer:
            assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
            for given, limits in [
                ({"high": 100}, (25, 100)),
                ({"low": 100}, (100, 400)),
                ({"high": 7, "low": 7}, (7, 7)),
                ({"high": 0}, (0, 0)),
                ({}, (16 * 1024, 64 * 1024)),
            ]:
                transport.set_write_buffer_limits(**given)
                assert transport.get_write_buffer_limits() == limits
            for high, low in [(1, 2), (-1, None), (1, -1)]:
                with pytest.raises(ValueError, match="must be >="):
                    transport.set_write_buffer_limits(high=high, low=low)
            with pytest.raises(TypeError):
                transport.write("text")
            transport.close()
            await protocol.lost

    run(main())


def test_the_addresses_of_a_connection(run, tmp_path):
    def listeners():
        yield socket.create_server(("127.0.0.1", 0))
        if socket.has_dualstack_ipv6():
            yield socket.create_server(("::1", 0), family=socket.AF_INET6)
        for name in (str(tmp_path / "socket"), b"\0" + bytes(tmp_path)):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(name)
            listener.listen()
            yield listener

    async def main():
        loop = asyncio.get_running_loop()
        for listener in listeners():
            accepted = loop.create_future()
            server = await loop.create_server(
                lambda accepted=accepted: Recorder(connection_made=accepted.set_result), sock=listener
            )
            with socket.socket(listener.family) as peer:
                peer.connect(listener.getsockname())
                protocol = await accepted
                for _ in range(2):  # also when it is closed
                    assert protocol.transport.get_extra_info("sockname") == listener.getsockname()
                    assert protocol.transport.get_extra_info("peername") == peer.getsockname()
                    assert protocol.transport.get_extra_info("nothing", 5) == 5
                    protocol.transport.close()
                    await protocol.lost
            server.close()
            await server.wait_closed()

    run(main())


def test_a_transports_descriptor_is_its_own(run):
    async def main():
        loop = asyncio.get_running_loop()
        protocol, peer = await connected()
        with peer:
            sock = protocol.transport.get_extra_info("socket")
            for file in (sock, sock.fileno()):
                with pytest.raises(RuntimeError, match="is used by transport"):
                    loop.add_reader(file, print)
            protocol.transport.close()
            assert loop.remove_reader(sock) is False
            await protocol.lost

    run(main())


def test_the_context_of_who_connects(run):
    variable = contextvars.ContextVar("variable", default="none")

    async def main():
        seen = []
        variable.set("who connects")
        protocol, peer = await connected(
            connection_made=lambda self: seen.append(variable.get()),
            data_received=lambda self: seen.append(variable.get()),
            connection_lost=lambda self: seen.append(variable.get()),
        )
        variable.set("another")
        with peer:
            peer.sendall(b"data")
            peer.shutdown(socket.SHUT_WR)
            await protocol.lost
        assert seen == ["who connects"] * 3

    run(main())


def test_each_accepted_connection_has_a_context_of_its_own(run):
    variable = contextvars.ContextVar("variable", default=0)

    async def main():
        seen = []

        def factory():
            seen.append(variable.get())
            variable.set(1)
            return Recorder(connection_made=lambda self: self.transport.close())

        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
        for _ in range(2):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        server.close()
        await server.wait_closed()
        assert seen == [0, 0]

    run(main())


def test_nobody_listens(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as bound, socket.socket() as sock:
            bound.bind(("127.0.0.1", 0))
            host, port = bound.getsockname()
            with pytest.raises(ConnectionRefusedError, match="Connect call failed"):
                await loop.create_connection(Recorder, host, port)
            sock.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(sock, (host, port))

    run(main())


# --- Endings -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("way", ["dropped", "loop closed"])
def test_a_transport_that_nobody_closes_warns_and_closes(new_loop, way):
    loop = new_loop()
    protocol, peer = loop.run_until_complete(connected())
    with peer, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if way == "dropped":
            protocol.transport.pause_reading()  # the loop lets go of it too
            loop.run_until_complete(asyncio.sleep(0))
        else:
            loop.close()
        protocol.told.append(protocol)  # a cycle
        del protocol
        gc.collect()
        assert any("unclosed transport" in str(warning.message) for warning in caught)
        assert peer.recv(1) == b""
    loop.close()


@pytest.mark.parametrize("closes", [False, True], ids=["server open", "server closed"])
def test_a_protocols_factory_that_fails_closes_the_connection(closes):
    async def main():
        told = reports()

        def factory():
            if closes:
                server.close()
                return Recorder()
            raise ValueError("no protocol")

        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        assert [type(context["exception"]) for context in told] == [AssertionError if closes else ValueError]

    loop = new_event_loop()  # asyncio's is silent, and leaves the socket to the garbage collector
    loop.run_until_complete(asyncio.wait_for(main(), 10))
    loop.close()
