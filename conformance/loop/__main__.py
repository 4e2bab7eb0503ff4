"""Runs CPython's own asyncio tests, from the interpreter's ``test.test_asyncio``, on fasterapi's loop.

What does not pass is run again on asyncio's own loop: what fails or is skipped there too says nothing
of ours. Anything else that fails must be in ``differences.py``, and whatever is there must fail: the
exit code is 1 otherwise. The interpreter needs its tests and fasterapi's module, nothing else.
"""

from __future__ import annotations

import argparse
import importlib.util
import pkgutil
import platform
import sys
from collections import Counter

from .differences import known_in
from .follow import Tests, compare, conclude

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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.loop", description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, help="default: all")
    parser.add_argument("--verbose", action="store_true", help="list also what is skipped or different")
    options = parser.parse_args()
    found = modules_there()
    print(f"Python {platform.python_version()}", flush=True)
    total: Counter[str] = Counter()
    for module in options.modules:
        if module in found:
            total += test_module(module, options.verbose)
    return conclude(total)


def modules_there() -> set[str]:
    """The modules of tests that the interpreter has."""
    spec = importlib.util.find_spec("test.test_asyncio")
    if spec is None:
        raise SystemExit("this Python has no tests (Debian: the package libpython3.N-testsuite)")
    return {module.name for module in pkgutil.iter_modules(spec.submodule_search_locations)}


def test_module(module: str, verbose: bool) -> Counter[str]:
    known = known_in(module, sys.version_info[:2])
    tests = Tests(module, ["-m", "conformance.loop.worker", module])
    results = tests.run("fasterapi", without=list(known))
    if known:  # by themselves, for what a failure leaves behind
        results |= tests.run("fasterapi", only=list(known))
    others = [name for name, result in results.items() if result["outcome"] != "passed"]
    control = tests.run("asyncio", only=others) if others else {}
    return compare(module, results, control, known, verbose)


if __name__ == "__main__":
    sys.exit(main())
