"""The server in a thread of the test process, on a socket that the test has bound."""

from __future__ import annotations

import gc
import importlib
import socket
import threading
from typing import Any

from support.server import STOP_LIMIT
from support.wire import Connection


class InProcess:
    """``fasterapi.Server`` (or uvicorn's) in a thread; it listens before the constructor returns."""

    def __init__(self, module: str, app: Any, **config: Any) -> None:
        api = importlib.import_module(module)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.server: Any = api.Server(api.Config(app, log_config=None, **config))
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.server.run(sockets=[self._listener])
        except BaseException as failure:
            self.failure = failure

    def connect(self, **options: Any) -> Connection:
        return Connection(self.address, **options)

    def stop_after_start(self) -> None:
        """Stops the server once it is ready, without having been asked anything."""
        with self.connect() as connection:
            self.stop()
            connection.expect_end()

    def stop(self) -> None:
        """Stops the server; raises what its thread raised. Idempotent."""
        if self.server is None:
            return
        self.server.should_exit = True
        self._thread.join(STOP_LIMIT)
        if self._thread.is_alive():
            self.server.force_exit = True
            self._thread.join(STOP_LIMIT)
            raise AssertionError(f"the server has not stopped after {STOP_LIMIT} s")
        self._listener.close()
        self.server = None
        if self.failure is not None:
            raise self.failure

    @staticmethod
    def check_nothing_lives(module: str) -> None:
        """The native half counts its objects; a stopped server leaves none."""
        if module != "fasterapi":
            return
        native = importlib.import_module("fasterapi._native")
        gc.collect()
        live = native.live_objects()
        assert live == {}, f"native objects alive after the server has stopped: {live}"
