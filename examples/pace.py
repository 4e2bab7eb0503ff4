"""How quick the demos' streams are: ``?pace=0.1`` in the query."""

from __future__ import annotations


def pace_of(given: str | None, least: float, usual: float, most: float) -> float:
    """A number between ``least`` and ``most``; ``usual`` for anything else, as it comes from a client."""
    try:
        pace = float(given or usual)
    except ValueError:
        return usual
    return pace if least <= pace <= most else usual
