"""What a user gets: the wheel by pip in a fresh environment, and the executable by cmake --install."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "dev"
SCRIPT = ROOT / "fasterapi" / "static" / "fasterapi.js"
VERSION = ".".join(map(str, sys.version_info[:2]))

APP = """
import multiprocessing
import os
import sys

import fasterapi
import fasterapi._native
from fasterapi.static import JAVASCRIPT

def child(queue):
    import fasterapi._native
    queue.put(fasterapi._native.__version__)

def spawned():
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    version = queue.get(timeout=30)
    process.join()
    return version

async def app(scope, receive, send):
    assert scope["type"] == "http"
    answers = {
        "/prefix": sys.prefix,
        "/package": os.path.dirname(fasterapi.__file__),
        "/native": str(fasterapi._native.__spec__.origin),
        "/executable": sys.executable,
        "/script": JAVASCRIPT.read_text("utf-8"),
        "/spawned": spawned() if scope["path"] == "/spawned" else "",
    }
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answers[scope["path"]].encode()})
"""


def run(*command: str | Path, **options: object) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def clean_environment(**extra: str) -> dict[str, str]:
    """No trace of the environment that the tests run in."""
    dropped = ("PYTHON", "VIRTUAL_ENV", "FASTERAPI_", "PYTEST")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | extra


@contextlib.contextmanager
def serving(
    folder: Path, *command: str | Path, env: dict[str, str], options: Sequence[str] = ()
) -> Iterator[str]:
    """The address of a server of APP, started in ``folder``; it must end well."""
    (folder / "main.py").write_text(APP, encoding="utf-8")
    process = subprocess.Popen(
        [*map(str, command), "run", "main:app", "--port", "0", *options],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = ""
    try:
        for line in process.stderr:
            log += line
            if found := re.search(r"running on (http://[\d.:]+)", line):
                break
        else:
            pytest.fail(f"it did not start:\n{log}")
        yield found[1]
        process.send_signal(signal.SIGINT)
        log += process.communicate(timeout=30)[1]
        assert process.returncode == 0, log
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ask(address: str, path: str) -> str:
    with urllib.request.urlopen(address + path, timeout=60) as answer:
        assert answer.headers["server"] == "fasterapi"
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with nothing in it."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    run(sys.executable, "-m", "venv", folder)
    return folder


# --- The wheel ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As it is released: by a profile, repaired."""
    folder = tmp_path_factory.mktemp("released")
    run(ROOT / "scripts" / "wheel", sys.executable, folder, env=clean_environment())
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def built(released: Path) -> Path:
    """What that was repaired from, as pip makes it: isolated, with what build-system.requires names and no more."""
    [wheel] = (ROOT / "build" / "wheel" / "built").glob("*.whl")
    return wheel


