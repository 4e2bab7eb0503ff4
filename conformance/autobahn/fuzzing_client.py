"""Runs Autobahn|Testsuite's fuzzing client against a server, one pattern of cases after the other.

The suite reports only at its end; with a process for each pattern, one that hangs costs only its own cases.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.process import stop

from .report import Results, parse

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "conformance" / "autobahn"
RUN = "from autobahntestsuite.wstest import run; run()"
AGENT = "server"


@dataclass
class Run:
    """What became of one pattern: its cases' results, and why there are fewer than ``expected``."""

    pattern: str
    expected: int = 0
    seconds: float = 0.0
    results: Results = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Suite:
    """An installed Autobahn|Testsuite: its interpreter and the home of its packages."""

    python: str
    home: Path

    @classmethod
    def install(cls) -> Suite:
        """Raises SystemExit where there is no Python 2.7, or a package cannot be had."""
        HOME.mkdir(parents=True, exist_ok=True)
        found = subprocess.run(
            [ROOT / "scripts" / "autobahn-python"],
            env={**os.environ, "PYTHONUSERBASE": str(HOME)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if found.returncode:
            raise SystemExit(found.returncode)
        return cls(found.stdout.strip(), HOME)

    def run(self, url: str, patterns: list[str], excluded: list[str], patience: float) -> Iterator[Run]:
        """Each pattern against the server at the URL, for ``patience`` seconds at most."""
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(pattern, wider) for wider in excluded):
                yield self._run(url, pattern, excluded, patience)

    def _run(self, url: str, pattern: str, excluded: list[str], patience: float) -> Run:
        run = Run(pattern)
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            specification = {
                "outdir": str(folder),
                "servers": [{"agent": AGENT, "url": url}],
                "cases": [pattern],
                "exclude-cases": excluded,
                "exclude-agent-cases": {},
            }
            (folder / "fuzzingclient.json").write_text(json.dumps(specification))
            log = folder / "log"
            with log.open("w") as output:
                client = subprocess.Popen(
                    [self.python, "-u", "-c", RUN, "-m", "fuzzingclient"],
                    cwd=folder,
                    env={**os.environ, "PYTHONUSERBASE": str(self.home)},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
                try:
                    client.wait(patience)
                except subprocess.TimeoutExpired:
                    run.problem = f"not finished in {patience:g} s"
                finally:
                    stop(client)
            said = log.read_text(errors="replace")
            if announced := re.search(r"^Ok, will run (\d+) test cases", said, re.MULTILINE):
                run.expected = int(announced.group(1))
            index = folder / "index.json"
            if index.exists():
                run.results = parse(index.read_text())
            if len(run.results) < max(run.expected, 1):
                run.problem = run.problem or "cases are missing"
                run.problem += f"; the client's last words: {' '.join(said.split())[-300:]}"
        run.seconds = time.monotonic() - begin
        return run
