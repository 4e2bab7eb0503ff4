"""A server of event streams whose answers are bytes made beforehand: what no proper server sends."""

from __future__ import annotations

import asyncio

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
NO_MORE = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


class Script:
    """A server whose answers are bytes made beforehand, one for each connection; the last one repeats."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.times: list[float] = []

    async def __aenter__(self) -> Script:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
        finally:
            writer.close()

    def last_ids(self) -> list[bytes | None]:
        found = []
        for request in self.requests:
            fields = dict(line.lower().partition(b": ")[::2] for line in request.split(b"\r\n"))
            found.append(fields.get(b"last-event-id"))
        return found
