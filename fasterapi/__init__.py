"""fasterapi: a native ASGI server, used like uvicorn."""

from fasterapi.cli import main
from fasterapi.config import Config
from fasterapi.entry import run
from fasterapi.server import Server
from fasterapi.version import __version__

__all__ = ["Config", "Server", "__version__", "main", "run"]
