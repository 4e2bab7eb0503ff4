"""Ends the task of a handler whose client has left, and tells that cancellation from anybody else's."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

REASON = "the client has left the event stream"


class Departure:
    """Owned by one ``SSE``; it lives as long as the handler."""

    def __init__(self, task: asyncio.Task[Any], grace: float) -> None:
        self.left = False
        self._task = task
        self._grace = grace
        self._cancels = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False

    def client_left(self) -> None:
        """Cancels the task, and again after each ``grace`` seconds that it goes on."""
        if not self.left:
            self.left = True
            self._cancel()

    def told(self) -> None:
        """An exception of ``send()`` says it; the handler's task needs no cancellation unless it goes on."""
        if self._ended or self.left:
            self.left = True
        elif asyncio.current_task() is self._task:
            self.left = True
            self._again()
        else:
            self.client_left()

    def end(self) -> bool:
        """The handler is done with: nothing is cancelled from now on.

        Returns whether all cancellations were ours. They are taken back, so that whoever goes on in this task may wait
        (``asyncio.Task.uncancel``).
        """
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        cancels, self._cancels = self._cancels, 0
        if sys.version_info >= (3, 11):
            for _ in range(cancels):
                self._task.uncancel()
            return cancels > 0 and self._task.cancelling() == 0
        return cancels > 0

    def _cancel(self) -> None:
        if self._ended or self._task.done():
            return
        self._cancels += 1
        self._task.cancel(REASON)
        self._again()

    def _again(self) -> None:
        self._timer = self._task.get_loop().call_later(self._grace, self._cancel)
