"""From the results of tests to a table of rows: text, Markdown or JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .collect import FAILED, MISSING, PASSED, UNADVERTISED
from .rows import Row

LATER, NO_TEST = "not there", "no test"
VERDICTS = (PASSED, FAILED, MISSING, UNADVERTISED)
LEVELS = ("MUST", "SHOULD", "EXT", "OP")


def verdicts(rows: dict[str, Row], results: list[dict[str, Any]]) -> dict[str, str]:
    """What became of each row: the worst of what became of its tests."""
    outcomes: dict[str, set[str]] = {}
    for result in results:
        for row in result["rows"]:
            outcomes.setdefault(row, set()).add(result["outcome"])
    return {
        row.id: next(
            (
                verdict
                for verdict in (FAILED, MISSING, UNADVERTISED, PASSED)
                if verdict in outcomes.get(row.id, ())
            ),
            LATER if row.later else NO_TEST,
        )
        for row in rows.values()
    }


def table(rows: dict[str, Row], by_server: dict[str, dict[str, str]]) -> str:
    """One line a row, one column a server."""
    width = max(len(verdict) for verdict in (*VERDICTS, LATER, *by_server)) + 2
    lines = [f"{'row':6}{'level':8}{''.join(f'{server:{width}}' for server in by_server)}"]
    for row in rows.values():
        cells = "".join(f"{found[row.id]:{width}}" for found in by_server.values())
        reason = row.later or row.untestable
        lines.append(f"{row.id:6}{row.level:8}{cells}{row.text}{f' ({reason})' if reason else ''}")
    return "\n".join(lines)


def counts(rows: dict[str, Row], found: dict[str, str], level: str | None = None) -> Counter[str]:
    return Counter(found[row.id] for row in rows.values() if level in (None, row.level))


def summary(rows: dict[str, Row], by_server: dict[str, dict[str, str]]) -> str:
    """How many rows passed and failed with each server."""
    lines = []
    for server, found in by_server.items():
        number = counts(rows, found)
        told = ", ".join(f"{number[verdict]} {verdict}" for verdict in (*VERDICTS, LATER, NO_TEST))
        lines.append(f"{server}: {told}")
    return "\n".join(lines)


def markdown(rows: dict[str, Row], by_server: dict[str, dict[str, str]], names: dict[str, str]) -> str:
    """The counts, by level, as a table; ``names`` are the servers' with their versions."""
    header = ["server", *VERDICTS, *(f"failed {level}" for level in LEVELS)]
    lines = [f"| {' | '.join(header)} |", f"| --- |{' ---: |' * (len(header) - 1)}"]
    for server, found in by_server.items():
        number = counts(rows, found)
        failed = [counts(rows, found, level)[FAILED] for level in LEVELS]
        cells = [names[server], *(number[verdict] for verdict in VERDICTS), *failed]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
