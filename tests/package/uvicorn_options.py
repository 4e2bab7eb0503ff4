"""uvicorn 0.54's command line as data: option, type, default, Python name.

Measured by click introspection of the installed package; ``*`` marks what may be repeated. This is
what a uvicorn command line may hold, so it must not be derived from our own code.
"""

from __future__ import annotations

from typing import Any

OPTIONS: tuple[tuple[str, str, Any, str], ...] = (
    ("--host", "text", "127.0.0.1", "host"),
    ("--port", "integer", 8000, "port"),
    ("--uds", "text", None, "uds"),
    ("--fd", "integer", None, "fd"),
    ("--reload", "flag", False, "reload"),
    ("--reload-dir", "path*", (), "reload_dirs"),
    ("--reload-include", "text*", (), "reload_includes"),
    ("--reload-exclude", "text*", (), "reload_excludes"),
    ("--reload-delay", "float", 0.25, "reload_delay"),
    ("--workers", "integer", None, "workers"),
    ("--loop", "text", "auto", "loop"),
    ("--http", "text", "auto", "http"),
    ("--http2", "flag", False, "http2"),
    ("--ws", "auto|none|websockets|websockets-sansio|wsproto", "auto", "ws"),
    ("--ws-max-size", "integer", 16777216, "ws_max_size"),
    ("--ws-max-queue", "integer", 32, "ws_max_queue"),
    ("--ws-ping-interval", "float", 20.0, "ws_ping_interval"),
    ("--ws-ping-timeout", "float", 20.0, "ws_ping_timeout"),
    ("--ws-per-message-deflate", "boolean", True, "ws_per_message_deflate"),
    ("--lifespan", "auto|on|off", "auto", "lifespan"),
    ("--interface", "auto|asgi3|asgi2|wsgi", "auto", "interface"),
    ("--env-file", "path", None, "env_file"),
    ("--log-config", "path", None, "log_config"),
    ("--log-level", "critical|error|warning|info|debug|trace", None, "log_level"),
    ("--access-log/--no-access-log", "flag", True, "access_log"),
    ("--use-colors/--no-use-colors", "flag", None, "use_colors"),
    ("--proxy-headers/--no-proxy-headers", "flag", True, "proxy_headers"),
    ("--server-header/--no-server-header", "flag", True, "server_header"),
    ("--date-header/--no-date-header", "flag", True, "date_header"),
    ("--forwarded-allow-ips", "text", None, "forwarded_allow_ips"),
    ("--root-path", "text", "", "root_path"),
    ("--limit-concurrency", "integer", None, "limit_concurrency"),
    ("--backlog", "integer", 2048, "backlog"),
    ("--limit-max-requests", "integer", None, "limit_max_requests"),
    ("--limit-max-requests-jitter", "integer", 0, "limit_max_requests_jitter"),
    ("--timeout-keep-alive", "integer", 5, "timeout_keep_alive"),
    ("--timeout-graceful-shutdown", "integer", None, "timeout_graceful_shutdown"),
    ("--timeout-worker-healthcheck", "integer", 5, "timeout_worker_healthcheck"),
    ("--ssl-keyfile", "text", None, "ssl_keyfile"),
    ("--ssl-certfile", "text", None, "ssl_certfile"),
    ("--ssl-keyfile-password", "text", None, "ssl_keyfile_password"),
    ("--ssl-version", "integer", 17, "ssl_version"),
    ("--ssl-cert-reqs", "integer", 0, "ssl_cert_reqs"),
    ("--ssl-ca-certs", "text", None, "ssl_ca_certs"),
    ("--ssl-ciphers", "text", None, "ssl_ciphers"),
    ("--header", "text*", (), "headers"),
    ("--app-dir", "text", "", "app_dir"),
    ("--h11-max-incomplete-event-size", "integer", None, "h11_max_incomplete_event_size"),
    ("--reset-contextvars", "flag", False, "reset_contextvars"),
    ("--factory", "flag", False, "factory"),
)

# The positional order of uvicorn.Config, after ``app``.
CONFIG_ORDER = (
    "host port uds fd loop http http2 ws ws_max_size ws_max_queue ws_ping_interval ws_ping_timeout"
    " ws_per_message_deflate lifespan env_file log_config log_level access_log use_colors interface reload"
    " reload_dirs reload_delay reload_includes reload_excludes workers proxy_headers server_header date_header"
    " forwarded_allow_ips root_path limit_concurrency limit_max_requests limit_max_requests_jitter backlog"
    " timeout_keep_alive timeout_notify timeout_graceful_shutdown timeout_worker_healthcheck callback_notify"
    " ssl_keyfile ssl_certfile ssl_keyfile_password ssl_version ssl_cert_reqs ssl_ca_certs ssl_ciphers"
    " ssl_context_factory headers factory h11_max_incomplete_event_size reset_contextvars"
)

# What uvicorn does not have, behind its own in each signature: as in OPTIONS.
OWN_OPTIONS: tuple[tuple[str, str, Any, str], ...] = (
    ("--limit-request-line", "integer", 8192, "limit_request_line"),
    ("--limit-request-head", "integer", 32768, "limit_request_head"),
    ("--limit-request-fields", "integer", 128, "limit_request_fields"),
    ("--limit-body-size", "integer", None, "limit_body_size"),
    ("--limit-connections", "integer", None, "limit_connections"),
    ("--min-body-rate", "integer", 240, "min_body_rate"),
    ("--timeout-request-head", "integer", 10, "timeout_request_head"),
    ("--timeout-request-body", "integer", 30, "timeout_request_body"),
    ("--timeout-write", "integer", 60, "timeout_write"),
    ("--ws-close-timeout", "float", 5.0, "ws_close_timeout"),
    ("--ws-server-no-context-takeover", "flag", False, "ws_server_no_context_takeover"),
    ("--ws-client-no-context-takeover", "flag", False, "ws_client_no_context_takeover"),
    ("--ws-server-max-window-bits", "integer", 12, "ws_server_max_window_bits"),
    ("--ws-client-max-window-bits", "integer", 12, "ws_client_max_window_bits"),
    ("--ws-deflate-level", "integer", 1, "ws_deflate_level"),
    ("--ws-deflate-memory-level", "integer", 5, "ws_deflate_memory_level"),
    ("--ws-deflate-threshold", "integer", 64, "ws_deflate_threshold"),
    ("--ws-allowed-origin", "text*", (), "ws_allowed_origins"),
)

# Differences by intention: option to default.
OWN_DEFAULTS: dict[str, Any] = {"timeout_graceful_shutdown": 30}
