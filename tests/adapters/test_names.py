"""The names of ``fasterapi`` that applications import: what a type checker sees of them, and the documents say of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import fasterapi

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("websocket-class.md", "sse.md", "broadcast.md", "app.md")


def test_a_type_checker_imports_the_same():
    tree = ast.parse(Path(fasterapi.__file__).read_text(encoding="utf-8"))
    checking = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname: node.module for node in checking.body for alias in node.names}
    assert seen == fasterapi._ADAPTERS


def snippets() -> list[Any]:
    """The Python code of the pages, with a page's name and the line where it begins."""
    return [
        pytest.param(found[1], id=f"{page.name}:{text.count(chr(10), 0, found.start()) + 2}")
        for page in (ROOT / "README.md", *(ROOT / "docs" / document for document in DOCUMENTS))
        for text in [page.read_text(encoding="utf-8")]
        for found in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.parametrize("snippet", snippets())
def test_a_snippet_of_a_page_is_a_module(snippet):
    module: dict[str, Any] = {"__name__": "snippet"}
    exec(snippet, module)
    assert {"app", "main", "watch"} & module.keys()


@pytest.mark.parametrize("name", fasterapi._ADAPTERS)
def test_each_is_there_and_documented(name):
    assert getattr(fasterapi, name).__name__ == name
    documents = "".join((ROOT / "docs" / document).read_text(encoding="utf-8") for document in DOCUMENTS)
    assert re.search(rf"`[^`\n]*\b{name}\b|^[^#\n]*import .*\b{name}\b", documents, re.MULTILINE)
