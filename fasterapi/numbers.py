"""Numbers that applications give to the classes: refused where they are given, since where they are used nobody knows whose they are.

Each raises TypeError for what is no such number, ``bool`` among it, and ValueError for one out of range.
"""

from __future__ import annotations

LONGEST = 365 * 24 * 3600
"""Seconds, as the server's settings and its event streams have it. NaN and infinity are out of this range too."""


def check_seconds(name: str, value: object) -> None:
    """From 0 to a year."""
    if not 0 <= _number(name, value) <= LONGEST:
        raise ValueError(f"{name} must be from 0 to {LONGEST} seconds, not {value!r}")


def check_interval(name: str, value: object) -> None:
    """More than 0 seconds and at most a year; ``None`` for never."""
    if value is not None and not 0 < _number(name, value) <= LONGEST:
        raise ValueError(f"{name} must be more than 0 and at most {LONGEST} seconds, or None, not {value!r}")


def check_count(name: str, value: object, least: int = 1) -> None:
    """Of things or bytes, at least so many."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def _number(name: str, value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    return value
