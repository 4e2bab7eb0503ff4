"""The command line: its options against uvicorn's, its errors as one line each, its exit codes."""

from __future__ import annotations

import platform
import re
import socket
from collections.abc import Callable
from typing import Any

import click
import pytest
from commandline import Process
from uvicorn_options import OPTIONS, OWN_DEFAULTS, OWN_OPTIONS

from fasterapi.cli import main
from fasterapi.config import UNSUPPORTED

Start = Callable[..., Process]

run_command = main.commands["run"]
ours = {param.name: param for param in run_command.params if isinstance(param, click.Option)}


ALL = (*OPTIONS, *OWN_OPTIONS)


def kind_of(option: click.Option) -> str:
    if option.is_flag:
        return "flag"
    if isinstance(option.type, click.Choice):
        return "|".join(option.type.choices)
    repeated = "*" if option.multiple else ""
    return ("path" if isinstance(option.type, click.Path) else option.type.name) + repeated


@pytest.mark.parametrize(("flags", "kind", "default", "name"), ALL, ids=[row[3] for row in ALL])
def test_option_is_uvicorns(flags: str, kind: str, default: Any, name: str) -> None:
    option = ours[name]
    assert option.opts + option.secondary_opts == flags.split("/")
    assert kind_of(option) == kind
    assert option.envvar == f"FASTERAPI_{name.upper()}"
    with click.Context(run_command) as ctx:
        value, _ = option.consume_value(ctx, {})
        value = option.process_value(ctx, value)
    assert value == OWN_DEFAULTS.get(name, default)


def test_no_option_is_unknown_to_the_table() -> None:
    assert {name for name in ours if name not in ("version", "help")} == {row[3] for row in ALL}


NOT_DEFAULT = {
    "reload_dirs": ".",
    "env_file": ".",
    "reload": None,
    "http2": None,
}


@pytest.mark.parametrize("name", [name for name in UNSUPPORTED if name in ours])
def test_an_option_that_does_nothing_is_refused_by_name(name: str, start: Start) -> None:
    option = ours[name]
    flag = option.secondary_opts[0] if option.secondary_opts else option.opts[0]
    values = [] if option.is_flag else [NOT_DEFAULT.get(name) or "77"]
    process = start("hello:app", flag, *values)
    assert process.wait() == 2
    [line] = process.err
    assert line.startswith(f"Error: {option.opts[0]}")
    assert " is not available in fasterapi 0.1.0: only its default, " in line


WSGI = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'w']\n"


@pytest.mark.parametrize("options", [["--interface", "wsgi"], []])
def test_wsgi_without_its_package_says_what_to_install(options: list[str], start: Start) -> None:
    files = {"plain.py": WSGI, "a2wsgi.py": "raise ModuleNotFoundError('none', name='a2wsgi')"}
    process = start("plain:app", *options, files=files)
    assert process.wait() == 3
    [line] = [line for line in process.err if not line.startswith("INFO:")]
    assert line == (
        "ERROR:    Error loading WSGI app. It needs the package a2wsgi: pip install 'fasterapi[wsgi]'."
    )


def test_wsgi_from_a_file(start: Start) -> None:
    process = start("plain.py", "--port", "0", files={"plain.py": WSGI})
    assert process.get() == (200, b"w")
    assert process.stop() == 0


def test_a_directory_that_is_not_there(start: Start) -> None:
    process = start("hello:app", "--app-dir", "nowhere")
    assert process.wait() == 2
    assert process.err == ["Error: Invalid value for --app-dir: There is no directory 'nowhere'."]


def test_defaults_of_such_options_may_be_given(start: Start) -> None:
    given = ["--workers", "1", "--proxy-headers", "--ws", "auto", "--http", "auto", "--ws-max-queue", "32"]
    assert start("hello:app", "--port", "0", *given).stop() == 0


