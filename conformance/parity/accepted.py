"""Differences from uvicorn that are meant, each with its reason. Anything else fails.

A difference is accepted for a case (a pattern of its name) and some aspects of its answers. What is
accepted here and does not occur is reported, so that the list stays as short as it can be.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

ANY = ("status", "reason", "headers", "body", "scope")


@dataclass(frozen=True)
class Accepted:
    case: str
    aspects: tuple[str, ...]
    reason: str

    def matches(self, case: str, aspect: str) -> bool:
        return fnmatch.fnmatchcase(case, self.case) and aspect in self.aspects


PHRASE = "RFC 9112 4: clients ignore the phrase; uvicorn's is that of its Python (3.13 says what ours does)"
TEXT_OF_400 = "the words of a 400 are free; uvicorn: Invalid HTTP request received."

ACCEPTED = [
    Accepted(
        "raw HTTP/1.0 stream",
        ("headers",),
        "H77: uvicorn sends chunked to an HTTP/1.0 client, which cannot read it",
    ),
    Accepted(
        "raw HTTP/1.0 keep-alive",
        ("status", "headers"),
        "H94c: uvicorn closes; ours announces keep-alive and keeps it",
    ),
    Accepted("raw path in bytes", ANY, "H09: decoded or refused; uvicorn refuses, ours decodes"),
    Accepted("raw fragment", ANY, "RFC 9112 3.2: a target has no fragment, so 400; uvicorn drops it"),
    Accepted(
        "raw header with trailing spaces", ("scope",), "H26b: uvicorn leaves whitespace after a value in it"
    ),
    Accepted(
        "raw chunked with trailers", ("scope",), "H54: uvicorn appends trailers to the headers of the scope"
    ),
    Accepted("raw Expect", ("status",), "RFC 9110 10.1.1: no 100 is needed when the body is already there"),
    Accepted("raw unknown method", ANY, "H05c: uvicorn refuses methods that its parser does not know"),
    Accepted("raw no Host", ANY, "RFC 9112 3.2: 400 without a Host; uvicorn serves the request"),
    Accepted("raw two Hosts", ANY, "RFC 9112 3.2: 400 for two Hosts; uvicorn serves the request"),
    Accepted("raw HTTP/2.0", ANY, "RFC 9110 15.6.6: 505; uvicorn serves the request"),
    Accepted("raw crash", ("status",), "the 500 is whole, so the connection can be kept; uvicorn closes it"),
    Accepted("raw bad request line", ("body", "headers"), TEXT_OF_400),
    Accepted("raw space before a colon", ("body", "headers"), TEXT_OF_400),
    Accepted("raw length and chunked", ("body", "headers"), TEXT_OF_400),
    Accepted("range beyond the end", ("reason",), PHRASE),
    Accepted("GET /teapot", ("reason",), PHRASE),
    Accepted("invalid model", ("reason",), PHRASE),
    Accepted("no JSON", ("reason",), PHRASE),
    Accepted("GET /search[?]limit=1000", ("reason",), PHRASE),
]
