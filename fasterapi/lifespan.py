"""The application's lifespan (ASGI lifespan 2.0): one task that lives from start-up to shutdown.

Order of calls: ``startup``, then at most one ``shutdown``. Both return when the application has
answered, has returned or has raised; neither raises what the application raised.
"""

import asyncio
import contextlib
import contextvars
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fasterapi.application import Message
    from fasterapi.config import Config

UNSUPPORTED = "ASGI 'lifespan' protocol appears unsupported."


class Lifespan:
    """Runs the application once with a ``lifespan`` scope.

    Attributes:
        state: the scope's ``state``, which each request gets a shallow copy of.
        context: the application's context at ``startup.complete``, which requests start from.
        should_exit: the start-up has failed, and the server is not to serve.
    """

    def __init__(self, config: "Config") -> None:
        self.config = config
        self.logger = logging.getLogger("fasterapi.error")
        self.state: dict[str, Any] = {}
        self.context: contextvars.Context | None = None
        self.should_exit = False
        self.error_occurred = False
        self.startup_failed = False
        self.shutdown_failed = False
        self._cancelled = False
        self._startup_event = asyncio.Event()
        self._shutdown_event = asyncio.Event()
        self._shutdown_sent = False
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """The application has said that it is up, and has not been told to stop."""
        ended = self.should_exit or self.error_occurred or self._cancelled
        return self._startup_event.is_set() and not ended

    async def startup(self) -> None:
        self.logger.info("Waiting for application startup.")
        self._queue.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(self._main(), name="lifespan")
        self._task.add_done_callback(_retrieve)
        await self._startup_event.wait()
        if self._cancelled and (self.error_occurred or self.startup_failed):
            return
        if self.startup_failed or (self.error_occurred and self.config.lifespan == "on"):
            self.logger.error("Application startup failed. Exiting.")
            self.should_exit = True
        else:
            self._cancelled = False
            self.logger.info("Application startup complete.")

    async def shutdown(self) -> None:
        if self.error_occurred:
            return
        self.logger.info("Waiting for application shutdown.")
        self._shutdown_sent = True
        self._queue.put_nowait({"type": "lifespan.shutdown"})
        await self._shutdown_event.wait()
        if self.shutdown_failed or self.error_occurred:
            self.logger.error("Application shutdown failed. Exiting.")
            self.should_exit = True
        else:
            self.logger.info("Application shutdown complete.")

    def cancel(self) -> None:
        """Cancels an application that is not wanted any more; ``startup`` then returns without a word."""
        if self._task is not None and not self._task.done():
            self._cancelled = True
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._task.cancel()

    async def _main(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self.config.loaded_app(scope, self._receive, self._send)
        except (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
            # Our own cancel, or the end of the loop: nobody is left to be told.
            self.error_occurred = True
            raise
        except BaseException as error:
            self.error_occurred = True
            self._explain(error)
        finally:
            self._startup_event.set()
            self._shutdown_event.set()

    def _explain(self, error: BaseException) -> None:
        if self.startup_failed or self.shutdown_failed or self._cancelled:
            return  # The application has said so in its own words, or was not asked to succeed.
        if isinstance(error, SystemExit):
            # Not left to end the process from inside the loop: the server has to shut down.
            self.startup_failed = not self._startup_event.is_set()
            self.logger.error("Application called sys.exit(%s) in its lifespan.", error.code)
        elif self.config.lifespan == "auto" and not self._startup_event.is_set():
            self.logger.info(UNSUPPORTED)
            self.logger.debug("The application raised this at the lifespan scope:", exc_info=error)
        else:
            self.logger.error("Exception in 'lifespan' protocol\n", exc_info=error)

    async def _receive(self) -> "Message":
        return await self._queue.get()

    async def _send(self, message: "Message") -> None:
        phase, _, outcome = str(message["type"]).removeprefix("lifespan.").partition(".")
        if phase not in ("startup", "shutdown") or outcome not in ("complete", "failed"):
            raise RuntimeError(f"unexpected lifespan message {message['type']!r}")
        if phase == "startup":
            if self._startup_event.is_set():
                raise RuntimeError(f"{message['type']!r} sent after the start-up had ended")
            # This runs in the application's task: what its start-up put into the context is there.
            self.context = contextvars.copy_context()
            self.startup_failed = outcome == "failed"
            event = self._startup_event
        else:
            if not self._shutdown_sent or self._shutdown_event.is_set():
                raise RuntimeError(f"{message['type']!r} sent while no shutdown was waiting for it")
            self.shutdown_failed = outcome == "failed"
            event = self._shutdown_event
        if outcome == "failed" and message.get("message") and not self._cancelled:
            self.logger.error(message["message"])
        event.set()


def _retrieve(task: "asyncio.Task[None]") -> None:
    """An exception that leaves the task goes on through the loop; it is not to be reported once more."""
    if not task.cancelled():
        task.exception()


class NoLifespan:
    """``--lifespan off``: the application is never asked."""

    running = False

    def __init__(self, config: "Config") -> None:
        self.state: dict[str, Any] = {}
        self.context: contextvars.Context | None = None
        self.should_exit = False

    async def startup(self) -> None:
        """Nothing to start."""

    async def shutdown(self) -> None:
        """Nothing to stop."""

    def cancel(self) -> None:
        """Nothing to cancel."""
