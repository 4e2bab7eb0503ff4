"""The formatters, and when access lines may bypass Python's logging."""

from __future__ import annotations

import contextlib
import copy
import logging
import logging.config
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commandline import Process, get

from fasterapi.config import LOGGING_CONFIG
from fasterapi.logging import (
    AccessFormatter,
    ColourizedFormatter,
    DefaultFormatter,
    ImpatientHandler,
    access_sink,
)

Start = Callable[..., Process]


def record(level: int, message: str, *args: Any, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("fasterapi.error", level, __file__, 1, message, args, None)
    vars(made).update(extra)
    return made


@pytest.mark.parametrize(
    ("level", "prefix"),
    [
        (20, "INFO:     "),
        (30, "WARNING:  "),
        (40, "ERROR:    "),
        (10, "DEBUG:    "),
        (5, "TRACE:    "),
        (50, "CRITICAL: "),
    ],
)
def test_level_prefix(level: int, prefix: str) -> None:
    logging.addLevelName(5, "TRACE")
    formatter = DefaultFormatter("%(levelprefix)s %(message)s", use_colors=False)
    assert formatter.format(record(level, "hi %d", 1, color_message="no")) == f"{prefix}hi 1"


def test_colors() -> None:
    formatter = ColourizedFormatter("%(levelprefix)s %(message)s", use_colors=True)
    coloured = formatter.format(record(logging.INFO, "hi %d", 1, color_message="HI %d"))
    assert coloured == "\x1b[32mINFO\x1b[0m:     HI 1"


def access(*args: Any) -> logging.LogRecord:
    return record(logging.INFO, '%s - "%s %s HTTP/%s" %d', *args)


@pytest.mark.parametrize(("status", "shown"), [(200, "200 OK"), (404, "404 Not Found"), (599, "599 ")])
def test_access_line(status: int, shown: str) -> None:
    formatter = AccessFormatter(LOGGING_CONFIG["formatters"]["access"]["fmt"], use_colors=False)
    line = formatter.format(access("127.0.0.1:9", "GET", "/a?b=1", "1.1", status))
    assert line == f'INFO:     127.0.0.1:9 - "GET /a?b=1 HTTP/1.1" {shown}'


def test_access_line_in_colour() -> None:
    formatter = AccessFormatter('"%(request_line)s" %(status_code)s', use_colors=True)
    line = formatter.format(access("-", "GET", "/", "1.1", 404))
    assert line == '"\x1b[1mGET / HTTP/1.1\x1b[0m" \x1b[31m404 Not Found\x1b[0m'


def test_the_default_configuration_is_not_changed_by_use() -> None:
    before = copy.deepcopy(LOGGING_CONFIG)
    logging.config.dictConfig(LOGGING_CONFIG)
    assert before == LOGGING_CONFIG


@contextlib.contextmanager
def default_logging(folder: Path) -> Iterator[logging.Logger]:
    """The access logger in its default configuration, with a file for standard output.

    No fixture, because pytest exchanges sys.stdout between a fixture and its test.
    """
    with (folder / "stdout").open("w") as stdout, contextlib.redirect_stdout(stdout):
        logging.config.dictConfig(LOGGING_CONFIG)
        yield logging.getLogger("fasterapi.access")


def test_untouched_logging_needs_no_python(tmp_path: Path) -> None:
    with default_logging(tmp_path):
        assert access_sink(True) == sys.stdout.fileno()


CHANGES: dict[str, Callable[[logging.Logger], object]] = {
    "filter": lambda logger: logger.addFilter(lambda _: True),
    "handler filter": lambda logger: logger.handlers[0].addFilter(lambda _: True),
    "second handler": lambda logger: logger.addHandler(logging.NullHandler()),
    "other handler": lambda logger: setattr(logger, "handlers", [logging.NullHandler()]),
    "handler level": lambda logger: logger.handlers[0].setLevel(logging.ERROR),
    "propagation": lambda logger: setattr(logger, "propagate", True),
    "other format": lambda logger: logger.handlers[0].setFormatter(AccessFormatter("%(client_addr)s")),
    "other formatter": lambda logger: logger.handlers[0].setFormatter(logging.Formatter("%(message)s")),
    "colours": lambda logger: setattr(logger.handlers[0].formatter, "use_colors", True),
    "other stream": lambda logger: logger.handlers[0].setStream(sys.stderr),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_logging_gets_each_record(change: str, tmp_path: Path) -> None:
    with default_logging(tmp_path) as logger:
        assert isinstance(access_sink(True), int)
        CHANGES[change](logger)
        assert callable(access_sink(True))


def test_own_record_factory_gets_each_record(tmp_path: Path) -> None:
    class Own(logging.LogRecord):
        pass

    with default_logging(tmp_path):
        logging.setLogRecordFactory(Own)
        try:
            assert callable(access_sink(True))
        finally:
            logging.setLogRecordFactory(logging.LogRecord)


def test_no_records(tmp_path: Path) -> None:
    with default_logging(tmp_path) as logger:
        assert access_sink(False) is None
        logger.setLevel(logging.WARNING)
        assert access_sink(True) is None
        logger.setLevel(logging.INFO)
        logging.disable(logging.INFO)
        try:
            assert access_sink(True) is None
        finally:
            logging.disable(logging.NOTSET)
        logger.handlers = []
        assert access_sink(True) is None


def test_record_arguments(tmp_path: Path) -> None:
    seen: list[Any] = []

    def look(record: logging.LogRecord) -> bool:
        seen.append((record.args, record.levelno))
        return True

    with default_logging(tmp_path) as logger:
        logger.addFilter(look)
        sink = access_sink(True)
        assert callable(sink)
        sink("127.0.0.1:1", "GET", "/x", "1.1", 204)
    assert seen == [(("127.0.0.1:1", "GET", "/x", "1.1", 204), logging.INFO)]
    assert (tmp_path / "stdout").read_text() == 'INFO:     127.0.0.1:1 - "GET /x HTTP/1.1" 204 No Content\n'


ACCESS_LINE = r'^INFO:     127\.0\.0\.1:\d+ - "GET /a%20b\?c=d HTTP/1\.1" 200 OK$'

FILTERED = """
import logging
import hello

class Health(logging.Filter):
    def filter(self, record):
        client, method, path, version, status = record.args
        return path != "/health"

logging.getLogger("fasterapi.access").addFilter(Health())
app = hello.app
"""


def test_access_line_of_the_native_path(start: Start) -> None:
    process = start("hello:app", "--port", "0")
    process.get("/a%20b?c=d")
    process.expect(ACCESS_LINE, process.out)


def test_access_line_of_the_logger_is_the_same(start: Start) -> None:
    process = start("filtered:app", "--port", "0", files={"filtered.py": FILTERED})
    process.get("/health")
    process.get("/a%20b?c=d")
    process.expect(ACCESS_LINE, process.out)
    process.stop()
    assert len(process.out) == 1


def test_a_filter_added_in_the_lifespan_is_heard(start: Start) -> None:
    files = {
        "late.py": """
        import logging, hello
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                logging.getLogger("fasterapi.access").addFilter(lambda record: record.args[2] != "/health")
            await hello.app(scope, receive, send)
        """
    }
    process = start("late:app", "--port", "0", files=files)
    process.get("/health")
    process.get("/other")
    process.stop()
    assert ["/other" in line for line in process.out] == [True]


def test_print_is_not_held_back(start: Start) -> None:
    """The handler that is passed over would have flushed the stream."""
    files = {
        "talks.py": "import hello\nasync def app(*args):\n    print('said')\n    await hello.app(*args)\n"
    }
    process = start("talks:app", "--port", "0", "--lifespan", "off", files=files)
    process.get()
    process.expect("^said$", process.out)


def test_no_access_log(start: Start) -> None:
    process = start("hello:app", "--port", "0", "--no-access-log")
    process.get()
    process.stop()
    assert process.out == []


def test_colours_on_request(start: Start) -> None:
    process = start("hello:app", "--port", "0", "--use-colors")
    process.expect("\x1b\\[32mINFO\x1b\\[0m:     Started server process \\[\x1b\\[36m\\d+\x1b\\[0m\\]")
    place = process.expect("FasterAPI running on \x1b\\[1mhttp://127.0.0.1:(\\d+)\x1b\\[0m \\(Press")
    get(int(place[1]))
    process.expect('\x1b\\[1mGET / HTTP/1.1\x1b\\[0m" \x1b\\[32m200 OK\x1b\\[0m', process.out)


def test_configuration_changed_by_the_user(start: Start) -> None:
    script = """
    import fasterapi
    import fasterapi.config
    from hello import app
    formatters = fasterapi.config.LOGGING_CONFIG["formatters"]
    formatters["default"]["fmt"] = "MINE %(message)s"
    formatters["access"]["fmt"] = "MINE %(client_addr)s %(request_line)s %(status_code)s"
    fasterapi.run(app, port=0)
    """
    process = start(script=script)
    process.get()
    process.expect(r"^MINE 127.0.0.1:\d+ GET / HTTP/1.1 200 OK$", process.out)
    process.stop()
    assert all(line.startswith("MINE ") for line in process.err)


def test_without_configuration_the_root_logger_gets_everything(start: Start) -> None:
    script = """
    import logging, fasterapi
    from hello import app
    logging.basicConfig(level="INFO", format="%(name)s|%(message)s")
    fasterapi.run(app, port=0, log_config=None)
    """
    process = start(script=script)
    process.get()
    process.expect(r'^fasterapi.access\|127.0.0.1:\d+ - "GET / HTTP/1.1" 200$')
    process.expect(r"^fasterapi.error\|FasterAPI running on")
    assert process.stop() == 0


def test_trace_shows_messages_without_their_bodies(start: Start) -> None:
    process = start("hello:app", "--port", "0", "--log-level", "trace")
    process.get()
    process.stop()
    trace = [line for line in process.err if line.startswith("TRACE:    ")]
    assert any("ASGI [1] Started scope={'type': 'lifespan'" in line for line in trace)
    assert any("ASGI [2] Send {'type': 'http.response.body', 'body': '<5 bytes>'}" in line for line in trace)
    assert trace[-1].endswith("ASGI [1] Completed")


# --- A log that nobody reads ---------------------------------------------------------------------


@pytest.fixture
def unread() -> Iterator[tuple[ImpatientHandler, int]]:
    """A handler on a pipe, and the pipe's end to read."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with open(writer, "w", encoding="utf-8") as stream:
        handler = ImpatientHandler(stream)
        handler.PATIENCE = handler._patience = 0.001  # type: ignore[misc]
        yield handler, reader
    os.close(reader)


def test_records_that_are_read_are_whole(unread: tuple[ImpatientHandler, int]) -> None:
    handler, reader = unread
    handler.emit(record(logging.INFO, "one \N{SNOWMAN}"))
    handler.emit(record(logging.INFO, "x" * 20_000))
    assert os.read(reader, 100_000).decode() == "one \N{SNOWMAN}\n" + "x" * 20_000 + "\n"


def test_records_that_are_not_read_are_dropped_and_counted(unread: tuple[ImpatientHandler, int]) -> None:
    handler, reader = unread
    for number in range(3000):
        handler.emit(record(logging.INFO, f"{number} " + "x" * 95))
    kept = os.read(reader, 1_000_000).decode()
    assert kept.endswith("\n")
    handler.emit(record(logging.INFO, "read again"))
    handler.emit(record(logging.INFO, "and again"))
    dropped = 3000 - kept.count("\n")
    assert dropped > 1000
    assert os.read(reader, 1000).decode().splitlines() == [
        f"({dropped} log records were not read in time)",
        "read again",
        "and again",
    ]


def test_a_record_that_was_broken_off_ends_its_line(unread: tuple[ImpatientHandler, int]) -> None:
    handler, reader = unread
    handler.emit(record(logging.INFO, "x" * 1_000_000))
    assert set(os.read(reader, 1_000_000)) == {ord("x")}
    handler.emit(record(logging.INFO, "next"))
    assert os.read(reader, 1000).decode() == "\n(1 log records were not read in time)\nnext\n"


def test_S16_log_that_nobody_reads_does_not_stop_the_server(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(HELLO, encoding="utf-8")
    command = [sys.executable, "-m", "fasterapi", "run", "hello:app", "--port", "0", "--no-access-log"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            port = next(int(found[1]) for line in process.stderr if (found := re.search(r":(\d+) \(", line)))
            for _ in range(1500):  # a line of the log for each
                with socket.create_connection(("127.0.0.1", port)) as client:
                    client.sendall(b"G\0\r\n")
                    assert client.recv(12) == b"HTTP/1.1 400"
            assert get(port) == (200, b"hello")
        finally:
            process.terminate()
            process.stderr.read()


HELLO = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})
"""
