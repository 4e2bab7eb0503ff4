"""Samples of rows as one table of text, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from conformance.reliability.row import Figure, Outcome, Row


@dataclass
class Result:
    """What one server showed in one row."""

    outcomes: list[Outcome] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Repeats that could not be measured, and why."""

    def value(self, row: Row, figure: Figure) -> float | None:
        """None if a repeat failed."""
        if self.failures or not self.outcomes:
            return None
        place = row.figures.index(figure)
        return figure.of([outcome.values[place] for outcome in self.outcomes])

    def met(self, row: Row) -> bool:
        return all((value := self.value(row, each)) is not None and each.met(value) for each in row.figures)

    def notes(self) -> list[str]:
        found = [note for outcome in self.outcomes for note in outcome.notes]
        return list(dict.fromkeys([*self.failures, *found]))


# results[row][server]
Results = dict[Row, dict[str, Result]]


def number(value: float) -> str:
    if value == round(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}"


def lines(results: Results, mark: str) -> Iterable[list[str]]:
    """The table: a line for each figure, a column for each server; ``mark`` goes around what misses."""
    names = list(dict.fromkeys(name for servers in results.values() for name in servers))
    yield ["row", "figure", "target", *names]
    for row, servers in results.items():
        for each in row.figures:
            cells = []
            for name in names:
                value = servers[name].value(row, each) if name in servers else None
                if value is None:
                    cells.append("failed" if name in servers else "")
                else:
                    cells.append(number(value) if each.met(value) else f"{mark}{number(value)}{mark}")
            yield [row.name, each.name, each.target, *cells]


def markdown(results: Results) -> str:
    head, *rest = lines(results, "**")
    rule = ["---", "---", "---:", *["---:"] * (len(head) - 3)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rest))


def text(results: Results) -> str:
    """For a terminal; what misses its target stands between exclamation marks."""
    table = list(lines(results, "!"))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]
    for row, servers in results.items():
        for name, result in servers.items():
            shown += [f"{row.name} {name}: {note}" for note in result.notes()]
    return "\n".join(shown)


def as_json(results: Results) -> str:
    """Every sample."""
    return json.dumps(
        {
            row.name: {
                "title": row.title,
                "figures": {each.name: each.target for each in row.figures},
                "servers": {
                    name: {
                        "samples": [list(outcome.values) for outcome in result.outcomes],
                        "met": result.met(row),
                        "notes": result.notes(),
                    }
                    for name, result in servers.items()
                },
            }
            for row, servers in results.items()
        },
        indent=1,
    )
