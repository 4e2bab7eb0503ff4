"""What bounds a client: sizes, numbers and times, and the native server's settings that they become.

The defaults are those of ``server/base/settings.h``, which has their reasons; a test holds both together.
"""

import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fasterapi.runner import MOST_DESCRIPTORS

if TYPE_CHECKING:
    from fasterapi._native import Settings, WebSocketSettings

__all__ = [
    "LIMITS",
    "WEBSOCKET_LIMITS",
    "Limit",
    "check",
    "default_connections",
    "settings",
    "websocket_settings",
]

MOST_BYTES = 2**31 - 1
"""No head needs more, and the native server counts the parts of one in 32 bits."""
MOST = 2**63 - 1
LONGEST = 365 * 24 * 3600


@dataclass(frozen=True)
class Limit:
    """One setting of ``Config`` and what it may be."""

    name: str
    setting: str
    """Its name in the native server's settings."""
    least: float
    most: float
    whole: bool = True
    """It is a number of things, and not seconds."""
    none: float | None = None
    """The setting that ``None`` stands for, where ``None`` may be given although it is not the default."""


LIMITS = (
    Limit("limit_request_line", "max_request_line", 1, MOST_BYTES),
    Limit("limit_request_head", "max_head", 1, MOST_BYTES),
    Limit("limit_request_fields", "max_header_fields", 1, MOST_BYTES),
    Limit("limit_body_size", "max_body", 0, MOST),
    Limit("limit_concurrency", "max_concurrency", 1, MOST),
    Limit("limit_connections", "max_connections", 1, MOST),
    Limit("min_body_rate", "min_body_rate", 0, MOST_BYTES),
    Limit("timeout_keep_alive", "keep_alive_timeout", 0, LONGEST, whole=False),
    Limit("timeout_request_head", "head_timeout", 0.1, LONGEST, whole=False),
    Limit("timeout_request_body", "body_timeout", 0.1, LONGEST, whole=False),
    Limit("timeout_write", "write_timeout", 0.1, LONGEST, whole=False),
)

WEBSOCKET_LIMITS = (
    Limit("ws_max_size", "max_message", 1, MOST),
    Limit("ws_max_queue", "max_queue", 1, MOST_BYTES),
    Limit("ws_ping_interval", "ping_interval", 0, LONGEST, whole=False, none=0),
    Limit("ws_ping_timeout", "ping_timeout", 0, LONGEST, whole=False, none=0),
    Limit("ws_close_timeout", "close_timeout", 0.1, LONGEST, whole=False),
    Limit("ws_server_max_window_bits", "server_max_window_bits", 9, 15),
    Limit("ws_client_max_window_bits", "client_max_window_bits", 9, 15),
    Limit("ws_deflate_level", "deflate_level", 1, 3),
    Limit("ws_deflate_memory_level", "deflate_memory_level", 1, 9),
    Limit("ws_deflate_threshold", "deflate_threshold", 0, MOST_BYTES),
)


def check(config: Any) -> None:
    """Raises ``ValueError`` for a value that no limit can have; ``None``, where it is the default, is none."""
    for limit in (*LIMITS, *WEBSOCKET_LIMITS):
        value, name = getattr(config, limit.name), limit.name
        if value is None and (limit.none is not None or getattr(type(config), name) is None):
            continue
        if not isinstance(value, int if limit.whole else (int, float)) or isinstance(value, bool):
            kind = "an integer" if limit.whole else "a number"
            raise ValueError(f"{name} must be {kind}, not {value!r}")
        if value < 0:
            raise ValueError(f"{name} must not be negative, and is {value}")
        if not limit.least <= value <= limit.most:
            raise ValueError(f"{name} must lie between {limit.least} and {limit.most}, and is {value}")


def settings(config: Any) -> "Settings":
    """The limits of a ``Config`` for the native server."""
    given = {limit.setting: getattr(config, limit.name) for limit in LIMITS}
    if config.limit_connections is None:
        given["max_connections"] = default_connections()
    return {name: value for name, value in given.items() if value is not None}  # type: ignore[return-value]


def websocket_settings(config: Any) -> "WebSocketSettings":
    """What a ``Config`` says of WebSockets, for the native server."""
    given: dict[str, Any] = {}
    for limit in WEBSOCKET_LIMITS:
        value = getattr(config, limit.name)
        given[limit.setting] = limit.none if value is None else value
    return {
        **given,  # type: ignore[typeddict-item]
        "deflate": config.ws_per_message_deflate,
        "server_no_context_takeover": config.ws_server_no_context_takeover,
        "client_no_context_takeover": config.ws_client_no_context_takeover,
        "allowed_origins": config.ws_allowed_origins,
    }


def default_connections() -> int:
    """90 % of the descriptors that this process may open: the application needs some for itself."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft) * 9 // 10)
