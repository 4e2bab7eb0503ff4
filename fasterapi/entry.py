"""``fasterapi.run``: one call from an application to an exit code."""

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, Literal

from fasterapi.config import LOGGING_CONFIG, STARTUP_FAILURE, Config, LoopFactory
from fasterapi.logging import LogConfig
from fasterapi.runner import NotALoop, flush_standard_streams, raise_descriptor_limit, refuse_running_loop
from fasterapi.server import Server

logger = logging.getLogger("fasterapi.error")


def run(
    app: Any,
    *,
    host: str | None = "127.0.0.1",
    port: int = 8000,
    uds: str | None = None,
    fd: int | None = None,
    loop: LoopFactory | str = "auto",
    http: Any = "auto",
    http2: bool = False,
    ws: Any = "auto",
    ws_max_size: int = 16 * 1024 * 1024,
    ws_max_queue: int = 32,
    ws_ping_interval: float | None = 20.0,
    ws_ping_timeout: float | None = 20.0,
    ws_per_message_deflate: bool = True,
    lifespan: Literal["auto", "on", "off"] = "auto",
    interface: Literal["auto", "asgi3", "asgi2", "wsgi"] = "auto",
    reload: bool = False,
    reload_dirs: list[str] | str | None = None,
    reload_includes: list[str] | str | None = None,
    reload_excludes: list[str] | str | None = None,
    reload_delay: float = 0.25,
    workers: int | None = None,
    env_file: str | os.PathLike[str] | None = None,
    log_config: LogConfig = LOGGING_CONFIG,
    log_level: str | int | None = None,
    access_log: bool = True,
    proxy_headers: bool = True,
    server_header: bool = True,
    date_header: bool = True,
    forwarded_allow_ips: list[str] | str | None = None,
    root_path: str = "",
    limit_concurrency: int | None = None,
    backlog: int = 2048,
    limit_max_requests: int | None = None,
    limit_max_requests_jitter: int = 0,
    timeout_keep_alive: int = 5,
    timeout_graceful_shutdown: int | None = 30,
    timeout_worker_healthcheck: int = 5,
    ssl_keyfile: str | os.PathLike[str] | None = None,
    ssl_certfile: str | os.PathLike[str] | None = None,
    ssl_keyfile_password: str | None = None,
    ssl_version: int = 17,
    ssl_cert_reqs: int = 0,
    ssl_ca_certs: str | os.PathLike[str] | None = None,
    ssl_ciphers: str | None = None,
    ssl_context_factory: Callable[..., Any] | None = None,
    headers: list[tuple[str, str]] | None = None,
    use_colors: bool | None = None,
    app_dir: str | None = None,
    factory: bool = False,
    h11_max_incomplete_event_size: int | None = None,
    reset_contextvars: bool = False,
    limit_request_line: int = 8 * 1024,
    limit_request_head: int = 32 * 1024,
    limit_request_fields: int = 128,
    limit_body_size: int | None = None,
    limit_connections: int | None = None,
    min_body_rate: int = 240,
    timeout_request_head: float = 10,
    timeout_request_body: float = 30,
    timeout_write: float = 60,
    ws_close_timeout: float = 5.0,
    ws_server_no_context_takeover: bool = False,
    ws_client_no_context_takeover: bool = False,
    ws_server_max_window_bits: int = 12,
    ws_client_max_window_bits: int = 12,
    ws_deflate_level: int = 1,
    ws_deflate_memory_level: int = 5,
    ws_deflate_threshold: int = 64,
    ws_allowed_origins: list[str] | None = None,
) -> None:
    """Serves ``app``, an application or its import string, until a signal ends the process.

    The options are ``Config``'s; ``app_dir`` is put first on ``sys.path``. Exits with 3 if the
    server does not come up. Raises ``RuntimeError`` in a thread with a running event loop.
    """
    options = {name: value for name, value in locals().items() if name not in ("app", "app_dir")}
    refuse_running_loop("fasterapi.run()")
    if app_dir is not None:
        sys.path.insert(0, app_dir)
    serve(Config(app, **options))


def serve(config: Config) -> Server | None:
    """Serves in this process, or in ``config.workers`` others; returns the server that was here.

    SIGTERM ends the process unless there are workers. Exits with 3 if the server does not come up.
    """
    raise_descriptor_limit()
    if not config.use_subprocess:
        return serve_until_signal(Server(config))
    from fasterapi.supervisor import supervise  # multiprocessing takes its time to be imported

    if (status := supervise(config)) != 0:
        sys.exit(status)
    return None


def serve_until_signal(server: Server, sockets: list[socket.socket] | None = None) -> Server:
    """Serves; returns after SIGINT, and does not after SIGTERM, which ends the process."""
    try:
        # Before the loop: imports may take long, and may themselves run a loop.
        server.config.load_app()
        server.run(sockets)
    except KeyboardInterrupt:
        # A key press, unless the application has raised it by itself.
        if server.interrupted or server.started or not getattr(server, "lifespan", None):
            return server
        logger.error("Application raised KeyboardInterrupt in its start-up. Exiting.")
    except NotALoop as error:
        logger.error("Error loading event loop. %s", error)
    if not server.started:
        sys.exit(STARTUP_FAILURE)
    return server


def leave(server: Server) -> None:
    """Ends the process although threads of requests that were given up are still at work.

    Python would wait for them without limit, long after the log has said that the server is done.
    """
    others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
    stuck = [thread for thread in others if not thread.daemon]
    if stuck and server.gave_up:
        logger.warning("Leaving %d thread(s) of the application behind.", len(stuck))
        flush_standard_streams()
        os._exit(0)
