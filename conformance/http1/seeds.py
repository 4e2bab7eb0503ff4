"""Writes the cases' bytes as seeds for ``tests/fuzz/http1_fuzz.cc``: ``python -m conformance.http1.seeds FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from .cases import read_all

CHOICES = b"\x00\x00"
"""What the fuzz target takes from the front of an input: the default limits, and some cuts."""
LARGEST = 8192
"""Larger seeds would have the fuzzer try large inputs all the time; the cases of this size are about limits."""


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for case in read_all():
        if len(case.data) <= LARGEST:
            (folder / f"case-{case.id}").write_bytes(CHOICES + case.data)


if __name__ == "__main__":
    main()
