"""Every setting of the server, under uvicorn's names and in uvicorn's order; then our own.

A setting that this version does not act on yet may only have uvicorn's default: any other value
raises ``UnsupportedOption``, so that nothing asked for is silently left out.
"""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from fasterapi import binding, importer, limits, proxies, response_headers
from fasterapi.application import adapt
from fasterapi.lifespan import Lifespan, NoLifespan
from fasterapi.logging import LOG_LEVELS, LOGGING_CONFIG, TRACE_LOG_LEVEL, LogConfig, style_address
from fasterapi.logging import configure as configure_loggers
from fasterapi.version import __version__

__all__ = [
    "LOGGING_CONFIG",
    "LOG_LEVELS",
    "STARTUP_FAILURE",
    "TRACE_LOG_LEVEL",
    "Config",
    "LoopFactory",
    "UnsupportedOption",
]

STARTUP_FAILURE = importer.STARTUP_FAILURE

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

# Not acted on yet. Empty sequences count as absent, because that is what a command line gives.
UNSUPPORTED = (
    *("http", "http2", "env_file", "reload", "reload_dirs", "reload_delay", "reload_includes"),
    "reload_excludes",
    *("timeout_worker_healthcheck", "ssl_keyfile", "ssl_certfile", "ssl_keyfile_password", "ssl_version"),
    *("ssl_cert_reqs", "ssl_ca_certs", "ssl_ciphers", "ssl_context_factory"),
    *("h11_max_incomplete_event_size",),
)

# All but "none" are one implementation, our own; uvicorn's names are known, so that its command lines work.
WEBSOCKET_CHOICES = ("auto", "none", "websockets", "websockets-sansio", "wsproto")

logger = logging.getLogger("fasterapi.error")


class UnsupportedOption(ValueError):
    """An option of uvicorn, or a value of one, that this version knows by name only.

    ``available`` says what can be given instead.
    """

    def __init__(self, option: str, value: object, available: str) -> None:
        super().__init__(f"{option}={value!r} is not available in fasterapi {__version__}: only {available}")
        self.option = option
        self.value = value
        self.available = available


