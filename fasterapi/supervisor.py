"""Several workers on one port: the parent process, which binds the sockets, starts the workers and replaces them.

It never accepts, and its sockets stay open while workers come and go, so that connections wait in the
kernel meanwhile. Nothing polls: a signal (also SIGCHLD, for a worker's end), a worker's word and the next
moment at which something is due end the wait.
"""

import contextlib
import logging
import math
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait

from fasterapi import binding
from fasterapi.config import STARTUP_FAILURE, Config
from fasterapi.logging import log_process
from fasterapi.server import ECHO, LEAST_SHUTDOWN
from fasterapi.worker import READY, RETIRE, SPENT, STOP, Worker, quiet_time, refusal

STEADY = 5.0
"""Seconds of service after which a worker's death is an accident; before, it may be one of a series."""
LONGEST_PAUSE = 30.0
"""Seconds between two attempts of such a series at most: 0, 1, 2, 4 ... and then this."""
KILL_MARGIN = 5.0
"""Seconds for a worker to wind up after its requests and its application had their time."""

logger = logging.getLogger("fasterapi.error")


def supervise(config: Config) -> int:
    """Serves with ``config.workers`` processes until a signal ends it; returns the exit status."""
    if not isinstance(config.app, str):
        logger.warning("You must pass the application as an import string to enable 'reload' or 'workers'.")
        return STARTUP_FAILURE
    # As multiprocessing knows that this process is a child that is still importing its parent's main module.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        logger.error("fasterapi.run() with workers must stand behind `if __name__ == '__main__':`.")
        return STARTUP_FAILURE
    if (reason := refusal(config)) is not None:
        logger.error("The settings cannot be handed to worker processes: %s", reason)
        return STARTUP_FAILURE
    try:
        sockets = binding.bind(config.host, config.port, config.uds, config.fd)
        for listener in sockets:
            listener.listen(config.backlog)
    except OSError as error:
        logger.error(error)
        return STARTUP_FAILURE
    config.announce(sockets[0])
    return Supervisor(config, sockets).run()


class Place:
    """Where one worker serves, and then the next: workers may die, the place stays."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self.successor: Worker | None = None
        self.start_at = -math.inf
        """No worker is started here before."""
        self.failures = 0
        """Deaths in a series, each soon after the worker's start."""

    @property
    def served_since(self) -> float:
        """When its worker began to serve, minus infinity where none does."""
        ready_at = self.worker.ready_at if self.worker is not None else None
        return ready_at if ready_at is not None else -math.inf

    def note_failure(self, died: Worker) -> float:
        """The seconds until the next attempt."""
        now = time.monotonic()
        if died.ready_at is not None and now - died.ready_at >= STEADY:
            self.failures = 0
        pause = min(2.0 ** (self.failures - 1), LONGEST_PAUSE) if self.failures else 0.0
        self.failures += 1
        self.start_at = now + pause
        return pause


