"""Ends the task of a handler whose client has left or whose server stops, and tells that cancellation from anybody else's."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

LEFT = "the client has left the event stream"
STOPPED = "the server stops, and the event stream with it"


class Departure:
    """Owned by one ``SSE``; it lives as long as the handler."""

    def __init__(self, task: asyncio.Task[Any], grace: float) -> None:
        self.left = False
        self.stopped = False
        self._task = task
        self._grace = grace
        self._cancels = 0
        self._only_ours = False
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False

    def client_left(self) -> None:
        """Cancels the task, and again after each ``grace`` seconds that it goes on. One that was cancelled already, by the
        server's stop or by a middleware that has heard of it as well, cleans up: it has its grace."""
        if self.left:
            return
        self.left = True
        if self._is_cancelled():
            if not self.stopped:
                self._after(self._grace, self._cancel, LEFT)
        else:
            self._cancel(LEFT)

    def told(self) -> None:
        """An exception of ``send()`` says it; the handler's task needs no cancellation unless it goes on."""
        if self._ended or self.left:
            self.left = True
        elif asyncio.current_task() is self._task:
            self.left = True
            self._after(self._grace, self._cancel, LEFT)
        else:
            self.client_left()

    def server_stops(self, grace: float) -> None:
        """Cancels the task after so many seconds, unless it has ended or the client has left by then."""
        if not self.left:
            self._after(grace, self._stop)

    def end(self) -> bool:
        """The handler is done with: nothing is cancelled from now on. Returns the same each time.

        Returns whether all cancellations were ours. They are taken back, so that whoever goes on in this task may wait
        (``asyncio.Task.uncancel``).
        """
        if not self._ended:
            self._ended = True
            if self._timer is not None:
                self._timer.cancel()
            self._only_ours = self._take_back()
        return self._only_ours

    def _is_cancelled(self) -> bool:
        return self.stopped or (sys.version_info >= (3, 11) and self._task.cancelling() > 0)

    def _take_back(self) -> bool:
        if sys.version_info >= (3, 11):
            for _ in range(self._cancels):
                self._task.uncancel()
            return self._cancels > 0 and self._task.cancelling() == 0
        return self._cancels > 0

    def _stop(self) -> None:
        self.stopped = True
        self._cancel(STOPPED)

    def _cancel(self, reason: str) -> None:
        if self._ended or self._task.done():
            return
        self._cancels += 1
        self._task.cancel(reason)
        self._after(self._grace, self._cancel, reason)

    def _after(self, delay: float, then: Callable[..., None], *arguments: Any) -> None:
        """The one thing that is to come, instead of an earlier one."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._task.get_loop().call_later(delay, then, *arguments)