@pytest.fixture(params=["built", "released"])
def wheel(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.mark.timeout(900)
def test_the_wheel_holds_the_package_and_one_module(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    # What auditwheel adds has a folder of its own.
    own = {name for name in names if ".so" in name and not name.startswith("fasterapi.libs/")}
    assert own == {f"fasterapi/_native{suffix}"}
    kinds = {".py", ".pyi", ".typed", ".js"}
    sources = {path for path in (ROOT / "fasterapi").rglob("*") if path.suffix in kinds}
    assert SCRIPT in sources
    assert {path.relative_to(ROOT).as_posix() for path in sources} <= names
    assert not any(name.startswith(("tests/", "build/", "bin/", "lib/")) for name in names)


@pytest.mark.timeout(900)
def test_the_wheel_serves(wheel: Path, environment: Path, tmp_path: Path) -> None:
    env = clean_environment()
    run(environment / "bin" / "pip", "install", "--quiet", "--force-reinstall", wheel, env=env)
    command = environment / "bin" / "fasterapi"
    assert "Running fasterapi" in run(command, "--version", cwd=tmp_path, env=env)
    assert "Running fasterapi" in run(
        environment / "bin" / "python", "-m", "fasterapi", "--version", cwd=tmp_path, env=env
    )
    with serving(tmp_path, command, env=env) as address:
        assert ask(address, "/prefix") == str(environment)
        assert ask(address, "/package").startswith(str(environment))
        assert ask(address, "/script") == SCRIPT.read_text("utf-8")
        assert ask(address, "/spawned")


@pytest.mark.timeout(900)
def test_the_released_wheel_needs_nothing_of_the_system(released: Path) -> None:
    """Neither a compiler to install it, nor a library that every Linux does not have."""
    assert re.search(r"-manylinux_2_\d+_\w+\.whl$", released.name)
    output = run(sys.executable, ROOT / "scripts" / "try_wheel.py", released, env=clean_environment())
    assert "answers as fasterapi" in output


# --- The executable -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (BUILD / "asgi" / "fasterapi").exists():
        pytest.skip("the executable was not built: this Python has no library to embed")
    prefix = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BUILD, "--prefix", prefix, "--component", "executable")
    return prefix


def test_the_executable_needs_no_environment(installed: Path, tmp_path: Path) -> None:
    env = clean_environment()
    assert f"CPython {VERSION}" in run(installed / "bin" / "fasterapi", "--version", env=env, cwd=tmp_path)
    with serving(tmp_path, installed / "bin" / "fasterapi", env=env) as address:
        assert ask(address, "/package") == str(installed / "lib" / "fasterapi" / "fasterapi")
        assert ask(address, "/native") == "built-in"
        assert ask(address, "/script") == SCRIPT.read_text("utf-8")
        assert ask(address, "/spawned")


def test_the_executable_starts_workers(installed: Path, tmp_path: Path) -> None:
    """They are processes of the Python that it embeds, with the module that lies beside the package."""
    command = installed / "bin" / "fasterapi"
    with serving(tmp_path, command, env=clean_environment(), options=("--workers", "2")) as address:
        assert ask(address, "/package") == str(installed / "lib" / "fasterapi" / "fasterapi")
        assert ask(address, "/native").startswith(str(installed / "lib" / "fasterapi" / "fasterapi"))


def test_the_executable_finds_the_active_environment(installed: Path, tmp_path: Path) -> None:
    active = Path(sys.prefix)
    if active == Path(sys.base_prefix):
        pytest.skip("the tests run in no virtual environment")
    env = clean_environment(VIRTUAL_ENV=str(active))
    with serving(tmp_path, installed / "bin" / "fasterapi", env=env) as address:
        assert ask(address, "/prefix") == str(active)
        assert Path(ask(address, "/executable")).parent == active / "bin"
        assert ask(address, "/package") == str(installed / "lib" / "fasterapi" / "fasterapi")
        assert ask(address, "/native") == "built-in"
        assert ask(address, "/spawned")


def test_the_executable_finds_the_environment_it_lies_in(installed: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    run(sys.executable, "-m", "venv", "--without-pip", own)
    shutil.copytree(installed, own, dirs_exist_ok=True)
    with serving(tmp_path, own / "bin" / "fasterapi", env=clean_environment()) as address:
        assert ask(address, "/prefix") == str(own)


def test_an_environment_of_another_version_is_refused(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.9.2\n", encoding="utf-8")
    done = subprocess.run(
        [installed / "bin" / "fasterapi", "--version"],
        env=clean_environment(VIRTUAL_ENV=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    [line] = done.stderr.splitlines()
    assert "3.9" in line
    assert VERSION in line


def test_a_file_without_its_installation_says_so(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    lone = shutil.copy(installed / "bin" / "fasterapi", tmp_path / "bin" / "fasterapi")
    done = subprocess.run([lone], env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "cmake --install" in done.stderr


# --- What has to agree --------------------------------------------------------------------------


def test_the_version_is_the_same_everywhere() -> None:
    import fasterapi
    import fasterapi._native

    found = re.search(r"project\(fasterapi VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text("utf-8"))
    assert fasterapi.__version__ == fasterapi._native.__version__ == found[1]


def test_the_readme_has_every_option() -> None:
    from fasterapi.cli import main

    shown = {
        option.opts[0]
        for option in main.commands["run"].params
        if option.param_type_name == "option" and not getattr(option, "hidden", False)
    }
    listed = set(re.findall(r"^\| `(--[a-z-]+)` \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE))
    assert shown - {"--version"} == listed


def test_without_root_the_missing_packages_are_named(tmp_path: Path) -> None:
    if not Path("/usr/bin/dpkg-query").exists():
        pytest.skip("not a Debian system")
    for name, body in {"id": "echo 1000", "sudo": "exit 1", "dpkg-query": "exit 1"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [ROOT / "scripts" / "bootstrap", "build"],
        env=clean_environment(PATH=f"{tmp_path}:{os.environ['PATH']}"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "apt-get install" in done.stderr
    for package in ("libspdlog-dev", "libssl-dev", "zlib1g-dev"):
        assert package in done.stderr
