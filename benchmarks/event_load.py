"""One cell of the row of latencies: how old an event is when its client has it, and what it cost."""

import http.client
import time
from collections.abc import Iterator
from statistics import quantiles

from benchmarks.load import SETTLE, Sample
from benchmarks.process import HOST, Running, Where, cpu_time, resident_bytes
from benchmarks.rows import EventRow

# Starting, and the first event.
TIMEOUT = 10


def _read_response(connection: http.client.HTTPConnection) -> Iterator[int]:
    """One response: how old each of its events is, in ns, when it can be read."""
    connection.request("GET", "/", headers={"accept": "text/event-stream"})
    response = connection.getresponse()
    while line := response.readline():
        now = time.monotonic_ns()
        if line.startswith(b"data:"):
            yield now - int(line[5:])


def _ages(served: Running, row: EventRow, seconds: int) -> list[int]:
    """The ages of all events of so many seconds, response after response on one connection."""
    connection = http.client.HTTPConnection(HOST, served.port, timeout=TIMEOUT)
    ages: list[int] = []
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            before = len(ages)
            ages.extend(_read_response(connection))
            if len(ages) - before != row.events:
                raise served.fail(f"{len(ages) - before} events in a response, not {row.events}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise served.fail(f"{error!r} after {len(ages)} events") from error
    finally:
        connection.close()
    return ages


def measure(served: Running, row: EventRow, seconds: int, _where: Where) -> Sample:
    """Read a running server's events for so many seconds, on one connection."""
    before = cpu_time(served.pid)
    ages = _ages(served, row, seconds)
    time.sleep(SETTLE)
    used = cpu_time(served.pid) - before
    percentiles = quantiles(ages, n=100)
    return {
        "requests": len(ages),
        "user_us": used.user / len(ages) * 1e6,
        "system_us": used.system / len(ages) * 1e6,
        "total_us": (used.user + used.system) / len(ages) * 1e6,
        "per_s": len(ages) / seconds,
        "p50_ms": percentiles[49] / 1e6,
        "p99_ms": percentiles[98] / 1e6,
        "rss_mb": resident_bytes(served.pid) / 1e6,
    }
