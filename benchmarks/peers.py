"""How each server is started, with one worker, HTTP/1 and no access log; and which versions they are.

Everything else is left as the server's authors set it. uvloop is asked for by name wherever a server
offers it, so that a run fails instead of silently measuring a slower loop.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUBJECT = "fasterapi"
LIMIT = "limit"

# Distributions whose versions decide the figures, besides the servers' own.
LIBRARIES = ("uvloop", "httptools", "h11", "starlette", "fastapi", "pydantic")


@dataclass(frozen=True)
class Server:
    """One server: its name in the tables, its distribution, and its command."""

    name: str
    distribution: str
    arguments: tuple[str, ...]
    # What idle.py adds, so that thousands of silent connections are accepted and kept for a while.
    many_idle: tuple[str, ...] = ()
    # What the deflated row adds, where permessage-deflate is off unless asked for; None: the server has none.
    deflate: tuple[str, ...] | None = ()
    # The server prints the port it took, instead of being given one.
    prints_port: bool = False

    def command(self, python: str, limit: Path, app: str, port: int) -> list[str]:
        """The command that serves `app` ("module:attribute") on the port."""
        values = {"python": python, "limit": str(limit), "app": app, "port": str(port)}
        return [argument.format(**values) for argument in self.arguments]

    def shown(self) -> str:
        """The command as a reader would type it, with no path of this machine in it."""
        values = {"python": "python", "limit": "fasterapi_limit", "app": "APP", "port": "PORT"}
        return " ".join(argument.format(**values) for argument in self.arguments)


def _python_module(module: str, options: str) -> tuple[str, ...]:
    return ("{python}", "-m", module, *options.split())


SERVERS: dict[str, Server] = {
    server.name: server
    for server in (
        Server(LIMIT, "", ("{limit}", "0"), prints_port=True),
        Server(
            SUBJECT,
            "fasterapi",
            _python_module("fasterapi", "run {app} --port {port} --no-access-log"),
            many_idle=("--timeout-keep-alive", "120"),
        ),
        Server(
            "peregrine",
            "peregrine-server",
            # uvloop is its default where installed; there is no option that insists.
            _python_module(
                "peregrine",
                "--host 127.0.0.1 --port {port} --workers 1 --protocol asgi --no-http2"
                " --log-level warning {app}",
            ),
            many_idle=("--keep-alive", "120000", "--max-connections", "8192"),
            deflate=("--ws-compress",),
        ),
        Server(
            "granian",
            "granian",
            _python_module(
                "granian",
                "--host 127.0.0.1 --port {port} --workers 1 --interface asgi --http 1 --loop uvloop"
                " --no-access-log --log-level warning {app}",
            ),
            # By default it stops accepting at 1,024 connections (its back-pressure).
            many_idle=("--backpressure", "8192"),
            deflate=None,
        ),
        Server(
            "h2corn",
            "h2corn",
            _python_module(
                "h2corn", "--host 127.0.0.1 --port {port} --workers 1 --loop uvloop --no-access-log {app}"
            ),
        ),
        Server(
            "uvicorn",
            "uvicorn",
            _python_module(
                "uvicorn",
                "--host 127.0.0.1 --port {port} --workers 1 --loop uvloop --http httptools"
                " --no-access-log --log-level warning {app}",
            ),
            many_idle=("--timeout-keep-alive", "120"),
        ),
        Server(
            "hypercorn",
            "hypercorn",
            # Its default worker is plain asyncio; uvloop is the faster one that it offers.
            _python_module(
                "hypercorn",
                "--bind 127.0.0.1:{port} --workers 1 --worker-class uvloop --log-level warning {app}",
            ),
            many_idle=("--keep-alive", "120"),
        ),
        Server(
            "socketify",
            "socketify",
            # Built upon uWebSockets; the loop is libuv's, with asyncio stepped inside it.
            _python_module("socketify", "{app} --interface asgi --host 127.0.0.1 --port {port} --workers 1"),
            deflate=("--ws-per-message-deflate", "true"),
        ),
    )
}

_READ_VERSIONS = """
import importlib.metadata, json, platform, sys
found = {"python": platform.python_implementation() + " " + platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
try:
    import fasterapi._native
    found["fasterapi"] = getattr(fasterapi, "__version__", "of an unknown version")
except ImportError:
    pass
json.dump(found, sys.stdout)
"""


def environment() -> dict[str, str]:
    """The caller's, with this folder first on the path of imports.

    The folder and not the tree's root: there an installed fasterapi would be hidden by its source.
    To measure one built inside the tree, name the root in PYTHONPATH.
    """
    folders = [str(HERE)]
    folders += [
        os.path.abspath(folder) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder
    ]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def read_versions(python: str) -> dict[str, str]:
    """The versions of what `python` has installed, "python" among them; what is missing is left out."""
    names = [server.distribution for server in SERVERS.values() if server.distribution]
    command = [python, "-c", _READ_VERSIONS, *names, *LIBRARIES]
    found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE, env=environment())
    versions: dict[str, str] = json.loads(found.stdout)
    return versions


def why_missing(server: Server, versions: dict[str, str], limit: Path) -> str | None:
    """Why the server cannot be measured here, or None if it can."""
    if server.name == LIMIT:
        return None if limit.exists() else "not built (cmake -DFASTERAPI_BENCHMARKS=ON, or --limit)"
    return None if server.distribution in versions else f"{server.distribution} is not installed for --python"
