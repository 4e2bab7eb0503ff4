"""Log records as text: the formatters of the default configuration, the default itself, and its use.

The names, the fields and the lines are uvicorn's, so that a configuration written for it needs
only the package name changed. ``access_sink`` decides whether access lines need Python at all.
"""

import copy
import importlib
import io
import json
import logging
import logging.config
import os
import select
import sys
from collections.abc import Callable
from configparser import RawConfigParser
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, ClassVar, Literal

import click

TRACE_LOG_LEVEL = 5

LOG_LEVELS: dict[str, int] = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE_LOG_LEVEL,
}

ACCESS_FORMAT = '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s'

LOGGING_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "default": {
            "()": "fasterapi.logging.DefaultFormatter",
            "fmt": "%(levelprefix)s %(message)s",
            "use_colors": None,
        },
        "access": {
            "()": "fasterapi.logging.AccessFormatter",
            "fmt": ACCESS_FORMAT,
            "use_colors": None,
        },
    },
    "handlers": {
        "default": {
            "formatter": "default",
            "class": "fasterapi.logging.ImpatientHandler",
            "stream": "ext://sys.stderr",
        },
        "access": {"formatter": "access", "class": "logging.StreamHandler", "stream": "ext://sys.stdout"},
    },
    "loggers": {
        "fasterapi": {"handlers": ["default"], "level": "INFO", "propagate": False},
        "fasterapi.error": {"level": "INFO"},
        "fasterapi.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
    },
}


class ColourizedFormatter(logging.Formatter):
    """Adds ``%(levelprefix)s``, coloured when the stream is a terminal.

    A record with ``extra={"color_message": ...}`` uses that text instead of its own where colours
    are in use.
    """

    level_name_colors: ClassVar[dict[int, str]] = {
        TRACE_LOG_LEVEL: "blue",
        logging.DEBUG: "cyan",
        logging.INFO: "green",
        logging.WARNING: "yellow",
        logging.ERROR: "red",
        logging.CRITICAL: "bright_red",
    }

    def __init__(
        self,
        fmt: str | None = None,
        datefmt: str | None = None,
        style: Literal["%", "{", "$"] = "%",
        use_colors: bool | None = None,
    ) -> None:
        super().__init__(fmt=fmt, datefmt=datefmt, style=style)
        self.use_colors = self.should_use_colors() if use_colors is None else use_colors

    def should_use_colors(self) -> bool:
        return _is_terminal(sys.stdout)

    def color_level_name(self, level_name: str, level_no: int) -> str:
        color = self.level_name_colors.get(level_no)
        return level_name if color is None else click.style(level_name, fg=color)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        level = record.levelname
        padding = " " * (8 - len(level))
        if self.use_colors:
            level = self.color_level_name(level, record.levelno)
            color_message = record.__dict__.get("color_message")
            if color_message is not None:
                record.msg = color_message
                record.message = record.getMessage()
        record.levelprefix = f"{level}:{padding}"
        return super().formatMessage(record)


class DefaultFormatter(ColourizedFormatter):
    def should_use_colors(self) -> bool:
        return _is_terminal(sys.stderr)


