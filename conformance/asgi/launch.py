"""Takes uvicorn's command line and becomes a peer with the same meaning.

usage: python -m conformance.asgi.launch PEER PYTHON APPLICATION [UVICORN'S OPTIONS...]

PYTHON is the interpreter that has the peer. A process of its own connects until somebody listens and then
says so as uvicorn does, so that whoever waits for that line need not know the peer's. An option that the
peer lacks ends this with status 64 and is written to the file that MISSING_FILE names.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from .peers import FLAGS, PEERS, OptionMissing, translate

MISSING_FILE = "CONFORMANCE_MISSING_FILE"
MISSING_STATUS = 64


def main() -> None:
    name, python, application, *rest = sys.argv[1:]
    peer = PEERS[name]
    place, options = split(rest)
    try:
        arguments = translate(peer, place, options)
    except OptionMissing as missing:
        print(f"{name} has no option for {missing}", file=sys.stderr)
        with open(os.environ.get(MISSING_FILE, os.devnull), "a") as file:
            print(missing, file=file)
        raise SystemExit(MISSING_STATUS) from None
    announce(place)
    os.execv(python, [python, "-m", *peer.command.split(), *arguments, application])


def split(arguments: list[str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The place to listen at, and the other options with their values."""
    given: list[tuple[str, str]] = []
    left = iter(arguments)
    for name in left:
        given.append((name, "" if name in FLAGS else next(left)))
    values = dict(given)
    options = [option for option in given if option[0] not in ("--host", "--port", "--uds", "--fd")]
    if "--uds" in values:
        return {"path": values["--uds"]}, options
    if "--fd" in values:
        return {"fd": values["--fd"]}, options
    host = values.get("--host", "127.0.0.1")
    port = values.get("--port", "8000")
    if port == "0":
        port = free_port(host)
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {"host": host, "port": port, "bind": bind}, options


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def free_port(host: str) -> str:
    """A port that nobody listens at; not all peers tell which one they took for 0."""
    with socket.socket(family_of(host)) as probe:
        probe.bind((host, 0))
        return str(probe.getsockname()[1])


def announce(place: dict[str, str]) -> None:
    """Leaves a process behind, nobody's child, that waits for the listener of this one."""
    server = os.getpid()
    if os.fork() == 0:
        if os.fork() == 0:
            watch(server, place)
        os._exit(0)
    os.wait()


def watch(server: int, place: dict[str, str]) -> None:
    while os.path.exists(f"/proc/{server}"):
        if listens(place):
            where = f"http://{place['bind']}" if "bind" in place else f"socket {place.get('fd')}"
            line = f"running on {'unix socket ' + place['path'] if 'path' in place else where}\n"
            os.write(2, line.encode())
            return
        time.sleep(0.02)


def listens(place: dict[str, str]) -> bool:
    """Somebody accepts connections. What is inherited does so from the start."""
    if "fd" in place:
        return True
    try:
        if "path" in place:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(place["path"])
        else:
            with socket.socket(family_of(place["host"])) as probe:
                probe.connect((place["host"], int(place["port"])))
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