@dataclass(eq=False, repr=False)
class Config:
    """What to serve and how.

    Raises:
        UnsupportedOption: a setting that this version cannot honour.
        ValueError: a value that no version could, or a logging configuration that cannot be used.
    """

    app: Any
    host: str | None = "127.0.0.1"
    port: int = 8000
    uds: str | None = None
    fd: int | None = None
    loop: LoopFactory | str = "auto"
    http: Any = "auto"
    http2: bool = False
    ws: Any = "auto"
    ws_max_size: int = 16 * 1024 * 1024
    ws_max_queue: int = 32
    ws_ping_interval: float | None = 20.0
    ws_ping_timeout: float | None = 20.0
    ws_per_message_deflate: bool = True
    lifespan: Literal["auto", "on", "off"] = "auto"
    env_file: str | os.PathLike[str] | None = None
    log_config: LogConfig = field(default_factory=lambda: LOGGING_CONFIG)
    log_level: str | int | None = None
    access_log: bool = True
    use_colors: bool | None = None
    interface: Literal["auto", "asgi3", "asgi2", "wsgi"] = "auto"
    reload: bool = False
    reload_dirs: list[str] | str | None = None
    reload_delay: float = 0.25
    reload_includes: list[str] | str | None = None
    reload_excludes: list[str] | str | None = None
    workers: int | None = None
    proxy_headers: bool = True
    server_header: bool = True
    date_header: bool = True
    forwarded_allow_ips: list[str] | str | None = None
    root_path: str = ""
    limit_concurrency: int | None = None
    limit_max_requests: int | None = None
    limit_max_requests_jitter: int = 0
    backlog: int = 2048
    timeout_keep_alive: int = 5
    timeout_notify: int = 30
    timeout_graceful_shutdown: int | None = 30
    timeout_worker_healthcheck: int = 5
    callback_notify: Callable[..., Awaitable[None]] | None = None
    ssl_keyfile: str | os.PathLike[str] | None = None
    ssl_certfile: str | os.PathLike[str] | None = None
    ssl_keyfile_password: str | None = None
    ssl_version: int = 17  # ssl.PROTOCOL_TLS_SERVER
    ssl_cert_reqs: int = 0  # ssl.CERT_NONE
    ssl_ca_certs: str | os.PathLike[str] | None = None
    ssl_ciphers: str | None = None
    ssl_context_factory: Callable[..., Any] | None = None
    headers: list[tuple[str, str]] | None = None
    factory: bool = False
    h11_max_incomplete_event_size: int | None = None
    reset_contextvars: bool = False
    limit_request_line: int = 8 * 1024
    limit_request_head: int = 32 * 1024
    limit_request_fields: int = 128
    limit_body_size: int | None = None
    limit_connections: int | None = None
    min_body_rate: int = 240
    timeout_request_head: float = 10
    timeout_request_body: float = 30
    timeout_write: float = 60
    ws_close_timeout: float = 5.0
    ws_server_no_context_takeover: bool = False
    ws_client_no_context_takeover: bool = False
    ws_server_max_window_bits: int = 12
    ws_client_max_window_bits: int = 12
    ws_deflate_level: int = 1
    ws_deflate_memory_level: int = 5
    ws_deflate_threshold: int = 64
    ws_allowed_origins: list[str] | None = None

    loaded: bool = field(default=False, init=False)
    loaded_app: Any = field(default=None, init=False)
    lifespan_class: type[Lifespan] | type[NoLifespan] = field(default=Lifespan, init=False)
    encoded_headers: list[tuple[bytes, bytes]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._refuse_unsupported()
        self._check_values()
        # As uvicorn does, so that code which reads a Config finds no None where a list or number is due.
        if self.workers is None:
            self.workers = _web_concurrency()
        self.headers = self.headers or []
        self.ws_allowed_origins = list(self.ws_allowed_origins or ())
        if self.forwarded_allow_ips is None:
            self.forwarded_allow_ips = proxies.default_allow_ips()
        self.reload_dirs, self.reload_includes, self.reload_excludes = [], [], []
        self.configure_logging()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(app={self.app!r})"

    def _refuse_unsupported(self) -> None:
        for option in fields(self):
            if option.name in UNSUPPORTED:
                value = getattr(self, option.name)
                if value != option.default and not (option.default is None and value in ([], ())):
                    raise UnsupportedOption(option.name, value, f"its default, {option.default!r}")

    def _check_values(self) -> None:
        self._encode_headers()
        limits.check(self)
        _require_choice("ws", self.ws, WEBSOCKET_CHOICES)
        _require_choice("lifespan", self.lifespan, ("auto", "on", "off"))
        _require_choice("interface", self.interface, ("auto", "asgi3", "asgi2", "wsgi"))
        if isinstance(self.log_level, str):
            _require_choice("log_level", self.log_level.lower(), tuple(LOG_LEVELS))
        _require_text("root_path", self.root_path)
        for name in ("port", "backlog", "workers"):
            value = getattr(self, name)
            if not (isinstance(value, int) or (value is None and name == "workers")):
                raise ValueError(f"{name} must be an integer, not {value!r}")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must lie between 0 and 65535, not {self.port}")
        for name in ("backlog", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be positive, not {value}")
        for name in ("fd", "timeout_graceful_shutdown", "limit_max_requests", "limit_max_requests_jitter"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, and is {value}")

    @property
    def asgi_version(self) -> Literal["2.0", "3.0"]:
        return "2.0" if self.interface == "asgi2" else "3.0"

    @property
    def is_ssl(self) -> bool:
        return bool(self.ssl_keyfile or self.ssl_certfile or self.ssl_context_factory)

    @property
    def use_subprocess(self) -> bool:
        return self.reload or (self.workers or 1) > 1

    @property
    def should_reload(self) -> bool:
        return isinstance(self.app, str) and self.reload

    def configure_logging(self) -> None:
        """Applies ``log_config``, ``log_level``, ``use_colors`` and ``access_log`` to the loggers."""
        self.log_config = configure_loggers(self.log_config, self.use_colors)
        if self.log_level is not None:
            level = LOG_LEVELS[self.log_level.lower()] if isinstance(self.log_level, str) else self.log_level
            for name in ("error", "access", "asgi"):
                logging.getLogger(f"fasterapi.{name}").setLevel(level)
        if not self.access_log:
            access = logging.getLogger("fasterapi.access")
            access.handlers = []
            access.propagate = False

    def _encode_headers(self) -> list[tuple[bytes, bytes]]:
        return response_headers.encode(self.headers or (), server_header=self.server_header)

    def trusted_proxies(self) -> list[str]:
        """The addresses and networks whose proxy headers are believed, or ``["*"]``."""
        return proxies.trusted(self.forwarded_allow_ips or ()) if self.proxy_headers else []

    def load_app(self) -> Any:
        """Imports the application. One that cannot be imported is logged, and ends the process with 3."""
        return importer.load_application(self.app, factory=self.factory)

    def load(self) -> None:
        """Makes ``loaded_app``: imported, made by its factory if it has one, brought to ASGI 3."""
        if self.loaded:
            raise RuntimeError("this Config is loaded already")
        app = self.load_app()
        importer.refuse_uncallable(app, self.app)
        app = importer.call_factory(app, factory=self.factory)
        importer.refuse_uncallable(app, self.app)
        self.loaded_app, self.interface = adapt(app, self.interface)
        has_lifespan = self.lifespan != "off" and self.interface != "wsgi"
        self.lifespan_class = Lifespan if has_lifespan else NoLifespan
        self.encoded_headers = self._encode_headers()
        self.loaded = True

    def get_loop_factory(self) -> LoopFactory | None:
        """What makes the event loop; ``None`` leaves the choice to asyncio.

        Our own loop for ``auto``. A loop that cannot be imported is logged, and ends the process with 3.
        """
        if not isinstance(self.loop, str):
            return self.loop
        if self.loop == "none":
            return None
        if self.loop == "asyncio":
            return asyncio.SelectorEventLoop
        import_string = {"auto": "fasterapi.loop:new_event_loop", "uvloop": "uvloop:new_event_loop"}.get(
            self.loop, self.loop
        )
        try:
            factory: LoopFactory = importer.import_from_string(import_string)
        except importer.ImportFromStringError as error:
            logger.error("Error loading event loop. %s", error)
            sys.exit(STARTUP_FAILURE)
        return factory

    def bind_socket(self) -> socket.socket:
        """Binds one inheritable socket and announces it. A failure is logged, and ends the process with 3."""
        try:
            sockets = binding.bind(self.host, self.port, self.uds, self.fd)
        except OSError as error:
            logger.error(error)
            sys.exit(STARTUP_FAILURE)
        for extra in sockets[1:]:
            extra.close()
        self.announce(sockets[0])
        sockets[0].set_inheritable(True)
        return sockets[0]

    def announce(self, listener: socket.socket) -> None:
        """Logs where the server is to be found."""
        message, *args = "FasterAPI running on {} (Press CTRL+C to quit)", listener.getsockname()
        if self.fd is not None:
            template = "socket %s"
        elif self.uds is not None:
            template, args = "unix socket %s", [self.uds]
        else:
            host = "0.0.0.0" if self.host is None else self.host
            template = "%s://[%s]:%d" if ":" in host else "%s://%s:%d"
            args = ["https" if self.is_ssl else "http", host, listener.getsockname()[1]]
        color_message = message.format(style_address(template))
        logger.info(message.format(template), *args, extra={"color_message": color_message})


def _require_text(name: str, value: object) -> None:
    try:
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a str, not {value!r}")
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be valid UTF-8") from None


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def _web_concurrency() -> int:
    """The number of workers that the platform asks for."""
    given = os.environ.get("WEB_CONCURRENCY") or "1"
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"WEB_CONCURRENCY must be a positive number, not {given!r}")
    return int(given)


def default(name: str) -> Any:
    """The default of one setting."""
    return next(option.default for option in fields(Config) if option.name == name)
