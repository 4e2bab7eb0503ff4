"""Handlers of connections, ``async def handler(connection)``: calls them, and says what is wrong with one that is none.

Used by the endpoints, which own their handler.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

Connection = TypeVar("Connection")


def check_callable(handler: object) -> None:
    """Raises TypeError for what can be no handler of anything."""
    if not callable(handler):
        raise TypeError(f"a handler must be callable, not {type(handler).__name__}")


def check_handler(handler: object) -> None:
    """Raises TypeError for what can be no handler of a connection; what it returns is known by ``call`` only."""
    check_callable(handler)
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise TypeError(f"{_name(handler)}() has a yield: a handler sends by its connection's methods")


def call(handler: Callable[[Connection], Awaitable[Any]], connection: Connection) -> Awaitable[Any]:
    """What the handler returns, to be awaited. Raises TypeError where it cannot be."""
    result = handler(connection)
    if not inspect.isawaitable(result):
        raise TypeError(f"{_name(handler)}() is not async: a handler is a coroutine function ('async def')")
    return result


def _name(handler: object) -> str:
    return getattr(handler, "__qualname__", type(handler).__qualname__)
