"""What the methods of a WebSocket raise when the connection has ended."""

from __future__ import annotations

CLOSED = "WebSocket connection is closed"
"""The text of the RuntimeError after a close of the application's own."""


class WebSocketDisconnect(RuntimeError):
    """The peer has gone, or the server has ended the connection.

    Attributes:
        code: the close code as ASGI's ``websocket.disconnect`` has it (RFC 6455 7.1.5): the peer's, or 1005 where its
            Close had none, 1006 where none came.
        reason: the peer's reason, or empty.
    """

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""
        told = f"{code} {self.reason}".rstrip()
        super().__init__(f"WebSocket connection closed while waiting for message ({told})")

    def __reduce__(self) -> tuple[type[WebSocketDisconnect], tuple[int, str]]:
        return type(self), (self.code, self.reason)
