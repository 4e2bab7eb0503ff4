"""One cell of the table: a server under wrk, and what each request cost it."""

import json
import subprocess
import time
from typing import Any

from benchmarks.peers import HERE
from benchmarks.process import HOST, Running, Where, cpu_time, resident_bytes
from benchmarks.rows import Row

Sample = dict[str, float]

# After wrk has gone: closing its connections is part of the load, and the same for all.
SETTLE = 0.05
# What a row of many events takes at least: a slow server sends a few answers in it.
EVENTS_SECONDS = 5


def wrk_version() -> str:
    """The client's version, as it prints it."""
    try:
        printed = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit("wrk is not installed (Debian: apt install wrk)") from None
    return printed.stdout.split(" [")[0].strip()


def _wrk(server: Running, row: Row, seconds: int, where: Where) -> dict[str, Any]:
    """Run wrk, pinned to the client's CPU; its summary. Any error, or an answer not 2xx, fails."""
    command = [
        *("taskset", "-c", str(where.client_cpu)),
        *("wrk", "--latency", "-t1", f"-c{row.connections}", f"-d{seconds}s"),
        # Its own two seconds are for one request, not for thousands of events.
        *(("--timeout", "60s") if row.events > 1 else ()),
        *("-s", str(HERE / "lua" / row.script), f"http://{HOST}:{server.port}/"),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    _, found, line = finished.stdout.partition("wrk-summary ")
    if finished.returncode or not found:
        raise server.fail(f"wrk failed: {finished.stderr.strip() or finished.stdout.strip()}")
    summary: dict[str, Any] = json.loads(line)
    errors = {
        name: summary[name] for name in ("connect", "read", "write", "status", "timeout") if summary[name]
    }
    if errors:
        raise server.fail(f"errors under load: {errors} in {summary['requests']} requests")
    if not summary["requests"]:
        raise server.fail("no request was answered under load")
    if summary["bytes"] < summary["requests"] * len(row.answer):
        raise server.fail(f"answers too short: {summary['bytes']} bytes in {summary['requests']} requests")
    return summary


def check_answer(server: Running, row: Row) -> None:
    """One request by hand: a fast wrong answer is no answer."""
    method = "GET" if row.posted is None else "POST"
    status, body = server.request(method, row.posted, timeout=10)
    if status != 200 or not row.is_answer(body):
        raise server.fail(f"wrong answer: status {status}, {len(body)} bytes, {body[:80]!r}")


def measure(served: Running, row: Row, seconds: int, where: Where) -> Sample:
    """Load a running server for so many seconds; the cost of a request, in one sample."""
    if row.events > 1:
        seconds = max(seconds, EVENTS_SECONDS)
    before = cpu_time(served.pid)
    summary = _wrk(served, row, seconds, where)
    time.sleep(SETTLE)
    used = cpu_time(served.pid) - before
    requests = summary["requests"] * row.events
    sample = {
        "requests": requests,
        "user_us": used.user / requests * 1e6,
        "system_us": used.system / requests * 1e6,
        "total_us": (used.user + used.system) / requests * 1e6,
        "per_s": requests / (summary["duration_us"] / 1e6),
        "rss_mb": resident_bytes(served.pid) / 1e6,
    }
    if row.pipelined == 1 and row.events == 1:
        sample |= {"p50_ms": summary["p50_us"] / 1e3, "p99_ms": summary["p99_us"] / 1e3}
    return sample
