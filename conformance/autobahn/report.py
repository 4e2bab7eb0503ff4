"""From the suite's report to counts and the list of what is not as it must be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

BEHAVIOURS = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED")
"""The suite's own words. INFORMATIONAL is about what the RFC leaves open."""
BAD = ("NON-STRICT", "UNIMPLEMENTED", "FAILED")
BAD_CLOSE = ("FAILED", "WRONG CODE", "UNCLEAN")


@dataclass(frozen=True)
class Result:
    """One case: how the server behaved, how it closed, and the milliseconds it took."""

    behaviour: str
    close: str
    milliseconds: int

    @property
    def bad(self) -> bool:
        """Whether it is not as it must be. The close counts by itself: the suite judges it apart."""
        return self.behaviour in BAD or self.close in BAD_CLOSE


Results = dict[str, Result]


def parse(text: str) -> Results:
    """The results by case in the suite's ``index.json``, of all agents in it.

    Raises ValueError for a behaviour that the suite did not have when this was written.
    """
    results: Results = {}
    for cases in json.loads(text).values():
        for case, found in cases.items():
            if found["behavior"] not in BEHAVIOURS:
                raise ValueError(f"case {case}: unknown behaviour {found['behavior']!r}")
            results[case] = Result(found["behavior"], found["behaviorClose"], found["duration"])
    return results


def in_order(cases: Iterable[str]) -> list[str]:
    """9.1.2 before 9.1.10 before 10.1.1."""
    return sorted(cases, key=lambda case: [int(part) for part in case.split(".")])


def bad_cases(results: Results) -> list[str]:
    """A line for each case that is not as it must be."""
    return [
        f"{case}: {results[case].behaviour}, close {results[case].close}"
        for case in in_order(results)
        if results[case].bad
    ]


def counts(results: Results) -> dict[str, int]:
    """Cases by behaviour, and those whose close is bad."""
    counted = Counter(result.behaviour for result in results.values())
    return {
        **{behaviour: counted[behaviour] for behaviour in BEHAVIOURS},
        "bad close": sum(result.close in BAD_CLOSE for result in results.values()),
    }


def table(servers: dict[str, tuple[Results, int, float]]) -> str:
    """Markdown: a line for each server of its results, the cases that are missing, and the seconds."""
    columns = ["server", "cases", *BEHAVIOURS, "bad close", "not run", "seconds"]
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1)]
    for name, (results, missing, seconds) in servers.items():
        numbers = [len(results), *counts(results).values(), missing, round(seconds)]
        lines.append([name, *map(str, numbers)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
