"""How long each server takes from its start to its first answer, with the raw hello application.

Usage: python -m benchmarks.startup --python PYTHON_WITH_THE_SERVERS
"""

import sys
from statistics import median

from benchmarks import options, report
from benchmarks.load import check_answer
from benchmarks.peers import LIMIT, Server
from benchmarks.process import Failed, Where, cpu_time, running
from benchmarks.rows import ROWS

POLL = 0.001  # how exact the time can be
PEER = "uvicorn"  # ready no later than this one


def time_to_ready(server: Server, where: Where) -> dict[str, float]:
    """One start: wall-clock and CPU milliseconds."""
    row = ROWS["hello"]
    with running(server, row.app, where) as served:
        ready = served.wait_until_ready(POLL)
        used = cpu_time(served.pid)
        check_answer(served, row)
    return {"ready_ms": ready * 1e3, "cpu_ms": (used.user + used.system) * 1e3}


def main() -> int:
    """Measure and report; 1 when a server failed, or the bar was missed under --enforce."""
    chosen = options.parser("Time from a server's start to its first answer.", repeats=7).parse_args()
    versions = options.versions_of(chosen)
    about = options.about(versions)
    where = options.where(chosen)
    servers = [server for server in options.installed(chosen, versions, about) if server.name != LIMIT]
    samples: dict[str, list[dict[str, float]]] = {server.name: [] for server in servers}
    failures: dict[str, str] = {}
    # The first start of each fills the caches (files, byte code) and is not counted.
    for repeat in range(chosen.repeats + 1):
        for server in options.rotated(servers, repeat):
            if server.name in failures:
                continue
            try:
                sample = time_to_ready(server, where)
            except Failed as failure:
                failures[server.name] = failure.reason
                options.progress(f"FAILED {failure}")
                continue
            if repeat:
                samples[server.name].append(sample)
                options.progress(f"{repeat}/{chosen.repeats} {server.name}: {sample['ready_ms']:.0f} ms")
    samples = {name: runs for name, runs in samples.items() if name not in failures}
    lines = [
        [name, *(report.number(median(run[metric] for run in runs)) for metric in ("ready_ms", "cpu_ms"))]
        for name, runs in samples.items()
    ]
    print("\n".join(f"- {name}: {value}" for name, value in about.items()), end="\n\n")
    print(report.table(["server", "ms to the first answer", "CPU ms"], lines))
    reached = False
    if chosen.subject in samples and PEER in samples and chosen.subject != PEER:
        ratio = report.ratio(samples[chosen.subject], samples[PEER], "ready_ms")
        reached = ratio <= 1
        print(f"\n{chosen.subject} / {PEER}: {ratio:.2f} (bar ≤ 1, {'reached' if reached else 'missed'})")
    options.write_json(chosen.json, {"about": about, "samples": samples, "failures": failures})
    return 1 if failures or (chosen.enforce and not reached) else 0


if __name__ == "__main__":
    sys.exit(main())
