"""Runs the tests of the numbered rows (``rows.txt``) against servers and prints what became of each row.

The exit code is 1 if a row failed with the server of ``--server-command``; peers are only told about.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .collect import FAILED
from .peers import PEERS
from .report import markdown, summary, table, verdicts
from .rows import FOLDERS, ROOT, read_rows

SUBJECT = "{python} -m fasterapi run"


def main() -> int:
    options = arguments()
    rows = read_rows()
    subject = "fasterapi" if options.server_command == SUBJECT else "server"
    servers = {subject: options.server_command}
    for peer in PEERS if "all" in options.peers else options.peers:
        servers[peer] = f"{{python}} -m conformance.asgi.launch {peer} {shlex.quote(options.peers_python)}"
    results = {name: run(name, command, options.rows) for name, command in servers.items()}
    if options.rows:
        asked = {row for found in results.values() for result in found for row in result["rows"]}
        rows = {name: row for name, row in rows.items() if name in asked}
    by_server = {name: verdicts(rows, found) for name, found in results.items()}
    if options.json:
        Path(options.json).write_text(json.dumps({"rows": by_server, "tests": results}, indent=1))
    if options.markdown:
        print(markdown(rows, by_server, {name: versioned(name, options.peers_python) for name in servers}))
    else:
        print(table(rows, by_server), summary(rows, by_server), sep="\n\n")
    return int(FAILED in by_server[subject].values())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.asgi", description=__doc__)
    parser.add_argument(
        "--server-command",
        default=SUBJECT,
        help="command that starts a server with uvicorn's options; {python} is this interpreter; default: "
        "%(default)s",
    )
    parser.add_argument(
        "--peers",
        nargs="+",
        choices=[*PEERS, "all"],
        default=[],
        help="servers beside it, which peers.py knows to start",
    )
    parser.add_argument("--peers-python", default=sys.executable, help="the interpreter that has the peers")
    parser.add_argument("--json", metavar="FILE", help="write the verdicts and every test's outcome")
    parser.add_argument("--markdown", action="store_true", help="print the counts as Markdown, not the rows")
    parser.add_argument("--rows", metavar="EXPRESSION", default="", help="as pytest's -k: 'H10 or A05'")
    options = parser.parse_args()
    options.peers_python = os.path.abspath(options.peers_python)
    return options


def run(name: str, command: str, selection: str) -> list[dict[str, Any]]:
    """The results of every test of a row; pytest's own progress goes to stderr."""
    print(f"--- {name}: {command}", file=sys.stderr, flush=True)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        plugin = ["-p", "conformance.asgi.collect", "--row-results", str(file)]
        quiet = ["-q", "--tb=no", "-r", "", "-p", "no:cacheprovider", "--no-header"]
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                *plugin,
                *quiet,
                "--server-command",
                command,
                "-k",
                selection,
                *FOLDERS,
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdout=sys.stderr,
            check=False,
        )
        results: list[dict[str, Any]] = json.loads(file.read_text())
        return results


def versioned(name: str, python: str) -> str:
    """The server's name with the version of its distribution, if it is one that is known."""
    if name not in PEERS:
        return name
    read = f"import importlib.metadata; print(importlib.metadata.version({PEERS[name].distribution!r}))"
    found = subprocess.run([python, "-c", read], capture_output=True, text=True, check=True)
    return f"{name} {found.stdout.strip()}"


if __name__ == "__main__":
    sys.exit(main())