ERRORS: list[tuple[list[str], int, str]] = [
    (["hello:app", "--port", "x"], 2, "Error: Invalid value for '--port': 'x' is not a valid integer."),
    (["hello:app", "--port", "65536"], 2, "Error: Invalid value for '--port': 65536 is not in the range"),
    (
        ["hello:app", "--backlog", "0"],
        2,
        "Error: Invalid value for '--backlog': 0 is not in the range 1<=x<=2147483647.",
    ),
    (
        ["hello:app", "--limit-request-fields", "0"],
        2,
        "Error: Invalid value for '--limit-request-fields': 0 is not in the range 1<=x<=2147483647.",
    ),
    (["hello:app", "--limit-body-size", "1M"], 2, "'--limit-body-size': '1M' is not a valid integer."),
    (["hello:app", "--timeout-write", "0"], 2, "'--timeout-write': 0 is not in the range 1<=x<=31536000."),
    (["hello:app", "--lifespan", "maybe"], 2, "Error: Invalid value for '--lifespan': 'maybe' is not one of"),
    (["hello:app", "--log-level", "loud"], 2, "Error: Invalid value for '--log-level': 'loud' is not one of"),
    (
        ["hello:app", "--log-config", "x.json"],
        2,
        "Error: Invalid value for '--log-config': File 'x.json' does",
    ),
    (
        ["hello:app", "--log-config", "bad.json"],
        2,
        "Error: log config 'bad.json': JSONDecodeError: Expecting",
    ),
    (["hello:app", "--log-config", "bad.ini"], 2, "Error: log config 'bad.ini': "),
    (
        ["hello:app", "--log-config", "odd.json"],
        2,
        "Error: log config 'odd.json': ValueError: Unable to conf",
    ),
    (["hello:app", "--loop", "uvlop"], 2, "module:factory. Did you mean 'uvloop'?"),
    (["hello:app", "--loop", "nope:new"], 3, 'Error loading event loop. Could not import module "nope".'),
    (["hello:app", "--loop", "json:new"], 3, 'Error loading event loop. Attribute "new" not found in module'),
    (["hello:app", "--loop", "os:getpid"], 3, "Error loading event loop. The factory returned"),
    (["hello:app", "--header", "x-a"], 2, "Error: Invalid value for '--header': 'x-a' is no NAME:VALUE."),
    (["hello:app", "--header", "x a:1"], 2, "Error: header 'x a' has a name that no header may have"),
    (["hello:app", "--header", ":1"], 2, "Error: header '' has a name that no header may have"),
    (["hello:app", "--header", "a:1\r\nb:2"], 2, "Error: header 'a' has a value that no header may have"),
    (["hello:app", "--header", "a:1\n"], 2, "Error: header 'a' has a value that no header may have"),
    (["hello:app", "--header", "a:\u20ac"], 2, "Error: header 'a': '\u20ac' is not Latin-1"),
    (["hello:app", "--header", "Content-Length:1"], 2, "Error: header 'Content-Length' is the server's own"),
    (["hello:app", "--root-path", "\udcff"], 2, "root_path must be valid UTF-8"),
    (
        ["odd:number"],
        3,
        'ERROR:    Error loading ASGI app. "odd:number" is of type int, which cannot be called.',
    ),
    (
        ["odd:evil"],
        3,
        'ERROR:    Error loading ASGI app. "odd:evil" is of type Evil, which cannot be called.',
    ),
    (
        ["os:path"],
        3,
        'ERROR:    Error loading ASGI app. "os:path" is of type module, which cannot be called.',
    ),
    (["x" * 5000 + ":app"], 3, "is no name of a file or module: File name too long."),
    (["hello:app", "--prot", "1"], 2, "--port"),
    (["hello:app", "extra"], 2, "Error: Got unexpected extra argument (extra)"),
    (["rnu", "hello:app"], 2, "Error: No such command 'rnu'. Did you mean 'run'?"),
    (
        ["run"],
        2,
        "Error: No application given, and no main.py, app.py, api.py, app/main.py, app/app.py or app/",
    ),
    (["nope:app"], 3, 'ERROR:    Error loading ASGI app. Could not import module "nope".'),
    (["nope.deep:app"], 3, 'ERROR:    Error loading ASGI app. Could not import module "nope.deep".'),
    (["hello.deep:app"], 3, 'ERROR:    Error loading ASGI app. Could not import module "hello.deep".'),
    (["nope"], 3, 'ERROR:    Error loading ASGI app. Could not import module "nope".'),
    (["hello:nope"], 3, 'ERROR:    Error loading ASGI app. Attribute "nope" not found in module "hello".'),
    (
        ["hello:app.x.y"],
        3,
        'ERROR:    Error loading ASGI app. Attribute "app.x.y" not found in module "hello".',
    ),
    ([":app"], 3, 'ERROR:    Error loading ASGI app. Import string ":app" must be in format'),
    (["hello:"], 3, 'ERROR:    Error loading ASGI app. Import string "hello:" must be in format'),
    (["nope.py"], 3, 'ERROR:    Error loading ASGI app. File "nope.py" does not exist.'),
    (["no/such"], 3, 'ERROR:    Error loading ASGI app. Directory "no/such" does not exist.'),
    (["empty.py"], 3, 'ERROR:    Error loading ASGI app. No application found in module "empty"'),
    (["hello:app", "--factory"], 3, "ERROR:    Error loading ASGI app factory: app() missing 3 required"),
    (["hello:app", "--host", "no.such.invalid"], 3, "cannot listen on host 'no.such.invalid'"),
    (["hello:app", "--fd", "99"], 3, "cannot listen on file descriptor 99: Bad file descriptor"),
    (["hello:app", "--uds", "no/x.sock"], 3, "cannot bind to unix socket 'no/x.sock': No such file"),
    (["hello:app", "--uds", "x" * 200], 3, "AF_UNIX path too long"),
    (["hello:app", "--uds", "hello.py"], 3, "cannot bind to unix socket 'hello.py': the file is no socket"),
]

