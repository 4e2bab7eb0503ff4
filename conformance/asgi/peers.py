"""How servers are started whose command lines are not uvicorn's: their words for uvicorn's options.

``launch.py`` translates. An option that is missing here is one that the server does not have; one whose
words are empty asks for what the server does anyway. ``--option value`` as a key is for that value alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FLAGS = ("--factory", "--no-server-header", "--no-date-header", "--no-access-log", "--proxy-headers")
"""Options of uvicorn's that take no value."""


@dataclass(frozen=True)
class Peer:
    """One server: its distribution, its module, and its words. {host} has brackets around IPv6 in ``bind``."""

    distribution: str
    command: str
    tcp: str
    uds: str | None = None
    fd: str | None = None
    options: dict[str, str] = field(default_factory=dict)


class OptionMissing(Exception):
    """The server has nothing that does what this option does."""


PEERS: dict[str, Peer] = {
    "uvicorn": Peer(
        "uvicorn",
        "uvicorn --loop uvloop --http httptools",
        tcp="--host {host} --port {port}",
        uds="--uds {path}",
        fd="--fd {fd}",
        options={
            **{flag: flag for flag in FLAGS},
            **{
                option: f"{option} {{value}}"
                for option in (
                    *("--root-path", "--lifespan", "--header", "--workers", "--timeout-keep-alive"),
                    *("--timeout-graceful-shutdown", "--limit-concurrency", "--limit-max-requests"),
                    *("--forwarded-allow-ips", "--log-level", "--interface"),
                    *("--ws-max-size", "--ws-ping-interval", "--ws-ping-timeout"),
                )
            },
        },
    ),
    "hypercorn": Peer(
        "hypercorn",
        "hypercorn --worker-class uvloop",
        tcp="--bind {bind}",
        uds="--bind unix:{path}",
        fd="--bind fd://{fd}",
        # Its --max-requests renews a worker, and does not end the server.
        options={
            "--root-path": "--root-path {value}",
            "--timeout-keep-alive": "--keep-alive {value}",
            "--timeout-graceful-shutdown": "--graceful-timeout {value}",
            "--workers": "--workers {value}",
            "--interface wsgi": "",
        },
    ),
    "granian": Peer(
        "granian",
        "granian --interface asgi --http 1 --loop uvloop --no-access-log",
        tcp="--host {host} --port {port}",
        uds="--uds {path}",
        options={
            "--root-path": "--url-path-prefix {value}",
            "--lifespan off": "--interface asginl",
            "--interface wsgi": "--interface wsgi",
            "--timeout-graceful-shutdown": "--workers-kill-timeout {value}",
            "--workers": "--workers {value} --respawn-failed-workers",
            "--factory": "--factory",
        },
    ),
    "daphne": Peer(
        "daphne",
        "daphne",
        tcp="-b {host} -p {port}",
        uds="-u {path}",
        fd="--fd {fd}",
        options={
            "--root-path": "--root-path {value}",
            "--lifespan off": "",
            "--proxy-headers": "--proxy-headers",
            "--no-server-header": "--no-server-name",
        },
    ),
    "h2corn": Peer(
        "h2corn",
        "h2corn --loop uvloop --no-access-log",
        tcp="--host {host} --port {port}",
        uds="--bind unix:{path}",
        fd="--bind fd://{fd}",
        options={
            "--root-path": "--root-path {value}",
            "--lifespan": "--lifespan {value}",
            "--factory": "--factory",
            "--workers": "--workers {value}",
            "--timeout-keep-alive": "--timeout-keep-alive {value}",
            "--timeout-graceful-shutdown": "--timeout-graceful-shutdown {value}",
            "--limit-concurrency": "--limit-concurrency {value}",
            "--no-server-header": "--server-header off",
            "--no-date-header": "--no-date-header",
            "--header": "--header {value}",
            "--proxy-headers": "--proxy-headers",
            "--forwarded-allow-ips": "--forwarded-allow-ips {value}",
        },
    ),
    "peregrine": Peer(
        "peregrine-server",
        "peregrine --protocol asgi --no-http2",
        tcp="--host {host} --port {port}",
        uds="--unix {path}",
        options={
            "--root-path": "--root-path {value}",
            "--lifespan off": "--no-lifespan",
            "--interface wsgi": "--protocol wsgi",
            "--factory": "--factory",
            "--workers": "--workers {value}",
            "--timeout-keep-alive": "--keep-alive {value}000",
            "--timeout-graceful-shutdown": "--graceful-timeout {value}000",
            "--proxy-headers": "--forwarded-allow-ips 127.0.0.1",
            "--forwarded-allow-ips": "--forwarded-allow-ips {value}",
        },
    ),
}


def translate(peer: Peer, place: dict[str, str], options: list[tuple[str, str]]) -> list[str]:
    """The peer's arguments for a place to listen at and uvicorn's ``options`` as (name, value).

    Raises OptionMissing.
    """
    words = peer.uds if "path" in place else peer.fd if "fd" in place else peer.tcp
    if words is None:
        raise OptionMissing("--uds" if "path" in place else "--fd")
    arguments = [word.format(**place) for word in words.split()]
    for name, value in options:
        words = peer.options.get(f"{name} {value}", peer.options.get(name))
        if words is None:
            raise OptionMissing(f"{name} {value}".strip())
        arguments += [word.format(value=value) for word in words.split()]
    return arguments
