"""The options of ``fasterapi run``: one table, in uvicorn's names, types and defaults.

Each is also read from ``FASTERAPI_`` and its Python name in capitals. Options that this version
does not act on are hidden; ``Config`` refuses any value of theirs but the default.
"""

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from fasterapi import limits
from fasterapi.config import WEBSOCKET_CHOICES, default
from fasterapi.logging import LOG_LEVELS

Command = TypeVar("Command", bound=Callable[..., Any])


if TYPE_CHECKING:
    TextType = click.ParamType[str]
else:
    TextType = click.ParamType  # generic since click 8.3 only


class Loop(TextType):
    """The name of an event loop, or ``module:factory``."""

    name = "text"
    names = ("auto", "asyncio", "uvloop")

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join(self.names)}|MODULE:FACTORY]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if ":" not in value and value not in (*self.names, "none"):
            similar = difflib.get_close_matches(value, self.names, n=1)
            hint = f" Did you mean '{similar[0]}'?" if similar else ""
            self.fail(
                f"'{value}' is not one of {', '.join(self.names)}, and no module:factory.{hint}", param, ctx
            )
        return value


class HeaderField(TextType):
    """``NAME:VALUE``, taken apart; what either may hold is checked by ``Config``."""

    name = "text"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "NAME:VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name, colon, text = value.partition(":")
        if not colon:
            self.fail(f"{value!r} is no NAME:VALUE.", param, ctx)
        return name, text


class Integer(click.IntRange):
    """An integer within bounds, called "integer" in messages."""

    name = "integer"


class Seconds(click.FloatRange):
    """Seconds within bounds, also of a fraction."""

    name = "float"


