"""The servers that are measured: a name, or any command template.

Unlike those of the benchmarks they run by their defaults, since defaults are what is judged here, and with
the access log on, which clients try to write to. In a template {python} is the interpreter, {app}
"module:attribute" and {port} the port; without {app} the application and ``--port`` follow it, as uvicorn takes
them.
"""

from __future__ import annotations

import shlex

SUBJECT = "fasterapi"

SERVERS = {
    SUBJECT: "{python} -m fasterapi run {app} --port {port}",
    "uvicorn": "{python} -m uvicorn {app} --port {port}",
    "hypercorn": "{python} -m hypercorn --bind 127.0.0.1:{port} --access-logfile - {app}",
    "granian": "{python} -m granian --interface asgi --port {port} --access-log {app}",
}


def command(server: str, python: str, app: str, port: int) -> list[str]:
    """The command that serves ``app``; ``server`` is a name or a template."""
    template = SERVERS.get(server, server)
    if "{app}" not in template:
        template += " {app} --port {port}"
    values = {"python": python, "app": app, "port": str(port)}
    return [part.format(**values) for part in shlex.split(template)]
