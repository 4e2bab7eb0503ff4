"""Channels of the workers of one host: a Unix socket, and one of the workers relays (``relay.py``)."""

from __future__ import annotations

import asyncio
import re

from fasterapi.broadcast import frames
from fasterapi.broadcast.frames import FrameProtocol
from fasterapi.broadcast.message import Lost, Message, pack
from fasterapi.broadcast.reconnecting import ReconnectingBackend
from fasterapi.broadcast.relay import Relay, private_directory

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


class HostBackend(ReconnectingBackend):
    """Args: name: of the group of workers; at most 40 letters, digits, ``_`` and ``-``."""

    def __init__(self, name: str, patience: float) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"host://NAME takes 1 to 40 letters, digits, '_' or '-', not {name!r}")
        super().__init__(f"host://{name}", patience)
        self._name = name
        self._relay: Relay | None = None
        self._protocol: FrameProtocol | None = None
        self._end: asyncio.Future[str] | None = None

    async def stop(self) -> None:
        try:
            await super().stop()
        finally:
            if self._relay is not None:
                self._relay.stop()
                self._relay = None

    async def _open(self) -> None:
        directory = private_directory(self._name)
        if self._relay is None:
            self._relay = await Relay.start_unless_another_runs(directory)
        loop = asyncio.get_running_loop()
        self._end = end = loop.create_future()
        protocol = FrameProtocol(
            self._on_frame, lambda reason: None if end.done() else end.set_result(reason)
        )
        self._protocol = protocol
        await loop.create_unix_connection(lambda: protocol, str(directory / "relay"))
        if not protocol.open:
            raise PermissionError(await end)

    async def _serve(self) -> None:
        assert self._end is not None
        raise ConnectionResetError(await self._end)

    async def _close(self) -> None:
        if self._protocol is not None:
            self._protocol.abort("disconnected")
            self._protocol = None

    def _announce(self, channel: str, wanted: bool) -> None:
        if self._protocol is not None:
            self._protocol.write(frames.frame(frames.SUBSCRIBE if wanted else frames.UNSUBSCRIBE, channel))

    async def _send(self, channel: str, message: Message) -> None:
        protocol = self._protocol
        assert protocol is not None
        if not protocol.writable.is_set():
            try:
                await asyncio.wait_for(protocol.writable.wait(), self._patience)
            except asyncio.TimeoutError:
                raise ConnectionError(f"the relay has read nothing for {self._patience:g} s") from None
        if not protocol.open:
            raise ConnectionResetError("the relay has gone")
        protocol.write(frames.frame(frames.PUBLISH, channel, pack(message)))

    def _on_frame(self, operation: int, channel: str, payload: bytes, whole: bytes) -> None:
        if operation == frames.PUBLISH:
            self._deliver(channel, payload)
        elif operation == frames.SUBSCRIBE:
            self.confirmed(channel)
        elif operation == frames.LOST:
            self._report(channel, Lost("this process was too slow for the relay", int(payload)))