class GroupedOption(click.Option):
    """An option that knows under which heading the help shows it."""

    def __init__(self, *args: Any, group: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.group = group

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """The option, and the variable only where the value came from it."""
        hint = f"'{self.opts[0]}'"
        source = None if ctx is None else ctx.get_parameter_source(self.name or "")
        return f"{hint} (from {self.envvar})" if source is ParameterSource.ENVIRONMENT else hint


class GroupedCommand(click.Command):
    """A command whose help lists its options by group, in the order of their first appearance."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        # What has no group, --version and --help, comes last.
        options.sort(key=lambda option: not isinstance(option, GroupedOption))
        groups: dict[str, list[tuple[str, str]]] = {}
        for option in options:
            if (record := option.get_help_record(ctx)) is not None:
                groups.setdefault(getattr(option, "group", "Other"), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)


_SHOWN_DEFAULT: dict[str, str | bool] = {
    "root_path": False,
    "log_level": "info",
    "forwarded_allow_ips": "$FORWARDED_ALLOW_IPS, or 127.0.0.1,::1",
    "workers": "$WEB_CONCURRENCY, else 1",
    "use_colors": "on a terminal",
    "app_dir": "the working directory",
    "limit_connections": "90 % of the file descriptors",
}

# Where the command line cannot show or name the default of the Python interface.
_OWN_DEFAULT = {"app_dir": "", "log_config": None}

_PORT = Integer(0, 65535)
_COUNT = Integer(min=0, max=2**31 - 1)
_SECONDS = Integer(min=0, max=limits.LONGEST)
_SOME_SECONDS = Integer(min=1, max=limits.LONGEST)
_TIME = Seconds(min=0, max=limits.LONGEST)
_BITS = Integer(9, 15)
_SIZE = Integer(min=1, max=limits.MOST_BYTES)
_NUMBER = Integer(min=1, max=limits.MOST)

# Group, option, type, help. The default and the variable follow from the name.
_SHOWN: tuple[tuple[str, str, Any, str], ...] = (
    (
        "Application",
        "--factory",
        bool,
        "TARGET is a callable without arguments that returns the application.",
    ),
    ("Application", "--app-dir", str, "Import the application from this directory."),
    ("Application", "--loop", Loop(), "The event loop; auto is fasterapi's own."),
    (
        "Application",
        "--lifespan",
        click.Choice(["auto", "on", "off"]),
        "Whether the application has start-up and shutdown.",
    ),
    (
        "Application",
        "--interface",
        click.Choice(["auto", "asgi3", "asgi2", "wsgi"]),
        "How the application is called.",
    ),
    (
        "Application",
        "--reset-contextvars",
        bool,
        "Start each request from an empty context, not the lifespan's.",
    ),
    ("Binding", "--host", str, "Address or host name to listen on."),
    ("Binding", "--port", _PORT, "Port to listen on; 0 takes a free one."),
    ("Binding", "--uds", str, "Listen on a Unix domain socket at this path instead."),
    ("Binding", "--fd", _COUNT, "Listen on the socket that is open at this file descriptor instead."),
    ("Binding", "--backlog", Integer(min=1, max=2**31 - 1), "Connections that may wait to be accepted."),
    ("Processes", "--workers", Integer(min=1, max=1024), "Processes that serve."),
    ("HTTP", "--root-path", str, "The path below which a proxy serves the application (ASGI's root_path)."),
    (
        "HTTP",
        "--proxy-headers/--no-proxy-headers",
        bool,
        "Whether X-Forwarded-For and X-Forwarded-Proto of trusted proxies set client and scheme.",
    ),
    ("HTTP", "--forwarded-allow-ips", str, "Addresses and networks of trusted proxies, by commas; * is all."),
    ("HTTP", "--server-header/--no-server-header", bool, "Whether responses say `server: fasterapi`."),
    ("HTTP", "--date-header/--no-date-header", bool, "Whether responses carry the date."),
    (
        "WebSocket",
        "--ws",
        click.Choice(WEBSOCKET_CHOICES),
        "Whether there are WebSockets: all but none is fasterapi's own.",
    ),
    ("WebSocket", "--ws-max-size", Integer(min=1, max=limits.MOST), "Bytes of a message, inflated (1009)."),
    ("WebSocket", "--ws-max-queue", _SIZE, "Messages that may wait for the application."),
    ("WebSocket", "--ws-ping-interval", _TIME, "Seconds between two pings; 0: none."),
    ("WebSocket", "--ws-ping-timeout", _TIME, "Seconds in which a ping must be answered; 0: any."),
    (
        "WebSocket",
        "--ws-close-timeout",
        Seconds(min=0.1, max=limits.LONGEST),
        "Seconds that a client has to answer a close.",
    ),
    (
        "WebSocket",
        "--ws-per-message-deflate",
        click.BOOL,
        "Whether messages are compressed for clients that offer permessage-deflate.",
    ),
    (
        "WebSocket",
        "--ws-server-no-context-takeover",
        bool,
        "Compress each message on its own: less memory, more bytes.",
    ),
    (
        "WebSocket",
        "--ws-client-no-context-takeover",
        bool,
        "Have clients compress each message on its own.",
    ),
    ("WebSocket", "--ws-server-max-window-bits", _BITS, "Base-2 logarithm of the window to compress with."),
    ("WebSocket", "--ws-client-max-window-bits", _BITS, "The same of clients that let it be chosen."),
    ("WebSocket", "--ws-deflate-level", Integer(1, 3), "ISA-L's level: 1 is fast, 3 is small."),
    (
        "WebSocket",
        "--ws-deflate-memory-level",
        Integer(1, 9),
        "Of what was sent, 2^(level + 5) bytes are kept for later messages to refer to.",
    ),
    (
        "WebSocket",
        "--ws-deflate-threshold",
        Integer(min=0, max=limits.MOST_BYTES),
        "Bytes below which a message is sent as it is.",
    ),
    ("Timeouts", "--timeout-keep-alive", _SECONDS, "Seconds after which an idle connection is closed."),
    (
        "Timeouts",
        "--timeout-graceful-shutdown",
        _COUNT,
        "Seconds that requests have to finish when the server stops.",
    ),
    (
        "Timeouts",
        "--timeout-request-head",
        _SOME_SECONDS,
        "Seconds in which a request's head must be whole (408).",
    ),
    (
        "Timeouts",
        "--timeout-request-body",
        _SOME_SECONDS,
        "Seconds in which more of a request's body must come (408).",
    ),
    (
        "Timeouts",
        "--min-body-rate",
        Integer(min=0, max=limits.MOST_BYTES),
        "Bytes a second that a body must come in at, seen over --timeout-request-body; 0: any.",
    ),
    (
        "Timeouts",
        "--timeout-write",
        _SOME_SECONDS,
        "Seconds in which a client must take some of an answer that waits for it.",
    ),
    ("Limits", "--limit-request-line", _SIZE, "Bytes of a request's first line (414)."),
    ("Limits", "--limit-request-head", _SIZE, "Bytes of a request's head, and of its trailers (431)."),
    ("Limits", "--limit-request-fields", _SIZE, "Headers of a request (431)."),
    ("Limits", "--limit-body-size", Integer(min=0, max=limits.MOST), "Bytes of a request's body (413)."),
    (
        "Limits",
        "--limit-concurrency",
        _NUMBER,
        "Connections, or requests at work, at which a further request is answered 503.",
    ),
    ("Limits", "--limit-connections", _NUMBER, "Connections at which further ones wait to be accepted."),
    ("Limits", "--limit-max-requests", _COUNT, "Stop after so many requests."),
    (
        "Limits",
        "--limit-max-requests-jitter",
        _COUNT,
        "Add a random number up to this to --limit-max-requests.",
    ),
    (
        "Logging",
        "--log-level",
        click.Choice(list(LOG_LEVELS), case_sensitive=False),
        "The least severity that is logged.",
    ),
    (
        "Logging",
        "--log-config",
        click.Path(exists=True, dir_okay=False),
        "Logging configuration: .json, .yaml, or else .ini.",
    ),
    ("Logging", "--access-log/--no-access-log", bool, "Whether each request is logged."),
    ("Logging", "--use-colors/--no-use-colors", bool, "Whether the log is coloured."),
)

# The same, of what may be given more than once.
_SHOWN_REPEATED: tuple[tuple[str, str, Any, str], ...] = (
    ("HTTP", "--header", HeaderField(), "A header for every response."),
    (
        "WebSocket",
        "--ws-allowed-origin",
        str,
        "A value of Origin that may open a WebSocket (else 403); none: the application decides.",
    ),
)

# Option, type, whether it may be repeated. Known, so that a uvicorn command line gets a clear answer.
_HIDDEN: tuple[tuple[str, Any, bool], ...] = (
    ("--reload", bool, False),
    ("--reload-dir", click.Path(exists=True), True),
    ("--reload-include", str, True),
    ("--reload-exclude", str, True),
    ("--reload-delay", float, False),
    ("--http", str, False),
    ("--http2", bool, False),
    ("--env-file", click.Path(exists=True), False),
    ("--timeout-worker-healthcheck", int, False),
    ("--ssl-keyfile", str, False),
    ("--ssl-certfile", str, False),
    ("--ssl-keyfile-password", str, False),
    ("--ssl-version", int, False),
    ("--ssl-cert-reqs", int, False),
    ("--ssl-ca-certs", str, False),
    ("--ssl-ciphers", str, False),
    ("--h11-max-incomplete-event-size", int, False),
)


def _option(
    group: str, flags: str, kind: Any, text: str, *, repeated: bool = False, hidden: bool = False
) -> Any:
    name = flags.partition("/")[0].removeprefix("--").replace("-", "_") + ("s" if repeated else "")
    attributes: dict[str, Any] = {"is_flag": True} if kind is bool else {"type": kind}
    if not repeated:
        attributes["default"] = _OWN_DEFAULT[name] if name in _OWN_DEFAULT else default(name)
    return click.option(
        flags,
        name,
        cls=GroupedOption,
        group=group,
        help=text,
        multiple=repeated,
        hidden=hidden,
        envvar=f"FASTERAPI_{name.upper()}",
        show_envvar=True,
        show_default=_SHOWN_DEFAULT.get(name, "on" if attributes.get("default") is True else True),
        **attributes,
    )


def serving_options(command: Command) -> Command:
    """Gives a command every option of this module."""
    options = [_option(*row) for row in _SHOWN]
    options += [_option(*row, repeated=True) for row in _SHOWN_REPEATED]
    options += [
        _option("", flags, kind, "", repeated=repeated, hidden=True) for flags, kind, repeated in _HIDDEN
    ]
    for option in reversed(options):
        command = option(command)
    return command
