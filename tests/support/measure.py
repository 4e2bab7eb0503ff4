"""Memory of a process, and bytes that lie in the kernel's socket queues (Linux)."""

from __future__ import annotations

import select
import socket
from pathlib import Path
from typing import NamedTuple


def resident_bytes(pid: int) -> int:
    """The process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no VmRSS of process {pid}")


class Queues(NamedTuple):
    unsent: int
    """Bytes written by this end that the other end's kernel has not acknowledged."""
    unread: int
    """Bytes that arrived at this end and that its process has not read."""


def queues(local_port: int, remote_port: int) -> Queues:
    """The queues of the IPv4 loopback socket at ``local_port`` whose peer is ``remote_port``."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = [int(fields[column].rpartition(":")[2], 16) for column in (1, 2)]
        if ports == [local_port, remote_port]:
            unsent, unread = (int(part, 16) for part in fields[4].split(":"))
            return Queues(unsent, unread)
    raise AssertionError(f"no connection between ports {local_port} and {remote_port}")


def push_until_blocked(sock: socket.socket, block: bytes, most: int, quiet: float = 1.0) -> int:
    """Writes ``block`` again and again until the socket has taken nothing for ``quiet`` seconds.

    Returns the bytes taken, which is ``most`` or more if the peer never stopped taking.
    """
    sock.setblocking(False)
    taken = 0
    view = memoryview(block)
    while taken < most and select.select([], [sock], [], quiet)[1]:
        try:
            taken += sock.send(view[taken % len(block) :])
        except BlockingIOError:
            continue
    return taken
