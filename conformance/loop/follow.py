"""The parent's half of a run: tests in a process of its own, followed line by line, and what their results mean.

``tell.py`` is the other half.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

LIMIT = 3600
"""Seconds for one process; the longest takes a tenth of it on a machine at leisure."""

Results = dict[str, dict[str, Any]]  # by the test's name


@dataclass(frozen=True)
class Tests:
    """How some tests are run; ``command`` is what follows the interpreter and knows ``tell.py``."""

    title: str
    command: Sequence[str]
    python: str = sys.executable
    directory: Path = ROOT

    def run(self, loop: str, only: Sequence[str] = (), without: Sequence[str] = ()) -> Results:
        """What became of each test. One that hangs ends the process; the others go on in another."""
        results: Results = {}
        path = filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        command = [self.python, "-X", "utf8", *self.command, "--loop", loop]
        while True:
            process = subprocess.run(
                command,
                input=json.dumps({"only": list(only), "without": [*without, *results]}),
                capture_output=True,
                text=True,
                errors="replace",
                cwd=self.directory,
                env=environment,
                timeout=LIMIT,
            )
            begun = ""
            for line in process.stdout.splitlines():
                told = json.loads(line)
                begun = told.get("begins", "")
                if not begun:
                    results[told.pop("test")] = told
            if process.returncode == 0:
                return results
            if not begun:
                raise SystemExit(f"{self.title} cannot be run:\n{process.stderr}")
            results[begun] = {"outcome": "failed", "detail": process.stderr[-2000:], "ours": True}


PASSED = ("passed on our loop", "passed without one")
UNSTEADY = "failed once and passed by itself"


def compare(title: str, ours: Results, theirs: Results, known: dict[str, str], verbose: bool) -> Counter[str]:
    """Prints what is unexpected, and a line of figures, which it returns: what happened -> how many."""
    counts: Counter[str] = Counter()
    for name, result in ours.items():
        reason = known.get(name)
        what = judge(result, theirs.get(name, {"outcome": "missing"}), reason)
        counts[what] += 1
        if what.startswith("unexpectedly"):
            print(f"  {what}: {title}.{name}\n{indent(result['detail'])}")
        elif what == UNSTEADY or (verbose and what not in PASSED):
            print(f"  {what}: {title}.{name}: {reason or result['detail']}")
    for name in {**known, **theirs}:
        if name not in ours:
            counts["unexpectedly missing"] += 1
            print(f"  unexpectedly missing: {title}.{name}")
    print(f"{title}: " + ", ".join(f"{count} {what}" for what, count in counts.items()), flush=True)
    return counts


def judge(result: dict[str, Any], control: dict[str, Any], reason: str | None) -> str:
    if result["outcome"] == "passed":
        if reason is not None:
            return "unexpectedly passed"
        return PASSED[0] if result["ours"] else PASSED[1]
    if control["outcome"] == result["outcome"]:
        return f"{result['outcome']} with asyncio too"
    if result.get("passed_again"):
        return UNSTEADY
    return f"unexpectedly {result['outcome']}" if reason is None else "different for a reason"


def conclude(total: Counter[str]) -> int:
    """Prints the sum; the exit code."""
    unexpected = sum(count for what, count in total.items() if what.startswith("unexpectedly"))
    print(", ".join(f"{count} {what}" for what, count in total.items()))
    print(f"{unexpected} unexpected result{'' if unexpected == 1 else 's'}")
    return 1 if unexpected or not total else 0


def indent(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())
