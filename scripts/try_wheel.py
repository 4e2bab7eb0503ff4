"""Tries a wheel as a user without a compiler does: an empty environment, whose PATH has nothing else,
and a request to what it serves.

usage: python scripts/try_wheel.py WHEEL        the Python is the one that the wheel is for
"""

import os
import re
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path

APP = """
import fasterapi

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": fasterapi.__file__.encode()})
"""


def try_wheel(wheel: Path, folder: Path) -> str:
    """Installs and serves; the Server header of the answer, which says who answered."""
    environment = folder / "venv"
    venv.create(environment, with_pip=True)
    # As if activated, without what may lie elsewhere: compilers, and this project's sources.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env |= {"PATH": str(environment / "bin")}
    pip = [environment / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--only-binary", ":all:", wheel], env=env, cwd=folder, check=True)
    (folder / "main.py").write_text(APP, encoding="utf-8")
    command = [environment / "bin" / "fasterapi", "run", "main:app", "--port", "0"]
    with subprocess.Popen(command, env=env, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            lines = iter(server.stderr.readline, "")
            address = next(
                (found[1] for line in lines if (found := re.search(r"on (http://\S+)", line))), None
            )
            if address is None:
                raise SystemExit("the wheel's server did not start")
            with urllib.request.urlopen(address, timeout=30) as answer:
                assert Path(answer.read().decode()).is_relative_to(environment)
                return str(answer.headers["server"])
        finally:
            server.terminate()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        served_by = try_wheel(Path(sys.argv[1]).resolve(), Path(scratch).resolve())
    print(f"{Path(sys.argv[1]).name}: installed without a compiler, answers as {served_by}")
