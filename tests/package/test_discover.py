"""Targets: what the user types, and which application is served for it."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import HELLO, Process

from fasterapi import discover

Project = Callable[..., Path]
Start = Callable[..., Process]

SAYS = """
def says(text):
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text})
    return app
"""


def says(name: str, text: str) -> str:
    return f"{SAYS}\n{name} = says(b{text!r})\n"


PACKAGE = {
    "src/pkg/__init__.py": "",
    "src/pkg/sub/__init__.py": "",
    "src/pkg/sub/web.py": says("app", "deep"),
}

SERVED: list[tuple[list[str], dict[str, str], bytes]] = [
    (["hello"], {}, b"hello"),
    (["hello.py"], {}, b"hello"),
    (["hello.py:app"], {}, b"hello"),
    (["./hello.py"], {}, b"hello"),
    (["web:holder.inner"], {"web.py": says("app", "no") + "class holder: inner = says(b'in')"}, b"in"),
    (["web"], {"web.py": says("api", "api")}, b"api"),
    (["web"], {"web.py": says("api", "api") + "app = says(b'app')"}, b"app"),
    (["web"], {"web.py": "import app\n" + says("api", "api"), "app.py": ""}, b"api"),
    (["dir/web.py"], {"dir/web.py": says("app", "dir")}, b"dir"),
    (["dir/web.py:other"], {"dir/web.py": says("other", "other")}, b"other"),
    (["dir"], {"dir/main.py": says("app", "dir")}, b"dir"),
    (["dir/"], {"dir/api.py": says("app", "dir")}, b"dir"),
    (["."], {"app.py": says("app", "here")}, b"here"),
    (["pkg"], {"pkg/__init__.py": says("app", "pkg")}, b"pkg"),
    (["pkg"], {"pkg/__init__.py": "", "pkg/main.py": says("app", "pkg.main")}, b"pkg.main"),
    (["pkg"], {"pkg/__init__.py": "", "pkg/app/api.py": says("app", "pkg.app.api")}, b"pkg.app.api"),
    (["pkg"], {"pkg/__init__.py": says("app", "pkg"), "pkg/main.py": says("app", "no")}, b"pkg"),
    (
        ["pkg", "--factory"],
        {"pkg/__init__.py": "", "pkg/app.py": says("made", "made") + "def create_app(): return made"},
        b"made",
    ),
    (["pkg/__init__.py"], {"pkg/__init__.py": says("app", "pkg")}, b"pkg"),
    (
        ["src/pkg/sub/web.py"],
        PACKAGE | {"src/pkg/sub/web.py": "from . import __name__\n" + says("app", "sub")},
        b"sub",
    ),
    (["pkg.sub.web:app", "--app-dir", "src"], PACKAGE, b"deep"),
    (["--app-dir", "src"], {"src/main.py": says("app", "src")}, b"src"),
    ([], {"main.py": says("app", "main"), "app.py": says("app", "no")}, b"main"),
    ([], {"app.py": says("app", "app"), "api.py": says("app", "no")}, b"app"),
    ([], {"api.py": says("app", "api"), "app/main.py": says("app", "no")}, b"api"),
    ([], {"app/main.py": says("app", "app/main"), "app/app.py": says("app", "no")}, b"app/main"),
    ([], {"app/__init__.py": "", "app/api.py": "from app import __name__\n" + says("app", "rel")}, b"rel"),
    (["web", "--factory"], {"web.py": says("made", "made") + "def create_app(): return made"}, b"made"),
    (["web:make", "--factory"], {"web.py": says("made", "made") + "def make(): return made"}, b"made"),
]


@pytest.mark.parametrize(
    ("arguments", "files", "answer"),
    SERVED,
    ids=[f"{' '.join(row[0]) or 'nothing'}-{row[2].decode()}" for row in SERVED],
)
def test_served(arguments: list[str], files: dict[str, str], answer: bytes, start: Start) -> None:
    process = start("run", *arguments, "--port", "0", files=files)
    assert process.get() == (200, answer)
    assert process.stop() == 0


def test_factory_without_the_flag_is_called_with_a_warning(start: Start) -> None:
    process = start("web:make", "--port", "0", files={"web.py": f"{HELLO}\ndef make(): return app"})
    assert process.get() == (200, b"hello")
    process.stop()
    assert process.err[0].startswith("WARNING:  ASGI app factory detected. Using it, but please consider")


def test_the_file_is_imported_once(start: Start) -> None:
    process = start("web.py", "--port", "0", files={"web.py": "print('imported', flush=True)\n" + HELLO})
    assert process.stop() == 0
    assert process.out == ["imported"]


@pytest.mark.parametrize("name", ["os.py", "sys.py"])
def test_a_file_that_python_would_not_import_is_refused(name: str, start: Start) -> None:
    process = start(name, "--port", "0", files={name: HELLO})
    assert process.wait() == 3
    assert f'Python already has a module "{name.removesuffix(".py")}".' in process.err[-1]


def test_a_name_with_a_dot_is_refused(project: Project) -> None:
    folder = project(**{"my.app.py": HELLO})
    with pytest.raises(discover.NotFound, match=r'"my\.app" is no name for a module'):
        discover.locate(str(folder / "my.app.py"))


class FastAPI:
    """Stands for the framework's class, which need not be installed."""

    __module__ = "fastapi.applications"

    def __call__(self) -> None: ...


class App:
    """The same of ours, which needs Starlette."""

    __module__ = "fasterapi.app"

    def __call__(self) -> None: ...


class Subclass(FastAPI):
    __module__ = "mine"


async def coroutine_app(scope: object, receive: object, send: object) -> None: ...


def plain() -> None: ...


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({"app": coroutine_app, "api": FastAPI()}, "app"),
        ({"app": plain, "api": FastAPI()}, "api"),
        ({"app": plain, "service": Subclass()}, "service"),
        ({"zebra": FastAPI(), "mule": FastAPI()}, "mule"),
        ({"app": plain, "site": App()}, "site"),
        ({"app": plain}, "app"),
        ({"app": 1, "api": plain}, "api"),
        ({"app": sys, "other": coroutine_app}, None),
        ({}, None),
    ],
)
def test_which_object(names: dict[str, object], found: str | None) -> None:
    module = types.ModuleType("module")
    vars(module).update(names)
    if found is not None:
        assert discover.find_application(module) == found
        return
    with pytest.raises(discover.NotFound, match='No application found in module "module"'):
        discover.find_application(module)
