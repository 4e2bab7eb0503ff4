"""The cases of ``conformance/http1`` over real sockets, whole and in two writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ECHO = ROOT / "conformance" / "http1"


def test_every_case_ends_as_expected(serve):
    # Idle connections outlive the runner's patience, so that no time-out passes for a close.
    server = serve("echo:app", "--app-dir", str(ECHO), "--timeout-keep-alive", "100")
    host, port = server.address
    run = subprocess.run(
        [sys.executable, "-m", "conformance.http1", "--address", f"{host}:{port}", "--patience", "30"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert server.alive()
