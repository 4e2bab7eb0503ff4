"""One worker process: the ordinary server on the supervisor's sockets, and the supervisor's handle on it.

A line, a pair of sockets, joins the two; its end tells the worker that the supervisor has died. What is
said on it is a byte at a time.
"""

import asyncio
import contextlib
import multiprocessing
import signal
import socket
from multiprocessing.reduction import ForkingPickler

from fasterapi.config import Config
from fasterapi.entry import leave, serve_until_signal
from fasterapi.server import Server, logger

# A worker is a fresh interpreter: a copy of a loaded one would share its threads' locks and its random state.
spawn = multiprocessing.get_context("spawn")

READY = b"R"
"""From the worker: it accepts connections."""
SPENT = b"S"
"""From the worker: it has answered as many requests as it may, and goes on until it is replaced."""
STOP = b"T"
"""To the worker: idle connections are closed at once."""
RETIRE = b"Q"
"""To the worker: others have taken its place, so that it has time to let each connection go in order."""


class Worker:
    """A worker process as its supervisor sees it. Raises ``OSError`` if the process cannot be started.

    Attributes:
        ready_at: when it began to accept connections, on the supervisor's clock; ``None`` before.
        kill_at: until when it has time to end, once it was told to.
        founding: it is of the first generation: if it does not come up, neither does the server.
        outdated: it is to be replaced.
        spent: that is its own wish.
    """

    def __init__(self, config: Config, sockets: list[socket.socket], *, founding: bool) -> None:
        self.founding = founding
        self.outdated = False
        self.spent = False
        self.ready_at: float | None = None
        self.kill_at: float | None = None
        self.line, far = socket.socketpair()
        self.line.setblocking(False)
        self.line_open = True
        self._process = spawn.Process(target=work, args=(config, sockets, far))
        # Ctrl+C goes to the whole process group; a worker can take it only when it has come to work().
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        except OSError:
            self.line.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            far.close()
        self.pid: int = self._process.pid or 0

    @property
    def exitcode(self) -> int | None:
        """``None`` while it runs, and minus the signal that ended it."""
        return self._process.exitcode

    def hear(self) -> bytes:
        """What the worker has said since the last call. It never waits."""
        try:
            said = self.line.recv(64)
        except BlockingIOError:
            return b""
        except OSError:
            said = b""
        self.line_open = bool(said)
        return said

    def tell(self, order: bytes) -> None:
        """Tells the worker to end; one that does not listen yet has nothing to bring to an end."""
        if self.ready_at is None:
            self._process.terminate()
        else:
            with contextlib.suppress(OSError):
                self.line.send(order)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Waits for its end and lets go of it."""
        self._process.join()
        self._process.close()
        self.line.close()


class WorkerServer(Server):
    """A server that also does what its supervisor tells it."""

    def __init__(self, config: Config, line: socket.socket) -> None:
        super().__init__(config)
        self._line = line
        self._line.setblocking(False)
        self._retiring = False
        self._ordered = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().add_reader(self._line.fileno(), self._hear)
        await super().startup(sockets=sockets)
        if self.started:
            self._say(READY)

    async def main_loop(self) -> None:
        await super().main_loop()
        if not self.should_exit:
            self._say(SPENT)
            await self._until(lambda: self.should_exit)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._retiring:
            await self._retire()
        await super().shutdown(sockets=sockets)

    async def _retire(self) -> None:
        """Lets each connection have one more answer, or the time that an idle one has."""
        native = self._native
        if native is None:
            return
        native.stop_listening()
        native.on_change(self._changed.set)
        native.retire()
        if native.connections:
            logger.info("Waiting for connections to close. (CTRL+C to force quit)")
        await self._until(
            lambda: native.connections == 0 or self.force_exit or not self._retiring,
            quiet_time(self.config),
        )

    def _is_hurried(self) -> bool:
        return self._ordered or super()._is_hurried()

    def _hear(self) -> None:
        try:
            orders = self._line.recv(64)
        except BlockingIOError:
            return
        except OSError:
            orders = b""
        if not orders:
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            logger.warning("The parent process has died. Shutting down.")
        self._ordered = True
        self._retiring = orders == RETIRE
        self.should_exit = True

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            self._line.send(word)


def quiet_time(config: Config) -> float:
    """Seconds in which a worker that was replaced lets idle connections be used once more."""
    limit = config.timeout_graceful_shutdown
    return config.timeout_keep_alive if limit is None else min(config.timeout_keep_alive, limit)


def work(config: Config, sockets: list[socket.socket], line: socket.socket) -> None:
    """The worker process."""
    # Until the server takes it, an interrupt ends the process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # They came through an exec; programs that the application starts are not to have them.
    for inherited in (*sockets, line):
        inherited.set_inheritable(False)
    config.configure_logging()
    leave(serve_until_signal(WorkerServer(config, line), sockets))


def refusal(config: Config) -> str | None:
    """Why the configuration cannot be handed to another process, if it cannot."""
    try:
        ForkingPickler.dumps(config)
    except Exception as error:
        return str(error)
    return None