class Supervisor:
    """The parent process's work. Owns the sockets and the workers; uses the process's signals while it runs."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        self.config = config
        self.sockets = sockets
        self._listener = binding.Listener(sockets, lambda: None, removes_files=config.fd is None)
        self._places = [Place() for _ in range(config.workers or 1)]
        self._leaving: list[Worker] = []
        self._founding = True
        self._exit_status = 0
        self._first_signal_at = math.inf
        self._orders: dict[int, Callable[[], None]] = {
            signal.SIGHUP: self._on_hangup,
            signal.SIGTTIN: self._on_increase,
            signal.SIGTTOU: self._on_decrease,
        }

    def run(self) -> int:
        """Returns the exit status once no worker is left."""
        try:
            with self._signals() as signals:
                log_process("Started parent process [%d]")
                self._start_due()
                self._founding = False
                while self._places or self._leaving:
                    self._turn(signals)
        finally:
            self._listener.close()
            for worker in self._workers():
                worker.kill()
                worker.close()
        log_process("Stopping parent process [%d]")
        return self._exit_status

    @contextlib.contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        """What becomes readable with the number of each signal that comes."""
        numbers = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, *self._orders)
        reader, writer = socket.socketpair()
        with reader, writer:
            reader.setblocking(False)
            writer.setblocking(False)
            previous = {number: signal.signal(number, _noted) for number in numbers}
            wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
            try:
                yield reader
            finally:
                signal.set_wakeup_fd(wakeup)
                for number, handler in previous.items():
                    signal.signal(number, handler)

    def _turn(self, signals: socket.socket) -> None:
        workers = self._workers()
        wait([signals, *(each.line for each in workers if each.line_open)], self._time_left())
        with contextlib.suppress(BlockingIOError):
            for number in signals.recv(4096):
                self._on_signal(number)
        for worker in workers:
            if worker.line_open:
                self._on_words(worker, worker.hear())
            if worker.exitcode is not None:
                self._on_exit(worker, worker.exitcode)
        self._kill_overdue()
        self._start_due()

    def _time_left(self) -> float | None:
        """Seconds until something is due."""
        moments = [worker.kill_at for worker in self._leaving if worker.kill_at is not None]
        moments += [place.start_at for place in self._places if self._wants_worker(place)]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _workers(self) -> list[Worker]:
        placed = (worker for place in self._places for worker in (place.worker, place.successor))
        return [*(worker for worker in placed if worker is not None), *self._leaving]

    # --- Starting ------------------------------------------------------------------------------

    def _wants_worker(self, place: Place) -> bool:
        if place.worker is None:
            return True
        # One at a time: the others go on serving, and a broken application costs one attempt.
        return place.worker.outdated and not any(each.successor for each in self._places)

    def _start_due(self) -> None:
        # Who has served longest is replaced first: a worker that is spent at once would be replaced again and again.
        for place in sorted(self._places, key=lambda place: place.served_since):
            if not self._wants_worker(place) or place.start_at > time.monotonic():
                continue
            try:
                started = Worker(self.config, self.sockets, founding=self._founding)
            except OSError as error:
                logger.error("Cannot start a child process: %s", error.strerror)
                place.failures += 1
                place.start_at = time.monotonic() + LONGEST_PAUSE
                continue
            if place.worker is None:
                place.worker = started
            else:
                place.successor = started

    def _on_words(self, worker: Worker, words: bytes) -> None:
        if SPENT in words:
            worker.outdated = worker.spent = True
        if READY in words and worker.ready_at is None:
            worker.ready_at = time.monotonic()
            place = next((each for each in self._places if each.successor is worker), None)
            if place is not None and place.worker is not None:
                self._dismiss([place.worker], RETIRE)
                place.worker, place.successor = worker, None

    # --- Ending --------------------------------------------------------------------------------

    def _on_exit(self, worker: Worker, status: int) -> None:
        worker.close()
        if worker in self._leaving:
            self._leaving.remove(worker)
            return
        place = next(each for each in self._places if worker in (each.worker, each.successor))
        if place.successor is worker:
            place.successor = None
            self._on_failed_successor(worker, place)
            return
        place.worker, place.successor = place.successor, None
        if worker.founding and worker.ready_at is None and status >= 0:
            logger.error("Child process [%d] failed to start, stopping the parent process.", worker.pid)
            self._exit_status = STARTUP_FAILURE
            self._stop()
            return
        logger.info("Child process [%d] died", worker.pid)
        if place.worker is None:
            self._announce_pause(place.note_failure(worker))

    def _on_failed_successor(self, successor: Worker, place: Place) -> None:
        kept = place.worker
        assert kept is not None
        logger.error(
            "New child process [%d] failed to start, keeping child process [%d].", successor.pid, kept.pid
        )
        for worker in self._workers():
            worker.outdated = worker.spent
        pause = place.note_failure(successor)
        if kept.spent:
            self._announce_pause(pause)

    def _announce_pause(self, pause: float) -> None:
        if pause:
            logger.warning("Starting another child process in %d s.", pause)

    def _dismiss(self, workers: list[Worker], order: bytes) -> None:
        given = self.config.timeout_graceful_shutdown
        for worker in workers:
            logger.info("Terminated child process [%d]", worker.pid)
            worker.tell(order)
            if given is not None:
                quiet = quiet_time(self.config) if order == RETIRE else 0.0
                worker.kill_at = time.monotonic() + quiet + given + max(given, LEAST_SHUTDOWN) + KILL_MARGIN
        for worker in workers:
            logger.info("Waiting for child process [%d]", worker.pid)
        self._leaving += workers

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for worker in self._leaving:
            if worker.kill_at is not None and worker.kill_at <= now:
                logger.error("Child process [%d] has not ended in its time, killing it.", worker.pid)
                worker.kill_at = None
                worker.kill()

    def _stop(self) -> None:
        # First of all: a connection that waited here would wait for nobody.
        self._listener.close()
        staying = [worker for worker in self._workers() if worker not in self._leaving]
        self._places.clear()
        for worker in self._leaving:
            worker.tell(STOP)
        self._dismiss(staying, STOP)

    # --- Signals -------------------------------------------------------------------------------

    def _on_signal(self, number: int) -> None:
        if number in self._orders and self._places:
            self._orders[number]()
        elif number in (signal.SIGINT, signal.SIGTERM):
            self._on_end(number)

    def _on_end(self, number: int) -> None:
        """The first of these signals stops in order, another one at once: see ``Server.handle_exit``."""
        now = time.monotonic()
        if self._places:
            self._first_signal_at = now
            logger.info("Received %s, exiting.", signal.Signals(number).name)
            self._stop()
        elif number == signal.SIGINT or now - self._first_signal_at > ECHO:
            for worker in self._leaving:
                worker.kill()

    def _on_hangup(self) -> None:
        logger.info("Received SIGHUP, restarting processes.")
        for worker in self._workers():
            worker.outdated = True
        for place in self._places:
            place.start_at = -math.inf

    def _on_increase(self) -> None:
        logger.info("Received SIGTTIN, increasing the number of processes.")
        self._places.append(Place())

    def _on_decrease(self) -> None:
        logger.info("Received SIGTTOU, decreasing number of processes.")
        if len(self._places) == 1:
            logger.info("Already reached one process, cannot decrease the number of processes anymore.")
            return
        place = self._places.pop()
        self._dismiss([worker for worker in (place.worker, place.successor) if worker], RETIRE)


def _noted(number: int, frame: object) -> None:
    """The wake-up socket has the number; without a handler there would be none."""
