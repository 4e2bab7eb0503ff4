"""What a row of the scoreboard is: figures with targets, and the script that measures them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from conformance.reliability.server import APP, Server


class Start(Protocol):
    """Starts the server that is measured; it ends with the context."""

    def __call__(
        self,
        app: str = APP,
        files: int | None = None,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> AbstractContextManager[Server]:
        """``app`` is "module:attribute"; ``files`` limits the open files of each process (RLIMIT_NOFILE);
        ``options`` follow the command, ``environment`` adds variables."""


@dataclass(frozen=True)
class Figure:
    """One number and its target: at most so much, or at least."""

    name: str
    at_most: float | None = None
    at_least: float | None = None
    count: bool = False
    """A count: the worst of the repeats is told, not their median."""

    def of(self, samples: list[float]) -> float:
        if not self.count:
            return median(samples)
        return max(samples) if self.at_least is None else min(samples)

    def met(self, value: float) -> bool:
        return value >= self.at_least if self.at_least is not None else value <= (self.at_most or 0)

    @property
    def target(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most or 0:g}"


@dataclass
class Outcome:
    """One measurement: a value for each of the row's figures, and what was not right, in words."""

    values: tuple[float, ...]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    figures: tuple[Figure, ...]
    measure: Callable[[Start], Outcome]
