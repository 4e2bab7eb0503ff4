"""Programs of ``conformance/``, run by tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 300
"""Seconds; each takes twenty on a quiet machine."""
within_limit = pytest.mark.timeout(LIMIT + 30)
"""For the tests that run one."""


def passes(program: str, *arguments: str) -> None:
    """``python -m conformance.PROGRAM`` must end well; else its output is what the test fails with."""
    run = subprocess.run(
        [sys.executable, "-m", f"conformance.{program}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
