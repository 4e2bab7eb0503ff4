"""The part of train.py that is about the event loop itself: what applications and their clients do with it
beside serving, such as connections to databases, timers, and callbacks from threads."""

import asyncio

ROUNDS = 300


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Client(asyncio.Protocol):
    """Has a future of the next bytes."""

    def __init__(self) -> None:
        self.next: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.next.set_result(data)
        self.next = asyncio.get_running_loop().create_future()


async def connections() -> None:
    """By transports and protocols, opened, used and closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    for _ in range(ROUNDS):
        transport, client = await loop.create_connection(Client, *address)
        for size in (10, 1000, 50_000):
            waiting = client.next
            transport.write(b"x" * size)
            await waiting
        transport.close()
    server.close()
    await server.wait_closed()


async def streams() -> None:
    """By lines."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    for _ in range(ROUNDS // 3):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(20):
            writer.write(b"a line\n")
            await reader.readline()
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def callbacks() -> None:
    """Timers that run and that do not, futures, tasks, threads."""
    loop = asyncio.get_running_loop()
    for number in range(ROUNDS):
        loop.call_later(100, int).cancel()
        await asyncio.gather(*(asyncio.sleep(number % 3 / 10_000) for _ in range(20)))
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future
        await asyncio.create_task(asyncio.sleep(0))
        async with asyncio.Lock():
            pass
    for _ in range(ROUNDS // 10):
        await loop.run_in_executor(None, int)


async def main() -> None:
    """All of it."""
    await connections()
    await streams()
    await callbacks()
