"""Broadcasts and histories at their worst, by the classes for applications on any ASGI server: one table."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from conformance.reliability import command  # noqa: E402

from . import crowd, outages  # noqa: E402

if __name__ == "__main__":
    sys.exit(command.run("python -m conformance.adapters", __doc__, (crowd.ROW, *outages.ROWS)))
