"""A WSGI application (PEP 3333): ``/<scenario>``, the query string is the test's tag."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

from support.probe import block, say

Environ = dict[str, Any]
Scenario = Callable[[Environ, Any], Iterable[bytes]]
TEXT = [("Content-Type", "text/plain")]


def environ(given: Environ, start: Any) -> Iterable[bytes]:
    """The environ, as a Python literal."""
    plain = {key: value for key, value in given.items() if isinstance(value, (str, bool, tuple))}
    plain["wsgi.errors is stderr"] = given["wsgi.errors"] is sys.stderr
    start("200 OK", [*TEXT, ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2"), ("X-Latin", "caf\xe9")])
    return [repr(plain).encode()]


def upload(given: Environ, start: Any) -> Iterable[bytes]:
    """Says of each 64 KiB that it has them; answers with the digest of all."""
    tag, digest, size = given["QUERY_STRING"], hashlib.sha256(), 0
    try:
        while piece := given["wsgi.input"].read(1 << 16):
            say("piece", tag, size=len(piece))
            digest.update(piece)
            size += len(piece)
    except ConnectionError as error:
        say("read", tag, error=type(error).__name__)
        raise
    say("read", tag, error=None)
    start("200 OK", TEXT)
    return [f"{size} {digest.hexdigest()}".encode()]


def lines(given: Environ, start: Any) -> Iterable[bytes]:
    body = given["wsgi.input"]
    seen = [
        body.readline(4),
        body.readline(100),
        body.readline(),
        *body.readlines(),
        body.readline(),
        body.read(),
    ]
    start("200 OK", TEXT)
    return [repr(seen).encode()]


def unread(given: Environ, start: Any) -> Iterable[bytes]:
    start("200 OK", TEXT)
    return [b"not read"]


def stream(given: Environ, start: Any) -> Iterator[bytes]:
    tag = given["QUERY_STRING"]
    start("200 OK", TEXT)
    for number in range(3):
        yield b"piece %d" % number
        block(f"{tag}.{number}")
    yield b""


class Endless:
    """Pieces without end; tells of its close()."""

    def __init__(self, tag: str) -> None:
        self.tag = tag

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"x" * (1 << 16)

    def close(self) -> None:
        say("closed", self.tag)


def endless(given: Environ, start: Any) -> Iterable[bytes]:
    start("200 OK", TEXT)
    return Endless(given["QUERY_STRING"])


def waits(given: Environ, start: Any) -> Iterable[bytes]:
    tag = given["QUERY_STRING"]
    say("called", tag)
    block("all.go")
    start("200 OK", TEXT)
    return [tag.encode()]


def written(given: Environ, start: Any) -> Iterable[bytes]:
    write = start("200 OK", TEXT)
    write(b"written, ")
    return [b"then returned"]


def raises(given: Environ, start: Any) -> Iterable[bytes]:
    raise ValueError("deliberate")


def exits(given: Environ, start: Any) -> Iterable[bytes]:
    sys.exit("deliberate")


def raises_late(given: Environ, start: Any) -> Iterator[bytes]:
    """After start_response, before the first piece."""
    start("200 OK", TEXT)
    yield b""
    raise ValueError("deliberate")


def raises_within(given: Environ, start: Any) -> Iterator[bytes]:
    start("200 OK", [*TEXT, ("Content-Length", "100")])
    yield b"begun"
    raise ValueError("deliberate")


def mends(given: Environ, start: Any) -> Iterable[bytes]:
    """Changes its mind about the head, as PEP 3333 allows with exc_info."""
    start("200 OK", TEXT)
    try:
        raise ValueError("deliberate")
    except ValueError:
        start("503 Not Now", [*TEXT, ("X-Mended", "yes")], sys.exc_info())
    return [b"mended"]


def no_start(given: Environ, start: Any) -> Iterable[bytes]:
    return [b"no head"]


def twice(given: Environ, start: Any) -> Iterable[bytes]:
    start("200 OK", TEXT)
    start("201 Created", TEXT)
    return [b"no"]


def bad_header(given: Environ, start: Any) -> Iterable[bytes]:
    """More pieces than any queue holds follow a head that is refused."""
    start("200 OK", [*TEXT, ("X-Bad", "a\r\nb")])
    return [b"x" * 1000] * 1000


def text_body(given: Environ, start: Any) -> Iterable[Any]:
    start("200 OK", TEXT)
    return ["text"] * 1000


def nothing(given: Environ, start: Any) -> Iterable[bytes]:
    start("204 No Content", [])
    return []


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        *(
            environ,
            upload,
            lines,
            unread,
            stream,
            endless,
            waits,
            written,
            raises,
            exits,
            raises_late,
            raises_within,
        ),
        *(mends, no_start, twice, bad_header, text_body, nothing),
    )
}


def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
    name = environ["PATH_INFO"].split("/")[1]
    return SCENARIOS[name](environ, start_response)


def compliant(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """What the validator lets pass."""
    body = environ["wsgi.input"].read(1 << 20)
    start_response("200 OK", TEXT)
    return [b"%d of %s" % (len(body), environ["REQUEST_METHOD"].encode())]


checked = validator(compliant)


def valid(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """The validator itself takes any arguments, and would not be recognised."""
    return checked(environ, start_response)
