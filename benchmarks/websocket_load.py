"""One cell of a WebSocket row: a server under websocket_load.cc, and what each message cost it."""

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from benchmarks.load import SETTLE, Sample
from benchmarks.process import Failed, Running, Where, cpu_time, resident_bytes
from benchmarks.rows import WebSocketRow

# What connecting may take, and the rest of a round that the end of a load leaves unfinished.
SPARE_SECONDS = 60


class Client:
    """The load client; made by `client`, which ends it."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[str]) -> None:
        self._process = process
        self._errors = errors
        self._line()

    def run(self, seconds: float) -> dict[str, Any]:
        """Load for so long, and until all that was sent has come back: `messages` and `duration_us`, and
        `p50_us` and `p99_us` of the round trips where each is one message.

        Raises Failed with the client's own words: it says what was not as it must be, and ends.
        """
        assert self._process.stdin
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        summary: dict[str, Any] = json.loads(self._line())
        return summary

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise Failed(f"WebSocket load: {self._errors.read().strip() or 'took too long'}")
        return line


@contextmanager
def client(executable: Path, port: int, row: WebSocketRow, seconds: float) -> Iterator[Client]:
    """The row's load client with all its connections open. It is ended if it lives much longer than `seconds`."""
    load = [
        str(row.connections),
        str(row.size),
        row.kind,
        "fanout" if row.fanout else "echo",
        str(row.copies),
    ]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [executable, str(port), *load],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        deadline = threading.Timer(seconds + SPARE_SECONDS, process.kill)
        deadline.start()
        try:
            yield Client(process, errors)
        finally:
            deadline.cancel()
            process.kill()


def measure(served: Running, row: WebSocketRow, seconds: int, where: Where) -> Sample:
    """Open the connections, load them for so many seconds; the cost of a message, in one sample.

    Opening the connections is not counted.
    """
    try:
        with client(where.websocket_load, served.port, row, seconds) as load:
            before = cpu_time(served.pid)
            summary = load.run(seconds)
            time.sleep(SETTLE)
            used = cpu_time(served.pid) - before
    except Failed as failure:
        raise served.fail(failure.reason) from None
    messages = summary["messages"]
    sample = {
        "requests": messages,
        "user_us": used.user / messages * 1e6,
        "system_us": used.system / messages * 1e6,
        "total_us": (used.user + used.system) / messages * 1e6,
        "per_s": messages / (summary["duration_us"] / 1e6),
        "rss_mb": resident_bytes(served.pid) / 1e6,
    }
    if "p50_us" in summary:
        sample |= {"p50_ms": summary["p50_us"] / 1e3, "p99_ms": summary["p99_us"] / 1e3}
    return sample
