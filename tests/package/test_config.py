"""Config and run: uvicorn's fields, order and defaults; what is refused; logging; the choice of a loop."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import logging
import re
import socket
from configparser import RawConfigParser
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from uvicorn_options import CONFIG_ORDER, OPTIONS, OWN_DEFAULTS, OWN_OPTIONS

import fasterapi
from fasterapi import Config, _native
from fasterapi.config import LOGGING_CONFIG, UNSUPPORTED, UnsupportedOption
from fasterapi.importer import ImportFromStringError, import_from_string
from fasterapi.lifespan import NoLifespan


async def app(scope: Any, receive: Any, send: Any) -> None: ...


CONFIG = inspect.signature(Config).parameters
RUN = inspect.signature(fasterapi.run).parameters


def test_exports() -> None:
    assert set(fasterapi.__all__) == {"Config", "Server", "main", "run", "__version__"}
    assert fasterapi.__version__ == _native.__version__
    assert (Path(fasterapi.__file__).parent / "py.typed").exists()


def test_positional_order_is_uvicorns() -> None:
    assert list(CONFIG) == ["app", *CONFIG_ORDER.split(), *(name for *_, name in OWN_OPTIONS)]
    kinds = {parameter.kind for parameter in CONFIG.values()}
    assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


def test_defaults_are_uvicorns() -> None:
    config = Config(app)
    for _, kind, default, name in (*OPTIONS, *OWN_OPTIONS):
        if name in ("app_dir", "log_config", "forwarded_allow_ips"):
            continue
        expected = OWN_DEFAULTS.get(name, 1 if name == "workers" else [] if kind.endswith("*") else default)
        assert getattr(config, name) == expected, name
    assert config.forwarded_allow_ips == "127.0.0.1,::1"
    assert config.timeout_notify == 30
    assert config.callback_notify is None
    assert config.log_config is LOGGING_CONFIG


def test_run_takes_what_config_takes() -> None:
    not_in_run = {"timeout_notify", "callback_notify"}
    assert set(RUN) - {"app_dir"} == set(CONFIG) - not_in_run
    for name, parameter in RUN.items():
        if name == "app":
            assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
            continue
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, name
        if name == "log_config":
            assert parameter.default is LOGGING_CONFIG
        elif name != "app_dir":
            assert parameter.default == CONFIG[name].default, name


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_setting_without_effect_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedOption, match=f"^{name}=") as caught:
        Config(app, **{name: "something"})
    assert (caught.value.option, caught.value.value) == (name, "something")


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_its_default_is_accepted(name: str) -> None:
    default = next(field.default for field in fields(Config) if field.name == name)
    Config(app, **{name: default})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lifespan": "maybe"}, "lifespan must be one of auto, on, off"),
        ({"ws": "magic"}, "ws must be one of auto, none, websockets"),
        ({"ws_max_size": 0}, "ws_max_size must lie between 1"),
        ({"ws_server_max_window_bits": 8}, "ws_server_max_window_bits must lie between 9 and 15"),
        ({"ws_ping_interval": -1}, "ws_ping_interval must not be negative"),
        ({"interface": "asgi4"}, "interface must be one of"),
        ({"log_level": "loud"}, "log_level must be one of critical, error"),
        ({"port": 65536}, "port must lie between 0 and 65535"),
        ({"backlog": 0}, "backlog must be positive"),
        ({"workers": 0}, "workers must be positive"),
        ({"timeout_keep_alive": -1}, "timeout_keep_alive must not be negative"),
        ({"timeout_graceful_shutdown": -1}, "timeout_graceful_shutdown must not be negative"),
        ({"limit_max_requests": -1}, "limit_max_requests must not be negative"),
        ({"fd": -1}, "fd must not be negative"),
        ({"root_path": 5}, "root_path must be a str, not 5"),
        ({"root_path": "\ud800"}, "root_path must be valid UTF-8"),
        ({"limit_body_size": -1}, "limit_body_size must not be negative, and is -1"),
        ({"limit_body_size": 1.5}, r"limit_body_size must be an integer, not 1\.5"),
        ({"limit_concurrency": 0}, "limit_concurrency must lie between 1 and 9223372036854775807, and is 0"),
        ({"limit_connections": True}, "limit_connections must be an integer, not True"),
        ({"limit_request_line": None}, "limit_request_line must be an integer, not None"),
        ({"limit_request_head": 2**31}, "limit_request_head must lie between 1 and 2147483647, and is 2147"),
        ({"timeout_request_head": 0}, r"timeout_request_head must lie between 0\.1 and 31536000, and is 0"),
        ({"timeout_write": "60"}, "timeout_write must be a number, not '60'"),
        ({"headers": [("a\0", "b")]}, "header 'a\\\\x00' has a name that no header may have"),
        ({"headers": [("a", "b\0")]}, "header 'a' has a value that no header may have"),
        ({"log_config": "no/such.yaml"}, "log config 'no/such.yaml': FileNotFoundError"),
    ],
)
def test_impossible_values(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(app, **options)


@pytest.mark.parametrize(("given", "workers"), [("3", 3), ("", 1), ("1", 1)])
def test_the_platform_may_say_how_many_workers(
    given: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", given)
    assert Config("module:app").workers == workers
    assert Config("module:app", workers=2).workers == 2


@pytest.mark.parametrize("given", ["0", "many", "-1", "1.5"])
def test_a_number_of_workers_that_is_none(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", given)
    with pytest.raises(ValueError, match=f"WEB_CONCURRENCY must be a positive number, not '{given}'"):
        Config("module:app")


def test_derived_properties() -> None:
    config = Config("module:app")
    assert (config.is_ssl, config.use_subprocess, config.should_reload) == (False, False, False)
    assert (config.asgi_version, config.loaded) == ("3.0", False)
    assert Config(app, interface="asgi2").asgi_version == "2.0"


def test_load() -> None:
    config = Config(app, server_header=False)
    config.load()
    assert (config.loaded, config.loaded_app, config.encoded_headers) == (True, app, [])
    with pytest.raises(RuntimeError):
        config.load()
    config = Config(app, headers=[("X-A", " 1"), ["Server", "s"]])
    config.load()
    assert config.encoded_headers == [(b"x-a", b"1"), (b"server", b"s")]
    named = Config("json:loads")
    assert named.load_app() is json.loads


class DoubleCallable:
    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        await send((self.scope["asgi"]["version"], await receive()))


class Callable3:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


def sync_app(scope: Any, receive: Any, send: Any) -> Any:
    """Returns the coroutine itself, as decorators do."""
    return app(scope, receive, send)


def made_with(default: Any = None) -> Any:
    return app


async def swallows_all(*args: Any) -> None: ...


def wsgi(environ: Any, start_response: Any) -> Any: ...


def wsgi_and_more(environ: Any, start_response: Any, extra: Any = None) -> Any: ...


class WSGIClass:
    def __init__(self, env: Any, start: Any) -> None: ...
    def __iter__(self) -> Any: ...


class WSGIInstance:
    def __call__(self, env: Any, start: Any) -> Any: ...


class Router:
    """ASGI 3 by an awaitable class, as Starlette's endpoints."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...


