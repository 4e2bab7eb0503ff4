"""Reads ``cases/*.cases``; the format is explained in ``README.md``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "cases"

HEADING = re.compile(r"\[(?P<id>[a-z][a-z0-9_]*)\] (?P<title>.+) \((?P<section>[^()]+)\)")
ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|\{([0-9]+)\*([^}]+)\}|(.))")
SIMPLE = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\", '"': b'"'}
KINDS = {"accept", "refuse", "continue", "wait", "keep", "close", "switch"}


@dataclass
class Outcome:
    """One thing that must be seen in answer to a case, in order."""

    kind: str
    method: str = ""
    target: bytes = b""
    body: bytes = b""
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    absent: list[bytes] = field(default_factory=list)
    statuses: frozenset[int] = frozenset()
    may_stay_open: bool = False


@dataclass
class Case:
    """Bytes for a fresh connection, and the sequences of outcomes that are right for them."""

    id: str
    theme: str
    title: str
    section: str
    data: bytes = b""
    expected: list[list[Outcome]] = field(default_factory=lambda: [[]])
    """The first is this project's choice."""


def read_all(folder: Path = FOLDER) -> list[Case]:
    """Every case of every file, in the order of file names and lines; ValueError names a faulty line."""
    cases: list[Case] = []
    for file in sorted(folder.glob("*.cases")):
        for number, line in enumerate(file.read_text("ascii").splitlines(), 1):
            try:
                _read_line(line, file.stem, cases)
            except (ValueError, IndexError, KeyError) as error:
                raise ValueError(f"{file.name}:{number}: {line!r}: {error}") from error
    _check(cases)
    return cases


def _read_line(line: str, theme: str, cases: list[Case]) -> None:
    if not line or line.startswith("#"):
        return
    if line != line.rstrip():
        raise ValueError("a space at the end of a line is written \\x20")
    if line.startswith("["):
        heading = HEADING.fullmatch(line)
        if heading is None:
            raise ValueError("not [id] title (section)")
        cases.append(Case(heading["id"], theme, heading["title"], heading["section"]))
        return
    case = cases[-1]
    if line.startswith(">"):
        case.data += unescape(line[2:]) + b"\r\n"
    elif line.startswith("| "):
        case.data += unescape(line[2:])
    elif line == "or":
        case.expected.append([])
    elif line.startswith("  - "):
        case.expected[-1][-1].absent.append(unescape(line[4:]))
    elif line.startswith("  "):
        name, _, value = line[2:].partition(":")
        case.expected[-1][-1].fields.append((unescape(name), unescape(value[1:])))
    else:
        case.expected[-1].append(_outcome(line))


def _outcome(line: str) -> Outcome:
    kind, *words = line.split(" ", 3 if line.startswith("accept ") else -1)
    if kind not in KINDS:
        raise ValueError(f"no outcome {kind!r}")
    if kind == "accept":
        body = unescape(words[2][1:-1]) if len(words) > 2 else b""
        return Outcome(kind, unescape(words[0]).decode(), unescape(words[1]), body)
    if kind == "refuse":
        statuses = frozenset(int(word) for word in words if word != "open")
        return Outcome(kind, statuses=statuses, may_stay_open="open" in words)
    return Outcome(kind)


def unescape(text: str) -> bytes:
    r"""The bytes that a text of ``\r``, ``\n``, ``\t``, ``\xHH``, ``\{N*text}`` and ASCII stands for."""
    out = b""
    at = 0
    for match in ESCAPE.finditer(text):
        out += text[at : match.start()].encode("ascii")
        at = match.end()
        code, count, repeated, simple = match.groups()
        if code:
            out += bytes.fromhex(code)
        elif count:
            out += unescape(repeated) * int(count)
        else:
            out += SIMPLE[simple]
    return out + text[at:].encode("ascii")


def _check(cases: list[Case]) -> None:
    seen: dict[str, str] = {}
    for case in cases:
        if case.id in seen:
            raise ValueError(f"two cases are called {case.id}")
        seen[case.id] = case.theme
        if not case.data or any(
            not outcomes or outcomes[-1].kind in ("accept", "continue") for outcomes in case.expected
        ):
            raise ValueError(f"{case.id} has no bytes, or does not say how the connection ends")