FILES = {
    "bad.json": "{",
    "odd.json": '{"version": 1, "handlers": {"x": {"class": "no.such.Class"}}}',
    "bad.ini": "loggers",
    "empty.py": "",
    "odd.py": "number = 5\nclass Evil:\n    def __getattribute__(self, name): raise RuntimeError(name)\nevil = Evil()\n",
}


@pytest.mark.parametrize(
    ("arguments", "code", "message"), ERRORS, ids=[" ".join(row[0])[:40] for row in ERRORS]
)
def test_error_is_one_line_with_its_exit_code(
    arguments: list[str], code: int, message: str, start: Start
) -> None:
    process = start(*arguments, files=FILES)
    assert process.wait() == code
    faults = [line for line in process.err if not line.startswith("INFO:")]
    assert len(faults) == 1, process.err
    assert message in faults[0]
    assert process.out == []


@pytest.mark.parametrize(
    ("source", "code"),
    [("raise SystemExit(5)", 5), ("raise GeneratorExit('unusual')", 3)],
)
def test_modules_that_raise_what_is_no_exception(source: str, code: int, start: Start) -> None:
    process = start("ends:app", files={"ends.py": source})
    assert process.wait() == code
    if code == 3:
        assert process.err[-1] == "GeneratorExit: unusual"
        assert not [line for line in process.err if "fasterapi/" in line]
    else:
        assert process.err == []


