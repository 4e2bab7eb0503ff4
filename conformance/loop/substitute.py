"""Puts fasterapi's loop where tests make one of asyncio's.

Nothing of asyncio changes but who makes a loop: the policy's factory, and the names under which the
tests call a loop's class. Tests that subclass a loop or replace its inside by mocks keep asyncio's.
"""

from __future__ import annotations

import asyncio
import importlib
from asyncio import base_events, unix_events
from typing import Any

from fasterapi.loop import EventLoop

BASE_LOOPS = ("test_base_events", "test_pep492", "test_runners")
"""Modules that make a ``BaseEventLoop`` for want of something better: ours is that."""

FAKE_TRANSPORTS = ("test_selector_events", "test_sslproto", "test_subprocess", "test_unix_events")
"""Modules whose fake loop records what transports ask for: it stays."""


class Loop(EventLoop):
    """Ours, made as asyncio's classes are: with a selector, which is of no use here."""

    uses = 0
    """How often one was made or has run."""

    def __init__(self, selector: Any = None) -> None:
        if selector is not None:
            selector.close()
        super().__init__()
        Loop.uses += 1

    def run_forever(self) -> None:
        Loop.uses += 1
        super().run_forever()


# Tests look for the name in what a loop says of itself.
Loop.__name__ = Loop.__qualname__ = "EventLoop"


def install(module: str) -> None:
    """Before ``test.test_asyncio.<module>`` is imported."""
    utils = importlib.import_module("test.test_asyncio.utils")  # its fake loop subclasses asyncio's
    replace_classes()
    if module in BASE_LOOPS:
        asyncio.BaseEventLoop = base_events.BaseEventLoop = Loop  # type: ignore[misc]
    if module not in FAKE_TRANSPORTS:
        utils.TestCase.new_test_loop = _new_test_loop(utils.TestCase.new_test_loop)


def replace_classes() -> None:
    """What any code meets that makes a loop by the policy, or by a class of asyncio's."""
    for holder, name in [
        (asyncio, "SelectorEventLoop"),
        (asyncio, "EventLoop"),
        (unix_events, "SelectorEventLoop"),
        (unix_events, "EventLoop"),
    ]:
        if hasattr(holder, name):
            setattr(holder, name, Loop)
    policy = getattr(unix_events, "_UnixDefaultEventLoopPolicy", None) or unix_events._DefaultEventLoopPolicy
    policy._loop_factory = Loop


def _new_test_loop(fake: Any) -> Any:
    """The tests' loop with a clock of its own only where a test moves that clock."""

    def new_test_loop(self: Any, gen: Any = None) -> asyncio.AbstractEventLoop:
        if gen is not None:
            loop: asyncio.AbstractEventLoop = fake(self, gen)
            return loop
        loop = Loop()
        self.set_event_loop(loop)
        return loop

    return new_test_loop
