"""What run.py, idle.py and startup.py share: their options, and what is said about the machine."""

import argparse
import datetime
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.peers import HERE, SERVERS, SUBJECT, Server, read_versions, why_missing
from benchmarks.process import Where

T = TypeVar("T")


def progress(text: str) -> None:
    """To stderr: stdout has the report."""
    print(text, file=sys.stderr, flush=True)


def parser(description: str, repeats: int) -> argparse.ArgumentParser:
    """A parser with the options that all three have."""
    built = HERE.parent / "build" / "bench" / "benchmarks" / "fasterapi_limit"
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument(
        "--servers",
        nargs="+",
        choices=SERVERS,
        default=list(SERVERS),
        metavar="NAME",
        help=f"which servers, of {', '.join(SERVERS)}",
    )
    made.add_argument(
        "--subject",
        choices=SERVERS,
        default=SUBJECT,
        metavar="NAME",
        help="the server whose ratios to the others are shown",
    )
    made.add_argument("--repeats", type=int, default=repeats, help="starts of each server; medians count")
    made.add_argument("--python", default=sys.executable, help="interpreter that has the servers installed")
    made.add_argument(
        "--limit",
        type=Path,
        default=built,
        help="the built fasterapi_limit; the WebSocket client lies beside it",
    )
    made.add_argument("--server-cpu", type=int, default=0, help="the CPU servers are pinned to")
    made.add_argument("--client-cpu", type=int, default=1, help="the CPU the client is pinned to")
    made.add_argument("--json", type=Path, help="also write every sample to this file")
    made.add_argument(
        "--enforce", action="store_true", help="exit with code 1 when a bar is missed or not measured"
    )
    return made


def _python(options: argparse.Namespace) -> str:
    """The interpreter's name, good in any folder.

    Not resolve(): a virtual environment's python is a link, and the link is what selects it.
    """
    python: str = options.python
    return os.path.abspath(python) if os.sep in python else python


def where(options: argparse.Namespace) -> Where:
    """The run's CPUs and executables, checked; pins this process to the client's CPU."""
    usable = os.sched_getaffinity(0)
    if options.server_cpu == options.client_cpu or not {options.server_cpu, options.client_cpu} <= usable:
        raise SystemExit(f"--server-cpu and --client-cpu must be two different CPUs of {sorted(usable)}")
    os.sched_setaffinity(0, {options.client_cpu})
    return Where(_python(options), options.limit.resolve(), options.server_cpu, options.client_cpu)


def installed(options: argparse.Namespace, versions: dict[str, str], about: dict[str, str]) -> list[Server]:
    """The chosen servers that can be measured; the others are named on stderr and in the report."""
    chosen = []
    left_out = []
    for name in options.servers:
        if missing := why_missing(SERVERS[name], versions, options.limit):
            left_out.append(f"{name} ({missing})")
            progress(f"left out: {left_out[-1]}")
        else:
            chosen.append(SERVERS[name])
    if not chosen:
        raise SystemExit("no server to measure")
    if left_out:
        about["left out"] = ", ".join(left_out)
    return chosen


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def about(versions: dict[str, str]) -> dict[str, str]:
    """What a reader needs to know about the machine and the versions."""
    others = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "python")
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{_cpu_model()}, {os.cpu_count()} CPUs, Linux {platform.release()}",
        "load average before": f"{os.getloadavg()[0]:.1f}",
        "Python": versions["python"],
        "versions": others,
    }


def versions_of(options: argparse.Namespace) -> dict[str, str]:
    """The versions that --python has."""
    try:
        return read_versions(_python(options))
    except OSError as error:
        raise SystemExit(f"--python {options.python}: {error.strerror}") from None


def write_json(path: Path | None, content: dict[str, Any]) -> None:
    """Write the run's samples, if a file was named."""
    if path:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def rotated(servers: list[T], by: int) -> list[T]:
    """The servers, begun at another one each time, so that none always follows the same neighbour's heat."""
    start = by % max(len(servers), 1)
    return servers[start:] + servers[:start]
