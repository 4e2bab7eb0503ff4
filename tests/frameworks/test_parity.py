"""``conformance.parity`` finds no difference from uvicorn that it does not explain."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_answers_are_those_of_uvicorn(server_command):
    run = subprocess.run(
        [sys.executable, "-m", "conformance.parity", "--server-command", server_command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
