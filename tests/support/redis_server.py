"""A ``redis-server`` of a test's own, on a port of its own, that can be stopped and started again."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from redis.asyncio import Redis

from benchmarks.process import free_port

READY = "Ready to accept connections"
START_LIMIT = 30.0
STOP_LIMIT = 20.0


class RedisServer:
    """Its files go to ``directory``. It keeps nothing: what it holds is lost when it stops, unless ``append_only`` has it
    write a file, which goes to the disk every second."""

    def __init__(self, directory: Path, append_only: bool = False) -> None:
        self._directory = directory
        self._append_only = append_only
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Any:
        """For commands of a test's own; to be closed."""
        return Redis.from_url(self.url)

    async def user(self, name: str, channels: Sequence[str] = (), keys: Sequence[str] = ()) -> str:
        """The URL of a user who may do all, but only with these; also of one whom there was before."""
        async with self.client() as client:
            await client.acl_setuser(
                name,
                enabled=True,
                reset=True,
                passwords=["+secret"],
                categories=["+@all"],
                channels=channels,
                keys=keys,
            )
        return f"redis://{name}:secret@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """On the port that it had before, if it had one. Returns when it accepts connections."""
        # Redis cannot choose a port itself; somebody else may take the free one before it does.
        for _ in range(5):
            if self._started(self.port or free_port()):
                return
        raise AssertionError("redis-server has not started")

    def _started(self, port: int) -> bool:
        options = {
            "port": str(port),
            "bind": "127.0.0.1",
            "dir": str(self._directory),
            "save": "",
            "appendonly": "yes" if self._append_only else "no",
            "appendfsync": "everysec",
        }
        self._process = process = subprocess.Popen(
            ["redis-server", *(word for name, value in options.items() for word in (f"--{name}", value))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # Also ends the reading below if it says nothing.
        watchdog = threading.Timer(START_LIMIT, process.kill)
        watchdog.start()
        for line in process.stdout:
            if READY in line:
                watchdog.cancel()
                self.port = port
                self._reader = threading.Thread(target=_read_to_end, args=(process.stdout,), daemon=True)
                self._reader.start()
                return True
        watchdog.cancel()
        process.stdout.close()
        process.wait()
        self._process = None
        return False

    def cut_append_only_file(self, size: int) -> None:
        """Takes bytes from the end of the file of a Redis that has stopped, as a power failure does."""
        [path] = self._directory.glob("appendonlydir/*.incr.aof")
        with path.open("r+b") as file:
            file.truncate(max(0, path.stat().st_size - size))

    def stop(self) -> None:
        """At once, as if the machine had failed. Nothing happens if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(STOP_LIMIT)
            self._reader.join(STOP_LIMIT)


def _read_to_end(stream: IO[str]) -> None:
    with stream:
        stream.read()
