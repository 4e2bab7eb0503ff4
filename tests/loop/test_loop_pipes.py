"""The stdlib's pipe transports on the loop's readers and writers."""

from __future__ import annotations

import asyncio
import os


def test_a_stream_reads_a_pipe(run):
    async def main():
        loop = asyncio.get_running_loop()
        reader, writer = os.pipe()
        stream = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reader, "rb", 0)
        )
        os.write(writer, b"one\ntw")
        assert await stream.readline() == b"one\n"
        loop.call_soon(os.write, writer, b"o\nrest")
        loop.call_soon(os.close, writer)
        assert await stream.readline() == b"two\n"
        assert await stream.read() == b"rest"
        assert stream.at_eof()
        transport.close()

    run(main())


def test_a_reading_pipe_can_be_paused(run):
    async def main():
        loop = asyncio.get_running_loop()
        reader, writer = os.pipe()
        got, ended = [], loop.create_future()

        class Protocol(asyncio.Protocol):
            def data_received(self, data):
                got.append(data)

            def connection_lost(self, error):
                ended.set_result(error)

        transport, _ = await loop.connect_read_pipe(Protocol, os.fdopen(reader, "rb", 0))
        transport.pause_reading()
        os.write(writer, b"x")
        for _ in range(10):
            await asyncio.sleep(0)
        assert got == []
        transport.resume_reading()
        os.close(writer)
        assert await ended is None
        assert got == [b"x"]

    run(main())


def test_a_writing_pipe_takes_more_than_fits(run):
    async def main():
        loop = asyncio.get_running_loop()
        reader, writer = os.pipe()
        size = 1 << 20

        def read_all():
            with os.fdopen(reader, "rb") as file:
                return len(file.read())

        transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(writer, "wb", 0)
        )
        stream = asyncio.StreamWriter(transport, protocol, None, loop)
        reading = loop.run_in_executor(None, read_all)
        for _ in range(16):
            stream.write(b"x" * (size // 16))
            await stream.drain()
        transport.write_eof()
        assert await reading == size

    run(main())


def test_a_writing_pipe_learns_that_nobody_reads(run):
    async def main():
        loop = asyncio.get_running_loop()
        reader, writer = os.pipe()
        ended = loop.create_future()

        class Protocol(asyncio.BaseProtocol):
            def connection_lost(self, error):
                ended.set_result(error)

        await loop.connect_write_pipe(Protocol, os.fdopen(writer, "wb", 0))
        loop.call_soon(os.close, reader)
        error = await ended
        assert error is None or isinstance(error, BrokenPipeError)

    run(main())
