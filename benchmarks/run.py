"""The table: CPU time per request of each server, interleaved, as medians and ratios.

Usage: python -m benchmarks.run --python PYTHON_WITH_THE_SERVERS

See README.md for what is measured and what is not.
"""

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import event_load, load, options, report, websocket_load
from benchmarks.load import Sample, wrk_version
from benchmarks.peers import LIMIT, Server
from benchmarks.process import Failed, Running, Where, allow_files, running
from benchmarks.rows import ROWS, AnyRow, EventRow, Row, WebSocketRow

Failures = dict[str, dict[str, str]]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = options.parser("CPU time per request or message: fasterapi, its peers and the limit.", repeats=3)
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=ROWS,
        default=list(ROWS),
        metavar="ROW",
        help=f"which rows, of {', '.join(ROWS)}",
    )
    parser.add_argument("--connections", type=int, help="instead of each row's own number")
    parser.add_argument("--rounds", type=int, default=5, help="loads of each server in one repeat")
    parser.add_argument("--duration", type=int, default=2, help="seconds of each load")
    parser.add_argument(
        "--warm-up", type=int, default=1, help="seconds of load before the first, not counted"
    )
    parser.add_argument("--markdown", type=Path, help="write the report here instead of to stdout")
    return parser.parse_args(arguments)


def can(server: Server, row: AnyRow) -> bool:
    """Whether the server has what the row is about."""
    if server.name == LIMIT:
        return row.limit
    return not (isinstance(row, WebSocketRow) and row.kind == "deflate" and server.deflate is None)


def measure(served: Running, row: AnyRow, seconds: int, where: Where) -> Sample:
    """One load of a running server."""
    match row:
        case Row():
            return load.measure(served, row, seconds, where)
        case WebSocketRow():
            return websocket_load.measure(served, row, seconds, where)
        case EventRow():
            return event_load.measure(served, row, seconds, where)


@contextlib.contextmanager
def warmed_up(server: Server, row: AnyRow, seconds: int, where: Where) -> Iterator[Running]:
    """A fresh process of the server, checked and loaded for so many seconds; stopped on leaving."""
    deflates = isinstance(row, WebSocketRow) and row.kind == "deflate"
    with running(server, row.app, where, (server.deflate or ()) if deflates else ()) as served:
        served.wait_until_ready()
        if isinstance(row, Row):
            load.check_answer(served, row)
        if seconds:
            measure(served, row, seconds, where)
        yield served


def one_repeat(
    row: AnyRow, servers: list[Server], number: int, chosen: argparse.Namespace, where: Where
) -> Iterator[tuple[Server, Sample | Failed]]:
    """Starts every server, then loads one after the other, round by round. A failure is a server's last word."""
    with contextlib.ExitStack() as held:
        alive: list[tuple[Server, Running]] = []
        for server in options.rotated(servers, number):
            try:
                alive.append((server, held.enter_context(warmed_up(server, row, chosen.warm_up, where))))
            except Failed as failure:
                yield server, failure
        for round_ in range(chosen.rounds):
            for server, served in options.rotated(alive, round_):
                try:
                    got: Sample | Failed = measure(served, row, chosen.duration, where)
                except Failed as failure:
                    got = failure
                    alive.remove((server, served))
                yield server, got


def measure_row(
    row: AnyRow, servers: list[Server], chosen: argparse.Namespace, where: Where
) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """All repeats of one row. A server that fails leaves the row, with its reason."""
    samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
    failed: dict[str, str] = {}
    for repeat in range(chosen.repeats):
        left = [server for server in servers if server.name not in failed]
        for server, got in one_repeat(row, left, repeat, chosen, where):
            if isinstance(got, Failed):
                failed[server.name] = got.reason
                options.progress(f"FAILED {row.name}: {got}")
                continue
            samples[server.name].append(got)
            options.progress(
                f"{row.name} {len(samples[server.name])} {server.name}: user {got['user_us']:.1f}"
                f" + system {got['system_us']:.1f} µs, {got['per_s']:,.0f}/s"
            )
    return {name: runs for name, runs in samples.items() if name not in failed}, failed


def measure_rows(
    chosen: argparse.Namespace, servers: list[Server], where: Where
) -> tuple[report.Samples, Failures]:
    """Every row, one after the other."""
    samples: report.Samples = {}
    failures: Failures = {}
    for name in chosen.rows:
        row = ROWS[name]
        if chosen.connections:
            row = dataclasses.replace(row, connections=chosen.connections)
        able = [server for server in servers if can(server, row)]
        samples[name], failed = measure_row(row, able, chosen, where)
        if failed:
            failures[name] = failed
    return samples, failures


def main() -> int:
    """Measure and report; 1 when a row failed, or a bar was missed under --enforce."""
    chosen = parse()
    versions = options.versions_of(chosen)
    about = options.about(versions)
    about["client"] = f"{wrk_version()}, one thread; for WebSocket fasterapi_websocket_load"
    about["load"] = (
        f"{chosen.repeats} starts of each server, {chosen.warm_up} s of warm-up,"
        f" {chosen.rounds} interleaved rounds of {chosen.duration} s"
    )
    if chosen.connections:
        about["connections"] = f"{chosen.connections} in every row, whatever its title says"
    where = options.where(chosen)
    servers = options.installed(chosen, versions, about)
    allow_files(max(ROWS[name].connections for name in chosen.rows))
    samples, failures = measure_rows(chosen, servers, where)
    text = report.markdown(samples, failures, chosen.subject, about)
    if chosen.markdown:
        chosen.markdown.write_text(text)
    else:
        print(text, end="")
    found = report.verdicts(samples, chosen.subject)
    options.write_json(
        chosen.json,
        {
            "about": about,
            "commands": {server.name: server.shown() for server in servers},
            "samples": samples,
            "verdicts": [{**dataclasses.asdict(one), "met": one.met} for one in found],
            "failures": failures,
        },
    )
    reached = bool(found) and all(one.met for one in found)
    return 1 if failures or (chosen.enforce and not reached) else 0


if __name__ == "__main__":
    sys.exit(main())