class AccessFormatter(ColourizedFormatter):
    """Formats records whose ``args`` are (client address, method, path, HTTP version, status)."""

    status_code_colors: ClassVar[dict[int, str]] = {
        1: "bright_white",
        2: "green",
        3: "yellow",
        4: "red",
        5: "bright_red",
    }

    def get_status_code(self, status_code: int) -> str:
        try:
            text = f"{status_code} {HTTPStatus(status_code).phrase}"
        except ValueError:
            text = f"{status_code} "
        color = self.status_code_colors.get(status_code // 100)
        return click.style(text, fg=color) if self.use_colors and color else text

    def formatMessage(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client_addr, method, full_path, http_version, status_code = record.args
            request_line = f"{method} {full_path} HTTP/{http_version}"
            record.client_addr = client_addr
            record.request_line = click.style(request_line, bold=True) if self.use_colors else request_line
            record.status_code = self.get_status_code(int(str(status_code)))
        return super().formatMessage(record)


if TYPE_CHECKING:
    TextHandler = logging.StreamHandler[Any]
else:
    TextHandler = logging.StreamHandler  # generic since Python 3.11 only


class ImpatientHandler(TextHandler):
    """``logging.StreamHandler`` that does not wait for whoever should read the log, but for a moment.

    A log that nobody reads fills its pipe; the next record would stop the event loop, and with it the
    server. Records that are not taken within ``PATIENCE`` seconds are dropped; once one is taken again, a
    line says how many were.
    """

    PATIENCE: ClassVar[float] = 0.1
    _PIECE: ClassVar[int] = 4096  # what a pipe that is ready takes without waiting: PIPE_BUF

    _patience = PATIENCE
    _dropped = 0
    _broken_off = False  # in the middle of a record

    def emit(self, record: logging.LogRecord) -> None:
        fd = _descriptor(self.stream)
        if fd is None:
            super().emit(record)
            return
        try:
            text = self.format(record) + self.terminator
            if self._dropped:
                start = self.terminator if self._broken_off else ""
                text = f"{start}({self._dropped} log records were not read in time){self.terminator}{text}"
            data = text.encode(self.stream.encoding or "utf-8", "backslashreplace")
        except Exception:
            self.handleError(record)
            return
        left = self._write(fd, data)
        if not left:
            self._dropped, self._patience, self._broken_off = 0, self.PATIENCE, False
        else:
            # Nobody waits twice for a reader who does not read.
            self._dropped, self._patience = self._dropped + 1, 0.0
            self._broken_off |= left < len(data)

    def _write(self, fd: int, data: bytes) -> int:
        """The number of bytes that were not taken."""
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        view = memoryview(data)
        try:
            while view:
                ready = poll.poll(self._patience * 1000)
                if not ready or not ready[0][1] & select.POLLOUT:
                    break
                view = view[os.write(fd, view[: self._PIECE]) :]
        except OSError:  # the disk is full, the reader has gone
            pass
        return len(view)


def _descriptor(stream: Any) -> int | None:
    """The file descriptor of one of Python's own text streams."""
    if type(stream) is not io.TextIOWrapper:
        return None
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


LogConfig = dict[str, Any] | str | os.PathLike[str] | RawConfigParser | IO[Any] | None


def configure(log_config: LogConfig, use_colors: bool | None) -> LogConfig:
    """Applies a configuration in any of its forms; returns it as applied.

    ``None`` leaves the loggers as they are. Raises ``ValueError`` naming the file that is no use.
    """
    logging.addLevelName(TRACE_LOG_LEVEL, "TRACE")
    if log_config is None:
        return None
    if isinstance(log_config, os.PathLike):
        log_config = os.fspath(log_config)
    if isinstance(log_config, dict):
        if use_colors is not None:
            log_config = _with_colors(log_config, use_colors)
        logging.config.dictConfig(log_config)
        return log_config
    try:
        _configure_from_file(log_config)
    except Exception as error:
        # configparser's and yaml's messages run over several lines, KeyError's is a bare name.
        reason = " ".join(str(error).split())
        if isinstance(error, ModuleNotFoundError) and error.name == "yaml":
            reason += " (pip install pyyaml)"
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        raise ValueError(f"log config {log_config!r}: {type(error).__name__}: {reason}{cause}") from error
    return log_config


def _configure_from_file(source: str | RawConfigParser | IO[Any]) -> None:
    if isinstance(source, str):
        if not os.path.isfile(source):
            raise FileNotFoundError(f"no such file: {source}")
        if source.endswith(".json"):
            with open(source, encoding="utf-8") as file:
                logging.config.dictConfig(json.load(file))
            return
        if source.endswith((".yaml", ".yml")):
            yaml = importlib.import_module("yaml")
            with open(source, encoding="utf-8") as file:
                logging.config.dictConfig(yaml.safe_load(file))
            return
    logging.config.fileConfig(source, disable_existing_loggers=False)


def _with_colors(log_config: dict[str, Any], use_colors: bool) -> dict[str, Any]:
    """A copy in which our formatters are told whether to use colours; the caller's dict stays as it was."""
    formatters = dict(log_config.get("formatters", {}))
    for name, formatter in formatters.items():
        if "use_colors" in formatter or str(formatter.get("()", "")).startswith("fasterapi.logging."):
            formatters[name] = {**formatter, "use_colors": use_colors}
    return {**log_config, "formatters": formatters}


def style_address(text: str) -> str:
    return click.style(text, bold=True)


def style_pid(text: str) -> str:
    return click.style(text, fg="cyan")


def log_process(message: str) -> None:
    """Logs a message with the number of this process at its ``%d``."""
    color_message = message.replace("%d", style_pid("%d"))
    logging.getLogger("fasterapi.error").info(message, os.getpid(), extra={"color_message": color_message})


def _is_terminal(stream: Any) -> bool:
    # sys.stdout is None under pythonw and in some daemons.
    return stream is not None and bool(stream.isatty())


AccessSink = Callable[[str, str, str, str, int], object] | int | None


def access_sink(enabled: bool) -> AccessSink:
    """What the native server does with access records, read off the loggers as they are now.

    A file descriptor only where Python's logging would write the very same bytes: nothing but
    our own untouched handler on standard output. Everything else goes through the logger, so that
    filters, handlers and formats of the user see each record.
    """
    logger = logging.getLogger("fasterapi.access")
    if not enabled or not logger.hasHandlers() or not logger.isEnabledFor(logging.INFO):
        return None
    if (fd := _plain_stdout(logger)) is not None:
        return fd

    def record(client_addr: str, method: str, full_path: str, http_version: str, status_code: int) -> None:
        logger.info('%s - "%s %s HTTP/%s" %d', client_addr, method, full_path, http_version, status_code)

    return record


def _plain_stdout(logger: logging.Logger) -> int | None:
    """The descriptor of standard output if that is all that ``logger`` amounts to."""
    if type(logger) is not logging.Logger or logger.filters or logger.propagate or len(logger.handlers) != 1:
        return None
    if logging.getLogRecordFactory() is not logging.LogRecord:
        return None
    handler = logger.handlers[0]
    if type(handler) is not logging.StreamHandler or handler.filters or handler.level > logging.INFO:
        return None
    formatter = handler.formatter
    if type(formatter) is not AccessFormatter or formatter.use_colors or formatter._fmt != ACCESS_FORMAT:
        return None
    stream = handler.stream
    if stream is not sys.stdout or not isinstance(stream, io.TextIOWrapper):
        return None
    if (fd := _descriptor(stream)) is None:
        return None
    # The handler that is passed over flushed the stream after each line, and so what the
    # application prints. Without this a print() into a pipe would wait for a full buffer.
    stream.reconfigure(line_buffering=True)
    return fd
