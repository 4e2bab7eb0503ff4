"""WebSockets for applications, on any ASGI server: docs/websocket-class.md."""

from fasterapi.websocket.connection import WebSocket
from fasterapi.websocket.endpoint import websocket_endpoint
from fasterapi.websocket.errors import WebSocketDisconnect
from fasterapi.websocket.manager import ConnectionManager
from fasterapi.websocket.state import WebSocketClose, WebSocketState

__all__ = [
    "ConnectionManager",
    "WebSocket",
    "WebSocketClose",
    "WebSocketDisconnect",
    "WebSocketState",
    "websocket_endpoint",
]
