"""The states of a WebSocket, and the codes that it is closed with."""

from __future__ import annotations

import enum


class WebSocketState(enum.Enum):
    """Where a WebSocket is in its life."""

    CONNECTING = 0
    """The handshake waits for the application's answer."""
    CONNECTED = 1
    DISCONNECTED = 2
    """Closed by either side, refused, or lost."""


class WebSocketClose:
    """Close codes by their names in RFC 6455 7.4.1 and IANA's registry. 1005, 1006 and 1015 are never sent."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RECEIVED = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_FRAME_PAYLOAD_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


NORMAL_CODES = frozenset(
    {WebSocketClose.NORMAL_CLOSURE, WebSocketClose.GOING_AWAY, WebSocketClose.NO_STATUS_RECEIVED}
)
"""What a client says that has no more to say, a browser's page that is left among them."""
