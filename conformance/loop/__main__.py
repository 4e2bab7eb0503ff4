"""Runs CPython's own asyncio tests, from the interpreter's ``test.test_asyncio``, on fasterapi's loop.

What does not pass is run again on asyncio's own loop: what fails or is skipped there too says nothing
of ours. Anything else that fails must be in ``differences.py``, and whatever is there must fail: the
exit code is 1 otherwise. The interpreter needs its tests and fasterapi's module, nothing else.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pkgutil
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .differences import known_in

ROOT = Path(__file__).resolve().parents[2]

MODULES = [
    "test_base_events",
    "test_buffered_proto",
    "test_context",
    "test_eager_task_factory",
    "test_events",
    "test_futures",
    "test_futures2",
    "test_locks",
    "test_pep492",
    "test_protocols",
    "test_queues",
    "test_runners",
    "test_selector_events",
    "test_sendfile",
    "test_server",
    "test_sock_lowlevel",
    "test_ssl",
    "test_sslproto",
    "test_staggered",
    "test_streams",
    "test_subprocess",
    "test_taskgroups",
    "test_tasks",
    "test_threads",
    "test_timeouts",
    "test_transports",
    "test_unix_events",
    "test_waitfor",
]
"""All but those for Windows. Which of them there are differs by version."""

Results = dict[str, dict[str, Any]]  # by the test's name


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.loop", description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, help="default: all")
    parser.add_argument("--verbose", action="store_true", help="list also what is skipped or different")
    options = parser.parse_args()
    found = modules_there()
    print(f"Python {platform.python_version()}", flush=True)
    unexpected = 0
    total: Counter[str] = Counter()
    for module in options.modules:
        if module in found:
            unexpected += test_module(module, total, options.verbose)
    print(", ".join(f"{count} {what}" for what, count in total.items()))
    print(f"{unexpected} unexpected result{'' if unexpected == 1 else 's'}")
    return 1 if unexpected or not total else 0


def modules_there() -> set[str]:
    """The modules of tests that the interpreter has."""
    spec = importlib.util.find_spec("test.test_asyncio")
    if spec is None:
        raise SystemExit("this Python has no tests (Debian: the package libpython3.N-testsuite)")
    return {module.name for module in pkgutil.iter_modules(spec.submodule_search_locations)}


def test_module(module: str, total: Counter[str], verbose: bool) -> int:
    """How many of its results are unexpected."""
    known = known_in(module, sys.version_info[:2])
    results = run(module, "fasterapi", without=list(known))
    if known:  # by themselves, for what a failure leaves behind
        results |= run(module, "fasterapi", only=list(known))
    others = [name for name, result in results.items() if result["outcome"] != "passed"]
    control = run(module, "asyncio", only=others) if others else {}
    unexpected = 0
    counts: Counter[str] = Counter()
    for name, result in results.items():
        reason = known.get(name)
        what = judge(result, control.get(name, {"outcome": "missing"}), reason)
        counts[what] += 1
        if what.startswith("unexpectedly"):
            unexpected += 1
            print(f"  {what}: {module}.{name}\n{indent(result['detail'])}")
        elif verbose and what not in ("passed on our loop", "passed without one"):
            print(f"  {what}: {module}.{name}: {reason or result['detail']}")
    for name in [name for name in known if name not in results]:
        unexpected += 1
        print(f"  known as different, but not there: {module}.{name}")
    print(f"{module}: " + ", ".join(f"{count} {what}" for what, count in counts.items()), flush=True)
    total.update(counts)
    return unexpected


def judge(result: dict[str, Any], control: dict[str, Any], reason: str | None) -> str:
    if result["outcome"] == "passed":
        if reason is not None:
            return "unexpectedly passed"
        return "passed on our loop" if result["ours"] else "passed without one"
    if control["outcome"] == result["outcome"]:
        return f"{result['outcome']} with asyncio too"
    return f"unexpectedly {result['outcome']}" if reason is None else "different for a reason"


def run(module: str, loop: str, only: Sequence[str] = (), without: Sequence[str] = ()) -> Results:
    """What became of each test. One that hangs ends the process; the others go on in another."""
    results: Results = {}
    path = filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path))
    command = [sys.executable, "-X", "utf8", "-m", "conformance.loop.worker", module, "--loop", loop]
    if only:
        command += ["--only", ",".join(only)]
    while True:
        done = [*command, "--without", ",".join([*without, *results])]
        process = subprocess.run(done, stdout=-1, stderr=-1, text=True, cwd=ROOT, env=environment)
        begun = ""
        for line in process.stdout.splitlines():
            told = json.loads(line)
            begun = told.get("begins", "")
            if not begun:
                results[told.pop("test")] = told
        if process.returncode == 0:
            return results
        if not begun:
            raise SystemExit(f"{module} cannot be run:\n{process.stderr}")
        results[begun] = {"outcome": "failed", "detail": process.stderr[-2000:], "ours": True}


def indent(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
