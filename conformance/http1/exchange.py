"""Plays one case on a connection of its own, and judges what the server makes of it.

The bytes go out at once or in two writes. Then one event after the other is read (an answer, the end of the
connection, silence), and those of the case's sequences that fit go on. What no sequence fits is judged.
"""

from __future__ import annotations

import enum
import json
import time
from dataclasses import dataclass
from typing import Any

from support.wire import Address, Connection, Malformed, Response, Silence, Truncated, request_bytes

from .cases import Case, Outcome

PATIENCE = 4.0
"""Seconds for an answer that must come, or an end. Below the five after which many servers end an idle
connection, which is not the end that a case asks for."""
BRIEFLY = 0.3
"""Seconds in which nothing may come."""
PAUSE = 0.002
"""Seconds between two writes. Most servers read the first by itself then; the verdict must not depend on it."""
PROBE = "/the-connection-was-kept"


class Verdict(enum.Enum):
    """How a server did with a case, the worst last."""

    RIGHT = "right"
    REFUSED_OTHERWISE = "refused otherwise"
    """Refused as it must be, but by another status, without an answer, or without closing."""
    SILENT = "silent"
    """Neither an answer nor an end."""
    DIFFERS = "differs"
    """Accepted as it must be, but as another request; or the connection was kept or closed wrongly."""
    REFUSED = "refused"
    """What must be accepted."""
    ACCEPTED = "accepted"
    """What must be refused, or what is not whole."""


WORST_LAST = list(Verdict)


@dataclass(frozen=True)
class Result:
    """The verdict, in words, and the bytes that came from the server."""

    verdict: Verdict
    detail: str = ""
    received: bytes = b""


class Recorded(Connection):
    """Keeps all that was received."""

    def __init__(self, address: Address, patience: float) -> None:
        super().__init__(address, timeout=patience)
        self.patience = patience
        self.received = b""

    def _more(self) -> bool:
        before = len(self.buffer)
        more = super()._more()
        self.received += bytes(self.buffer[before:])
        return more


@dataclass(frozen=True)
class Event:
    """What came: answer, continue, switch, end, silence or malformed."""

    kind: str
    response: Response | None = None
    text: str = ""

    def __str__(self) -> str:
        return f"answer {self.response.status}" if self.response else f"{self.kind} {self.text}".strip()


def play(case: Case, address: Address, patience: float, split: bool) -> Result:
    """One case in one way of sending it."""
    with Recorded(address, patience) as connection:
        _send(connection, case.data, split)
        verdict, detail = _judge(case, connection)
        return Result(verdict, detail, connection.received)


def play_both(case: Case, address: Address, patience: float = PATIENCE) -> Result:
    """The worse of both ways, or a right one."""
    results = [play(case, address, patience, split) for split in (False, True)]
    worse = max(results, key=lambda result: WORST_LAST.index(result.verdict))
    if worse.verdict is Verdict.RIGHT or results[0].verdict is results[1].verdict:
        return worse
    return Result(
        worse.verdict, f"{worse.detail} (in {'one write' if worse is results[0] else 'two writes'})"
    )


def _send(connection: Recorded, data: bytes, split: bool) -> None:
    middle = len(data) // 2 if split else len(data)
    try:
        connection.send(data[:middle])
        if split:
            time.sleep(PAUSE)
            connection.send(data[middle:])
    except OSError:
        pass  # it has answered already, and reads no more


def _judge(case: Case, connection: Recorded) -> tuple[Verdict, str]:
    fitting = case.expected
    for step in range(max(map(len, case.expected))):
        wanted = [outcomes[step] for outcomes in fitting]
        event = _next_event(connection, wanted)
        fits = [outcomes for outcomes in fitting if _fits(event, outcomes[step])]
        if not fits:
            return _misfit(event, wanted)
        fitting = fits
        outcome = fitting[0][step]
        if outcome.kind == "refuse":
            return _after_refusal(connection, outcome)
        if outcome.kind == "wait":
            return _after_waiting(connection)
        if outcome.kind in ("keep", "close", "switch"):
            break
    return Verdict.RIGHT, ""


