"""S1: of the cases of ``conformance/http1`` that must be refused, how many are.

Right is what the case asks for: one of its statuses, and the end of the connection. Accepted is worse than refused in
another way: where servers differ in what they accept, requests are smuggled.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from conformance.http1.cases import read_all
from conformance.http1.exchange import Verdict, play_both
from conformance.reliability.row import Figure, Outcome, Row, Start

AT_ONCE = 16
CASES = [case for case in read_all() if case.expected[0][-1].kind == "refuse"]


def measure(start: Start) -> Outcome:
    with start(app="conformance.http1.echo:app") as server, ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(partial(play_both, address=("127.0.0.1", server.port)), CASES))
        assert server.answers(), "the next client is not answered"
    verdicts = [result.verdict for result in results]
    notes = [
        f"{case.id}: {result.verdict.value}: {result.detail}"
        for case, result in zip(CASES, results, strict=True)
        if result.verdict is not Verdict.RIGHT
    ]
    return Outcome((verdicts.count(Verdict.RIGHT), verdicts.count(Verdict.ACCEPTED)), notes)


ROW = Row(
    "S1",
    "bad HTTP/1 input",
    (
        Figure(f"handled right, of {len(CASES)}", at_least=len(CASES), count=True),
        Figure("accepted", at_most=0, count=True),
    ),
    measure,
)