async def of_two_arguments(one: Any, two: Any) -> None: ...


def optional_third(scope: Any, receive: Any, send: Any = None) -> Any: ...


class DoubleInstance:
    def __call__(self, scope: Any) -> Any: ...


@pytest.mark.parametrize(
    ("given", "interface"),
    [
        *((each, "wsgi") for each in (wsgi, wsgi_and_more, WSGIClass, WSGIInstance())),
        *((each, "asgi2") for each in (DoubleCallable, DoubleInstance(), lambda scope, more=None: None)),
        *(
            (each, "asgi3")
            for each in (app, Callable3(), Callable3().__call__, sync_app, swallows_all, Router)
        ),
        *((each, "asgi3") for each in (of_two_arguments, optional_third)),
    ],
)
def test_interface_is_recognised(given: Any, interface: str) -> None:
    config = Config(given)
    config.load()
    assert config.interface == interface
    assert (config.lifespan_class is NoLifespan) is (interface == "wsgi")


@pytest.mark.parametrize(
    ("given", "version", "same"),
    [
        (app, "3.0", True),
        (Callable3(), "3.0", True),
        (sync_app, "3.0", True),
        (swallows_all, "3.0", True),
        (DoubleCallable, "2.0", False),
        (made_with, "3.0", False),
        (Callable3, "3.0", False),
    ],
)
def test_what_kind_of_application(given: Any, version: str, same: bool) -> None:
    config = Config(given)
    config.load()
    assert config.asgi_version == version
    assert (config.loaded_app is given) is same


def test_double_callable_is_called_in_two_steps() -> None:
    config = Config(DoubleCallable)
    config.load()
    sent: list[Any] = []

    async def receive() -> str:
        return "event"

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(config.loaded_app({"asgi": {"version": "3.0"}}, receive, send))
    assert sent == [("2.0", "event")]


def test_import_from_string() -> None:
    assert import_from_string("json:decoder.JSONDecoder") is json.JSONDecoder
    assert import_from_string(app) is app
    with pytest.raises(ImportFromStringError, match=r'must be in format "<module>:<attribute>"'):
        import_from_string("json")