def _next_event(connection: Recorded, wanted: list[Outcome]) -> Event:
    kinds = {outcome.kind for outcome in wanted}
    connection.socket.settimeout(BRIEFLY if "wait" in kinds else connection.patience)
    if "keep" in kinds:
        _send(connection, request_bytes("GET", PROBE), split=False)
    is_head = any(outcome.method == "HEAD" for outcome in wanted)
    try:
        if "continue" in kinds:
            head = connection.read_until(b"\r\n\r\n")
            if head.startswith(b"HTTP/1.1 100 "):
                return Event("continue")
            connection.buffer[:0] = head
        response = connection.response("HEAD" if is_head else "GET")
    except (Silence, Truncated, Malformed, ValueError, OSError) as error:
        return _without_answer(connection, error)
    return Event("switch") if response.status == 101 else Event("answer", response)


def _without_answer(connection: Recorded, error: Exception) -> Event:
    began = bytes(connection.buffer)
    if isinstance(error, Truncated):
        began = began or error.body
        if error.head is None and not began:
            return Event("end")
    if isinstance(error, Silence) and not began:
        return Event("silence")
    if connection.received[:5] != b"HTTP/"[: len(connection.received)]:
        return Event("switch")
    return Event("malformed", text=str(error)[:200])


def _fits(event: Event, outcome: Outcome) -> bool:
    if event.response is None:
        return event.kind == {"wait": "silence", "close": "end"}.get(outcome.kind, outcome.kind)
    if outcome.kind == "accept":
        return event.response.status == 200 and not _difference(event.response, outcome)
    if outcome.kind == "keep":
        return event.response.status == 200 and json.loads(event.response.body)["target"] == PROBE
    return outcome.kind == "refuse" and event.response.status in outcome.statuses


def _difference(response: Response, outcome: Outcome) -> str:
    """What the application was given otherwise; nothing can be told of HEAD."""
    if outcome.method == "HEAD":
        return ""
    seen: dict[str, Any] = json.loads(response.body)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in seen["headers"]]
    if seen["method"].upper() != outcome.method.upper():
        return f"the method is {seen['method']!r}"
    if seen["target"].encode("latin-1") != outcome.target:
        return f"the target is {seen['target'][:200]!r}"
    if seen["body"].encode("latin-1") != outcome.body:
        return f"the body is {seen['body'][:200]!r}"
    for field in outcome.fields:
        if field not in headers:
            return f"no header {field[0].decode()}: {field[1][:100]!r}"
    for name in outcome.absent:
        if name in dict(headers):
            return f"there is a header {name.decode()}"
    return ""


def _misfit(event: Event, wanted: list[Outcome]) -> tuple[Verdict, str]:
    kinds = {outcome.kind for outcome in wanted}
    what = " or ".join(dict.fromkeys(outcome.kind for outcome in wanted))
    detail = f"{event} instead of {what}"
    if event.kind == "silence":
        return (Verdict.DIFFERS if kinds == {"close"} else Verdict.SILENT), detail
    if event.response is not None and event.response.status < 400:
        expected = next((outcome for outcome in wanted if outcome.kind == "accept"), None)
        if expected is not None:
            return Verdict.DIFFERS, _difference(event.response, expected) or detail
        return (Verdict.DIFFERS if "keep" in kinds else Verdict.ACCEPTED), detail
    if event.kind in ("switch", "malformed", "continue"):
        return (Verdict.DIFFERS if kinds & {"accept", "keep"} else Verdict.ACCEPTED), detail
    if "refuse" in kinds:
        return Verdict.REFUSED_OTHERWISE, detail
    return (Verdict.DIFFERS if kinds <= {"keep", "close"} else Verdict.REFUSED), detail


def _after_refusal(connection: Recorded, outcome: Outcome) -> tuple[Verdict, str]:
    if outcome.may_stay_open:
        return Verdict.RIGHT, ""
    event = _next_event(connection, [Outcome("close")])
    if event.kind == "end":
        return Verdict.RIGHT, ""
    if event.response is not None and event.response.status < 400:
        return Verdict.ACCEPTED, "what follows the refused request was read as another"
    return Verdict.REFUSED_OTHERWISE, f"refused, but the connection goes on ({event})"


def _after_waiting(connection: Recorded) -> tuple[Verdict, str]:
    """RFC 9112 8: at the end of the input the server closes, perhaps with an error response before."""
    connection.finish_writing()
    event = _next_event(connection, [Outcome("wait")])
    if event.response is not None and event.response.status < 400:
        return Verdict.ACCEPTED, "what is not whole was answered at the end of the input"
    return Verdict.RIGHT, ""
