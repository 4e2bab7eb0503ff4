"""fasterapi: a native ASGI server, used like uvicorn, and the classes for WebSockets and events that it ships."""

from importlib import import_module
from typing import TYPE_CHECKING

from fasterapi.cli import main
from fasterapi.config import Config
from fasterapi.entry import run
from fasterapi.server import Server
from fasterapi.version import __version__

if TYPE_CHECKING:
    from fasterapi._native import open_event_stream as open_event_stream
    from fasterapi.app import App as App
    from fasterapi.broadcast import Broadcaster as Broadcaster
    from fasterapi.broadcast import BroadcastUnavailable as BroadcastUnavailable
    from fasterapi.broadcast import ChannelForbidden as ChannelForbidden
    from fasterapi.broadcast import Lost as Lost
    from fasterapi.broadcast import SubscriberTooSlow as SubscriberTooSlow
    from fasterapi.broadcast import Subscription as Subscription
    from fasterapi.sse.channels import ChannelLimits as ChannelLimits
    from fasterapi.sse.channels import Channels as Channels
    from fasterapi.sse.channels import ChannelsError as ChannelsError
    from fasterapi.sse.channels_endpoint import channels_endpoint as channels_endpoint
    from fasterapi.sse.client import EventSourceError as EventSourceError
    from fasterapi.sse.client import sse_connect as sse_connect
    from fasterapi.sse.connection import SSE as SSE
    from fasterapi.sse.connection import SSEClosed as SSEClosed
    from fasterapi.sse.endpoint import sse_endpoint as sse_endpoint
    from fasterapi.sse.event import ServerSentEvent as ServerSentEvent
    from fasterapi.sse.history import History as History
    from fasterapi.sse.history import MemoryHistory as MemoryHistory
    from fasterapi.sse.history import UnknownEventId as UnknownEventId
    from fasterapi.sse.parser import EventTooLarge as EventTooLarge
    from fasterapi.sse.redis_history import RedisHistory as RedisHistory
    from fasterapi.sse.response import EventSourceResponse as EventSourceResponse
    from fasterapi.sse.stream import SSEStream as SSEStream
    from fasterapi.websocket import ConnectionManager as ConnectionManager
    from fasterapi.websocket import WebSocket as WebSocket
    from fasterapi.websocket import WebSocketClose as WebSocketClose
    from fasterapi.websocket import WebSocketDisconnect as WebSocketDisconnect
    from fasterapi.websocket import WebSocketState as WebSocketState
    from fasterapi.websocket import websocket_endpoint as websocket_endpoint

__all__ = ["Config", "Server", "__version__", "main", "run"]

# Where the classes for applications are: imported when they are asked for, since a server starts without them.
_ADAPTERS: dict[str, str] = {
    "App": "fasterapi.app",
    "Broadcaster": "fasterapi.broadcast",
    "BroadcastUnavailable": "fasterapi.broadcast",
    "ChannelForbidden": "fasterapi.broadcast",
    "Lost": "fasterapi.broadcast",
    "SubscriberTooSlow": "fasterapi.broadcast",
    "Subscription": "fasterapi.broadcast",
    "ConnectionManager": "fasterapi.websocket",
    "WebSocket": "fasterapi.websocket",
    "WebSocketClose": "fasterapi.websocket",
    "WebSocketDisconnect": "fasterapi.websocket",
    "WebSocketState": "fasterapi.websocket",
    "websocket_endpoint": "fasterapi.websocket",
    "SSE": "fasterapi.sse.connection",
    "SSEClosed": "fasterapi.sse.connection",
    "SSEStream": "fasterapi.sse.stream",
    "ServerSentEvent": "fasterapi.sse.event",
    "EventSourceResponse": "fasterapi.sse.response",
    "ChannelLimits": "fasterapi.sse.channels",
    "Channels": "fasterapi.sse.channels",
    "ChannelsError": "fasterapi.sse.channels",
    "channels_endpoint": "fasterapi.sse.channels_endpoint",
    "History": "fasterapi.sse.history",
    "MemoryHistory": "fasterapi.sse.history",
    "RedisHistory": "fasterapi.sse.redis_history",
    "UnknownEventId": "fasterapi.sse.history",
    "EventSourceError": "fasterapi.sse.client",
    "EventTooLarge": "fasterapi.sse.parser",
    "sse_connect": "fasterapi.sse.client",
    "sse_endpoint": "fasterapi.sse.endpoint",
    "open_event_stream": "fasterapi._native",
}


def __getattr__(name: str) -> object:
    """One of the classes for applications (PEP 562)."""
    if name not in _ADAPTERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ADAPTERS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ADAPTERS})