@pytest.mark.parametrize(
    ("loop", "module"),
    [("auto", "fasterapi.loop"), ("asyncio", "asyncio.unix_events"), ("uvloop", "uvloop")],
)
def test_loop_by_name(loop: str, module: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    factory = Config(app, loop=loop).get_loop_factory()
    made = factory()
    made.close()
    assert type(made).__module__ == module


def test_loop_by_other_means() -> None:
    assert Config(app, loop="none").get_loop_factory() is None
    assert Config(app, loop="asyncio:SelectorEventLoop").get_loop_factory() is asyncio.SelectorEventLoop
    assert Config(app, loop=asyncio.new_event_loop).get_loop_factory() is asyncio.new_event_loop


@pytest.mark.parametrize("loop", ["nope:new", "json:nope", "json"])
def test_loop_that_does_not_exist(loop: str) -> None:
    with pytest.raises(SystemExit) as caught:
        Config(app, loop=loop).get_loop_factory()
    assert caught.value.code == 3


def as_file(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(json.dumps(config))
    return path


INI = """
[loggers]
keys=root,fasterapi
[handlers]
keys=
[formatters]
keys=
[logger_root]
handlers=
[logger_fasterapi]
level=ERROR
handlers=
qualname=fasterapi.error
"""


@pytest.mark.parametrize("form", ["dict", "json", "path", "ini", "parser", "stream"])
def test_forms_of_log_config(form: str, tmp_path: Path) -> None:
    wanted = {
        "version": 1,
        "disable_existing_loggers": False,
        "loggers": {"fasterapi.error": {"level": "ERROR"}},
    }
    parser = RawConfigParser()
    parser.read_string(INI)
    (tmp_path / "log.ini").write_text(INI)
    given: Any = {
        "dict": wanted,
        "json": str(as_file(tmp_path / "log.json", wanted)),
        "path": tmp_path / "log.json",
        "ini": str(tmp_path / "log.ini"),
        "parser": parser,
        "stream": io.StringIO(INI),
    }[form]
    Config(app, log_config=given)
    assert logging.getLogger("fasterapi.error").level == logging.ERROR


def test_yaml_log_config(tmp_path: Path) -> None:
    path = tmp_path / "log.yaml"
    path.write_text("version: 1\ndisable_existing_loggers: false\nloggers: {fasterapi.error: {level: ERROR}}")
    try:
        import yaml  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match=r"ModuleNotFoundError: No module named 'yaml'"):
            Config(app, log_config=str(path))
        return
    Config(app, log_config=str(path))
    assert logging.getLogger("fasterapi.error").level == logging.ERROR


def test_no_log_config_leaves_the_loggers_alone() -> None:
    logger = logging.getLogger("fasterapi")
    logger.handlers = []
    logger.setLevel(logging.CRITICAL)
    Config(app, log_config=None)
    assert (logger.handlers, logger.level) == ([], logging.CRITICAL)


@pytest.mark.parametrize("level", ["debug", "DEBUG", logging.DEBUG])
def test_log_level(level: str | int) -> None:
    Config(app, log_level=level)
    for name in ("error", "access", "asgi"):
        assert logging.getLogger(f"fasterapi.{name}").level == logging.DEBUG


def test_colors_are_told_to_the_formatters_and_not_to_the_callers_dict() -> None:
    own = {"formatters": {"own": {"format": "%(message)s"}, **LOGGING_CONFIG["formatters"]}}
    given = {**LOGGING_CONFIG, **own}
    config = Config(app, log_config=given, use_colors=True)
    assert isinstance(config.log_config, dict)
    used = {name: each.get("use_colors") for name, each in config.log_config["formatters"].items()}
    assert used == {"own": None, "default": True, "access": True}
    assert given["formatters"]["default"]["use_colors"] is None
    assert LOGGING_CONFIG["formatters"]["default"]["use_colors"] is None


def test_no_access_log_silences_the_logger() -> None:
    Config(app, access_log=False)
    assert not logging.getLogger("fasterapi.access").hasHandlers()


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("localhost", "localhost")]
)
def test_bind_socket_announces(host: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Config(app, host=host, port=0).bind_socket() as bound:
        assert bound.get_inheritable()
        port = bound.getsockname()[1]
    line = f"INFO:     FasterAPI running on http://{shown}:{port} (Press CTRL+C to quit)\n"
    assert capsys.readouterr().err == line


def test_bind_socket_in_use_exits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as caught:
        Config(app, port=taken.getsockname()[1]).bind_socket()
    assert caught.value.code == 3


def test_bind_socket_uds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.sock"
    with Config(app, uds=str(path)).bind_socket() as bound:
        assert bound.family == socket.AF_UNIX
        assert path.stat().st_mode & 0o777 == 0o666
    assert f"FasterAPI running on unix socket {path} (Press CTRL+C to quit)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"port": "8000"}, "port must be an integer, not '8000'"),
        ({"backlog": 1.5}, "backlog must be an integer, not 1.5"),
        ({"workers": "2"}, "workers must be an integer, not '2'"),
        ({"timeout_keep_alive": None}, "timeout_keep_alive must be a number, not None"),
    ],
)
def test_values_of_a_wrong_kind_are_named(setting: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Config("hello:app", **setting)  # type: ignore[arg-type]


def test_a_timeout_may_be_a_part_of_a_second() -> None:
    """Not by its type, but uvicorn takes it."""
    assert Config("hello:app", timeout_keep_alive=0.5).timeout_keep_alive == 0.5  # type: ignore[arg-type]
