"""What the tests of ``fasterapi.WebSocket`` connect with, and how they ask for steps (see apps.websocket_class)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

from websockets.sync.client import ClientConnection, connect

TIMEOUT = 20


class Client:
    """Opens connections of the ``websockets`` client, and closes them."""

    def __init__(self, server: Any, prefix: str) -> None:
        self.server = server
        self.prefix = prefix
        self.stack = ExitStack()

    def url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.server.address[1]}{self.prefix}{path}"

    def __call__(self, path: str, **options: Any) -> ClientConnection:
        options = {
            "proxy": None,
            "open_timeout": TIMEOUT,
            "close_timeout": TIMEOUT,
            "max_size": None,
            "max_queue": None,
            **options,
        }
        return self.stack.enter_context(connect(self.url(path), **options))


def target(steps: list[Any], tag: str, path: str = "/script") -> str:
    return f"{path}?{quote(repr(steps))}&{tag}"


def opened(server: Any, prefix: str) -> Iterator[Callable[..., ClientConnection]]:
    client = Client(server, prefix)
    with client.stack:
        yield client
