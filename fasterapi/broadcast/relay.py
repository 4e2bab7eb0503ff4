"""The relay of one host's workers: takes what each publishes and passes it to those who subscribe.

Lives in the worker that holds the lock of the host's directory; the kernel gives the lock up when that worker ends,
however it ends. Every worker, this one too, talks to it over the Unix socket in that directory.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import tempfile
from pathlib import Path

from fasterapi.broadcast import frames
from fasterapi.broadcast.forks import give_up_in_children
from fasterapi.broadcast.frames import FrameProtocol

CLIENT_LIMIT = 8 << 20
"""Bytes that wait for one worker. More are dropped for it, counted, and told when it reads again."""


def private_directory(name: str) -> Path:
    """Where workers that name the same channel group meet: nobody but this user may enter.

    Raises PermissionError if somebody else has put something there.
    """
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    directory = Path(base, f"fasterapi-{os.geteuid()}-{name}")
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{directory} is not a directory that only this user may enter")
    return directory


class Relay:
    def __init__(self, lock: int, path: Path) -> None:
        self._lock = lock
        self._path = path
        self._server: asyncio.Server | None = None
        self._workers: dict[_Worker, None] = {}
        self._channels: dict[str, dict[_Worker, None]] = {}

    @staticmethod
    async def start_unless_another_runs(directory: Path) -> Relay | None:
        """``None`` if another process, or another event loop of this one, is the relay. Raises OSError."""
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever tidies up may have removed the directory, and another was made in its place.
            if not os.path.samestat(os.fstat(lock), os.stat(directory)):
                raise BlockingIOError
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise
        relay = Relay(lock, directory / "relay")
        give_up_in_children(relay)
        try:
            relay._path.unlink(missing_ok=True)
            loop = asyncio.get_running_loop()
            relay._server = await loop.create_unix_server(relay._accept, relay._path)
        except BaseException:
            relay.stop()
            raise
        return relay

    def stop(self) -> None:
        """Closes everything; another worker takes over."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for worker in list(self._workers):
            worker.protocol.abort("the relay has stopped")
        os.close(self._lock)
        self._lock = -1

    def descriptors(self) -> list[int]:
        """For forked children."""
        listening = () if self._server is None else self._server.sockets
        return [self._lock, *(each.fileno() for each in listening)] if self._lock >= 0 else []

    def _accept(self) -> FrameProtocol:
        worker = _Worker(self)
        self._workers[worker] = None
        return worker.protocol

    def take(self, worker: _Worker, operation: int, channel: str, whole: bytes) -> None:
        if operation == frames.PUBLISH:
            for subscriber in self._channels.get(channel, ()):
                subscriber.pass_on(channel, whole)
        elif operation == frames.SUBSCRIBE:
            self._channels.setdefault(channel, {})[worker] = None
            worker.channels.add(channel)
            worker.protocol.write(whole)
        elif operation == frames.UNSUBSCRIBE:
            worker.channels.discard(channel)
            worker.dropped.pop(channel, None)
            self._remove(worker, channel)

    def forget(self, worker: _Worker) -> None:
        self._workers.pop(worker, None)
        for channel in worker.channels:
            self._remove(worker, channel)

    def _remove(self, worker: _Worker, channel: str) -> None:
        subscribers = self._channels.get(channel)
        if subscribers is not None:
            subscribers.pop(worker, None)
            if not subscribers:
                del self._channels[channel]


class _Worker:
    """One worker's connection, as the relay sees it."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.channels: set[str] = set()
        self.dropped: dict[str, int] = {}
        self.protocol = FrameProtocol(self._on_frame, self._on_end, self._on_writable)

    def pass_on(self, channel: str, whole: bytes) -> None:
        # Once behind, a worker misses all until it has caught up: its gap is one, and told before what follows.
        if self.dropped or self.protocol.unsent > CLIENT_LIMIT:
            self.dropped[channel] = self.dropped.get(channel, 0) + 1
        else:
            self.protocol.write(whole)

    def _on_writable(self) -> None:
        for channel, count in self.dropped.items():
            self.protocol.write(frames.frame(frames.LOST, channel, b"%d" % count))
        self.dropped.clear()

    def _on_frame(self, operation: int, channel: str, payload: bytes, whole: bytes) -> None:
        self._relay.take(self, operation, channel, whole)

    def _on_end(self, reason: str) -> None:
        self._relay.forget(self)
