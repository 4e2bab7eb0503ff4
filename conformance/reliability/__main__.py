"""Measures rows of the reliability scoreboard on one server or several and prints one table."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from . import (  # noqa: E402
    aborts,
    bad_applications,
    bad_input,
    command,
    descriptors,
    disconnects,
    gone_clients,
    half_open,
    log_injection,
    slow_readers,
    socket_memory,
    sockets,
    uploads,
)

ROWS = (
    bad_input.ROW,
    bad_applications.ROW,
    half_open.ROW,
    uploads.ROW,
    slow_readers.ROW,
    gone_clients.ROW,
    disconnects.ROW,
    descriptors.ROW,
    log_injection.ROW,
    socket_memory.SENDER_ROW,
    socket_memory.READER_ROW,
    socket_memory.IDLE_ROW,
    sockets.BOMB_ROW,
    sockets.FRAMES_ROW,
    sockets.PINGS_ROW,
    aborts.ROW,
)

if __name__ == "__main__":
    sys.exit(command.run("python -m conformance.reliability", __doc__, ROWS))
