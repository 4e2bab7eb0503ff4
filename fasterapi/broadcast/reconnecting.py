"""A backend that is reached over a connection: keeps one open, subscribes anew after each loss, tells what may be lost.

Owns the task that does so. A derived class opens the connection, writes commands and reads until it breaks; it calls
``confirmed`` or ``forbidden`` for each answer to a subscription.
"""

from __future__ import annotations

import asyncio
import logging
import random
from abc import ABC, abstractmethod

from fasterapi.broadcast.backend import Receiver
from fasterapi.broadcast.errors import BroadcastUnavailable, ChannelForbidden
from fasterapi.broadcast.message import Lost, Message, unpack

FIRST_DELAY = 0.05
LAST_DELAY = 2.0
"""Seconds between attempts, doubled from one to the other; each wait is random from 0 to that, so that processes
that lost the same server do not return together."""
STEADY = 1.0
"""Seconds after which a connection counts as good, and the next attempts begin with short waits again."""

_log = logging.getLogger("fasterapi.broadcast")


class ReconnectingBackend(ABC):
    """Args: patience: seconds that connecting and publishing wait for a connection, and subscribing for an answer."""

    failures: tuple[type[Exception], ...] = (OSError,)
    """What ``_open`` and ``_serve`` raise when there is no connection, or no longer."""

    def __init__(self, what: str, patience: float) -> None:
        self._what = what
        self._patience = patience
        self._receiver: Receiver | None = None
        self._task: asyncio.Task[None] | None = None
        self._begin()

    @abstractmethod
    async def _open(self) -> None:
        """Connects. Raises one of ``failures``."""

    @abstractmethod
    async def _serve(self) -> None:
        """Reads messages and confirmations; raises one of ``failures`` when the connection breaks."""

    @abstractmethod
    async def _close(self) -> None:
        """Lets go of the connection, opened or not."""

    @abstractmethod
    def _announce(self, channel: str, wanted: bool) -> None:
        """Puts a subscription, or its end, on its way."""

    @abstractmethod
    async def _send(self, channel: str, message: Message) -> None:
        """Raises one of ``failures``, or ChannelForbidden."""

    def _begin(self) -> None:
        """Nothing is kept from one event loop to the next."""
        self._up = asyncio.Event()
        self._reason = "not connected yet"
        self._wanted: set[str] = set()
        self._active: set[str] = set()
        self._unconfirmed: dict[str, int] = {}
        self._gaps: dict[str, Lost] = {}
        self._confirmations: dict[str, asyncio.Future[None]] = {}

    async def start(self, receiver: Receiver) -> None:
        self._begin()
        self._receiver = receiver
        self._task = asyncio.create_task(self._run(), name=f"broadcast over {self._what}")
        try:
            await self._connected()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])

    async def publish(self, channel: str, message: Message) -> None:
        await self._connected()
        try:
            await self._send(channel, message)
        except ChannelForbidden:
            raise
        except self.failures as error:
            # It may have failed without waiting, and whoever tries again at once would keep the loop from all else.
            await asyncio.sleep(0)
            raise BroadcastUnavailable(f"{self._what}: {_text(error)}; the message may be lost") from error

    async def subscribe(self, channel: str) -> None:
        self._wanted.add(channel)
        if channel in self._active:
            return
        if not self._up.is_set():
            # The confirmation after reconnecting tells of what was missed.
            self._gaps.setdefault(channel, Lost(self._reason))
            return
        confirmation = self._confirmations.get(channel)
        if confirmation is None:
            confirmation = self._confirmations[channel] = asyncio.get_running_loop().create_future()
            self._ask(channel)
        try:
            await asyncio.wait_for(asyncio.shield(confirmation), self._patience)
        except asyncio.TimeoutError:
            # Connected, but as in an outage: the confirmation, when it comes, tells of what was missed.
            if channel not in self._active:
                self._gaps.setdefault(channel, Lost(f"no confirmation in {self._patience:g} s"))

    def unsubscribe(self, channel: str) -> None:
        self._wanted.discard(channel)
        self._active.discard(channel)
        self._gaps.pop(channel, None)
        self._release(channel)
        if self._up.is_set():
            self._announce(channel, False)

    def confirmed(self, channel: str) -> None:
        """The other side has answered one subscription."""
        if not self._is_last_answer(channel):
            return
        self._active.add(channel)
        self._release(channel)
        lost = self._gaps.pop(channel, None)
        if lost is not None:
            self._report(channel, lost)

    def forbidden(self, channel: str, reason: str) -> None:
        """The other side has answered one subscription: no. It is asked again when somebody subscribes."""
        if not self._is_last_answer(channel):
            return
        error = ChannelForbidden(f"{self._what}: {reason}")
        self._wanted.discard(channel)
        self._gaps.pop(channel, None)
        confirmation = self._confirmations.pop(channel, None)
        if confirmation is not None:
            confirmation.set_exception(error)
        else:
            # It was allowed before, or the answer is late: not all who have it hear of its end otherwise.
            _log.warning("channel %r is forbidden by %s", channel, error)
        if self._receiver is not None:
            self._receiver.forbidden(channel, error)

    def _is_last_answer(self, channel: str) -> bool:
        """Counts an answer: one of an earlier subscription is not taken for that of the one there is now."""
        left = self._unconfirmed.pop(channel, 1) - 1
        if left > 0:
            self._unconfirmed[channel] = left
        return left <= 0 and channel in self._wanted

    def _deliver(self, channel: str, data: bytes) -> None:
        """A packed message. What is none is ignored: others may publish there too."""
        try:
            message = unpack(data)
        except ValueError as error:
            _log.debug("ignored on channel %r: %s", channel, error)
            return
        if self._receiver is not None:
            self._receiver.deliver(channel, message)

    def _report(self, channel: str, lost: Lost) -> None:
        if self._receiver is not None:
            self._receiver.lost(channel, lost)

    def _ask(self, channel: str) -> None:
        self._unconfirmed[channel] = self._unconfirmed.get(channel, 0) + 1
        self._announce(channel, True)

    def _release(self, channel: str) -> None:
        confirmation = self._confirmations.pop(channel, None)
        if confirmation is not None:
            confirmation.set_result(None)

    async def _connected(self) -> None:
        if self._task is None:
            raise BroadcastUnavailable(f"{self._what}: disconnected")
        while not self._up.is_set():
            try:
                await asyncio.wait_for(self._up.wait(), self._patience)
            except asyncio.TimeoutError:
                raise BroadcastUnavailable(
                    f"{self._what}: no connection in {self._patience:g} s: {self._reason}"
                ) from None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        attempts = 0
        while True:
            began = loop.time()
            try:
                await self._open()
                self._up.set()
                for channel in self._wanted:
                    self._ask(channel)
                await self._serve()
            except self.failures as error:
                self._reason = _text(error)
            finally:
                self._down()
                await self._close()
            attempts = 0 if loop.time() - began > STEADY else attempts + 1
            # Nothing for security hangs on this chance.
            await asyncio.sleep(random.uniform(0, min(LAST_DELAY, FIRST_DELAY * 2 ** min(attempts, 10))))

    def _down(self) -> None:
        if not self._up.is_set():
            return
        self._up.clear()
        self._active.clear()
        self._unconfirmed.clear()
        for channel in self._wanted:
            self._gaps[channel] = Lost(self._reason)
        for channel in list(self._confirmations):
            self._release(channel)


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
