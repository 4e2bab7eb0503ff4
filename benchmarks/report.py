"""From samples to medians, ratios, verdicts, and the tables in Markdown."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.load import Sample
from benchmarks.rows import BARS, BEST, NOT_PEERS, ROWS, Bar

# samples[row][server] has one sample for each round, in the order of the rounds.
Samples = dict[str, dict[str, list[Sample]]]

MEASURES = {
    "user_us": "user µs",
    "system_us": "system µs",
    "total_us": "total µs",
    "per_s": "per s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "rss_mb": "RSS MB",
}


@dataclass(frozen=True)
class Verdict:
    """One bar against what was measured."""

    row: str
    metric: str
    peer: str
    ratio: float
    quartiles: tuple[float, float]
    at_most: float

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self.ratio <= self.at_most


def figure(samples: list[Sample], metric: str) -> float:
    """The median of the rounds."""
    return median(sample[metric] for sample in samples)


def ratios(ours: list[Sample], theirs: list[Sample], metric: str) -> list[float]:
    """Each round's ratio: the two ran close in time, so that a slow spell hits both."""
    return [
        mine[metric] / other[metric] if other[metric] else float("inf")
        for mine, other in zip(ours, theirs, strict=True)
    ]


def ratio(ours: list[Sample], theirs: list[Sample], metric: str) -> float:
    """The median of the rounds' ratios."""
    return median(ratios(ours, theirs, metric))


def quartiles(values: list[float]) -> tuple[float, float]:
    """Between which the middle half lies."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def judge(bar: Bar, peer: str, measured: list[float]) -> Verdict:
    """The bar against the rounds' ratios."""
    return Verdict(bar.row, bar.metric, peer, median(measured), quartiles(measured), bar.at_most)


def verdicts(samples: Samples, subject: str) -> list[Verdict]:
    """Every bar whose row was measured for the subject and for the peer it names."""
    found = []
    for bar in BARS:
        servers = samples.get(bar.row, {})
        peer = bar.peer
        if isinstance(peer, float):
            if subject in servers:
                found.append(judge(bar, f"{peer:g}", [one[bar.metric] / peer for one in servers[subject]]))
            continue
        if peer == BEST:
            rivals = [name for name in servers if name not in (*NOT_PEERS, subject)]
            peer = min(rivals, key=lambda name: figure(servers[name], bar.metric), default="")
        if subject not in servers or peer not in servers or peer == subject:
            continue
        found.append(judge(bar, peer, ratios(servers[subject], servers[peer], bar.metric)))
    return found


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A Markdown table: the first column to the left, figures to the right."""
    titles = list(head)
    rule = ["---"] + ["---:"] * (len(titles) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (titles, rule, *lines))


def number(value: float) -> str:
    """Three figures or so, whatever the size."""
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def overview(samples: Samples, metric: str, subject: str) -> str:
    """One metric for all rows: each server's figure, and the subject's ratio to it."""
    names = list(dict.fromkeys(name for servers in samples.values() for name in servers))
    lines = []
    for row, servers in samples.items():
        cells = [ROWS[row].title]
        for name in names:
            if name not in servers:
                cells.append("–")
                continue
            cell = number(figure(servers[name], metric))
            if subject in servers and name != subject:
                cell += f" ({ratio(servers[subject], servers[name], metric):.2f})"
            cells.append(cell)
        lines.append(cells)
    return table([MEASURES[metric], *names], lines)


def details(samples: Samples) -> str:
    """Every figure of every row."""
    parts = []
    for row, servers in samples.items():
        known = [metric for metric in MEASURES if all(metric in runs[0] for runs in servers.values())]
        lines = [
            [name, *(number(figure(runs, metric)) for metric in known)] for name, runs in servers.items()
        ]
        parts.append(
            f"#### {ROWS[row].title}\n\n" + table(["server", *(MEASURES[metric] for metric in known)], lines)
        )
    return "\n\n".join(parts)


def verdict_table(found: list[Verdict], subject: str) -> str:
    """The bars and whether they are reached."""
    lines = [
        [
            ROWS[one.row].title,
            MEASURES[one.metric],
            one.peer,
            f"{one.ratio:.2f} ({one.quartiles[0]:.2f} to {one.quartiles[1]:.2f})",
            f"≤ {one.at_most:g}",
            "reached" if one.met else "**missed**",
        ]
        for one in found
    ]
    return table(["row", "measure", "against", f"{subject} / peer", "bar", "verdict"], lines)


def markdown(
    samples: Samples, failures: dict[str, dict[str, str]], subject: str, about: dict[str, str]
) -> str:
    """The whole report."""
    parts = ["\n".join(f"- {name}: {value}" for name, value in about.items())]
    shown = "CPU time per request or message, median; in brackets the ratio of {} to that server."
    parts.append(f"### User CPU\n\n{shown.format(subject)}\n\n{overview(samples, 'user_us', subject)}")
    parts.append(f"### User and system CPU\n\n{overview(samples, 'total_us', subject)}")
    if found := verdicts(samples, subject):
        parts.append(f"### Bars\n\n{verdict_table(found, subject)}")
    parts.append(f"### All figures\n\n{details(samples)}")
    lost = [
        f"- {ROWS[row].title}: {reason}" for row, servers in failures.items() for reason in servers.values()
    ]
    if lost:
        parts.append("### Failed\n\n" + "\n".join(lost))
    return "\n\n".join(parts) + "\n"
