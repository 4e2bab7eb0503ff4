"""The rows of ``rows.txt``, and which of them a test is of: the ids in its name.

A case that a parameter gives ids of its own is of those rows only: ``test_A09_wrong_types[A09b_name_str]``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests/asgi", "tests/server")
"""Where the tests lie that start whatever server they are told to."""

ID = re.compile(r"(?<![A-Za-z0-9])[AHLTUWX][0-9]{2,3}[a-z]?(?![A-Za-z0-9])")


@dataclass(frozen=True)
class Row:
    """One thing that a server must do; ``later`` and ``untestable`` say why there is no test of it."""

    id: str
    level: str
    text: str
    later: str = ""
    untestable: str = ""


def read_rows() -> dict[str, Row]:
    """The rows by id, in the order of the file. Raises ValueError for a line that is none."""
    rows: dict[str, Row] = {}
    for line in Path(__file__).with_name("rows.txt").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        name, level, text, *why = (part.strip() for part in line.split(" | "))
        kind, _, reason = why[0].partition(": ") if why else ("", "", "")
        if kind not in ("", "later", "none") or name in rows:
            raise ValueError(line)
        later, untestable = (reason if kind == word else "" for word in ("later", "none"))
        rows[name] = Row(name, level, text, later, untestable)
    return rows


def rows_of(test: str) -> list[str]:
    """The ids in the name of a test as pytest gives it (``file.py::name[parameters]``)."""
    name, _, parameters = test.rpartition("::")[2].partition("[")
    return ID.findall(parameters.replace("_", " ")) or ID.findall(name.replace("_", " "))


def named_in_tests() -> dict[str, set[str]]:
    """The ids that names of tests and of their parameters hold, each with the files; read, not imported."""
    found: dict[str, set[str]] = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).glob("test_*.py")):
            for name in names_in(ast.parse(path.read_text("utf-8"))):
                for row in ID.findall(name.replace("_", " ")):
                    found.setdefault(row, set()).add(path.name)
    return found


def names_in(module: ast.Module) -> Iterator[str]:
    """Names of tests, and the ids that parametrize() gives to their cases."""
    for function in module.body:
        if not isinstance(function, ast.FunctionDef) or not function.name.startswith("test_"):
            continue
        yield function.name
        for decorator in function.decorator_list:
            for node in ast.walk(decorator):
                if isinstance(node, ast.keyword) and node.arg in ("id", "ids"):
                    for text in ast.walk(node.value):
                        if isinstance(text, ast.Constant) and isinstance(text.value, str):
                            yield text.value