def test_port_in_use(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("hello:app", "--port", str(port))
        assert process.wait() == 3
    faults = [line for line in process.err if not line.startswith("INFO:")]
    address = f"('127.0.0.1', {port})"
    assert faults == [
        f"ERROR:    [Errno 98] error while attempting to bind on address {address}: address already in use"
    ]
    assert process.err[-1] == "INFO:     Application shutdown complete."


@pytest.mark.parametrize(
    ("target", "module", "shown"),
    [
        ("breaks:app", "breaks", ["ZeroDivisionError: division by zero"]),
        ("lacks:app", "lacks", ["ModuleNotFoundError: No module named 'not_installed'"]),
        ("breaks.py", "breaks", ["ZeroDivisionError: division by zero"]),
        ("wrong:app", "wrong", ['wrong.py", line 1', "SyntaxError"]),
    ],
)
def test_exception_of_the_users_module_is_shown_without_our_frames(
    target: str, module: str, shown: list[str], start: Start
) -> None:
    files = {"breaks.py": "1 / 0", "lacks.py": "import not_installed", "wrong.py": "app = ("}
    process = start(target, files=files)
    assert process.wait() == 3
    text = "\n".join(process.err)
    assert (
        process.err[0]
        == f'ERROR:    Error loading ASGI app. Importing "{target.removesuffix(".py")}" failed.'
    )
    for part in shown:
        assert part in text
    frames = re.findall(r'File "([^"]+)"', text)
    assert frames
    assert all(frame.endswith(f"/{module}.py") for frame in frames), frames


def test_exception_in_a_factory_is_shown_without_our_frames(start: Start) -> None:
    process = start("made:make", "--factory", files={"made.py": "def make():\n    return 1 / 0\n"})
    assert process.wait() == 3
    assert process.err[0] == "ERROR:    Error loading ASGI app factory."
    assert [frame.rpartition("/")[2] for frame in re.findall(r'File "([^"]+)"', "\n".join(process.err))] == [
        "made.py"
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "hello:app", "--port", "0"],
        ["hello:app", "--port", "0"],
        ["--port", "0", "hello:app"],
        ["run", "--port", "0", "hello:app"],
    ],
)
def test_run_may_be_left_out(arguments: list[str], start: Start) -> None:
    process = start(*arguments)
    assert process.get() == (200, b"hello")
    assert process.stop() == 0


@pytest.mark.parametrize("command", [[], ["run"]])
def test_everything_from_the_environment(command: list[str], start: Start) -> None:
    env = {
        "FASTERAPI_APP": "hello:app",
        "FASTERAPI_PORT": "0",
        "FASTERAPI_ACCESS_LOG": "false",
        "FASTERAPI_LOG_LEVEL": "info",
    }
    process = start(*command, env=env)
    assert process.get() == (200, b"hello")
    assert process.stop() == 0
    assert process.out == []


def test_an_option_goes_before_its_variable(start: Start) -> None:
    process = start("hello:app", "--port", "0", env={"FASTERAPI_PORT": "1", "FASTERAPI_APP": "nope:app"})
    assert process.get() == (200, b"hello")


def test_a_wrong_variable_is_named(start: Start) -> None:
    process = start("hello:app", env={"FASTERAPI_PORT": "x"})
    assert process.wait() == 2
    assert process.err == [
        "Error: Invalid value for '--port' (from FASTERAPI_PORT): 'x' is not a valid integer."
    ]


def test_version_variable_is_not_an_option(start: Start) -> None:
    """Images set such a variable for their own use."""
    assert start("hello:app", "--port", "0", env={"FASTERAPI_VERSION": "0.1.0"}).stop() == 0


@pytest.mark.parametrize("arguments", [["--version"], ["run", "--version"], ["hello:app", "--version"]])
def test_version(arguments: list[str], start: Start) -> None:
    process = start(*arguments)
    assert process.wait() == 0
    python = f"{platform.python_implementation()} {platform.python_version()}"
    assert process.out == [f"Running fasterapi 0.1.0 with {python} on {platform.system()}"]


def test_help_is_grouped_and_complete(start: Start) -> None:
    process = start("run", "--help", env={"COLUMNS": "200"})
    assert process.wait() == 0
    text = "\n".join(process.out)
    words = " ".join(text.split())
    headings = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert headings == [
        "Application",
        "Binding",
        "Processes",
        "HTTP",
        "WebSocket",
        "Timeouts",
        "Limits",
        "Logging",
        "Other",
    ]
    for name, option in ours.items():
        shown = option.opts[0] in text.split()
        assert shown is (name not in UNSUPPORTED), name
        if shown and name not in ("version", "help"):
            assert f"env var: FASTERAPI_{name.upper()}" in words
    assert "default: 127.0.0.1" in words
    assert "default: 30" in words
