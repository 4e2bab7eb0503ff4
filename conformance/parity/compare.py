"""Performs a case against one server and compares what two servers answered."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx
from support.server import ServerProcess
from support.wire import Connection, Response, Truncated

from .cases import Case

IGNORED = ("date", "server")
GENERATED = ("connection", "transfer-encoding")
"""The server's own, whose place among the others means nothing (RFC 9110 5.3)."""


@dataclass
class Answer:
    """What a server answered to one request, without what may differ between two runs."""

    status: Any
    version: str = ""
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    scope: Any = None

    def aspects(self) -> dict[str, Any]:
        return {
            "status": (self.version, self.status),
            "reason": self.reason,
            "headers": self.headers,
            "body": self.body,
            "scope": self.scope,
        }


def perform(case: Case, server: ServerProcess) -> list[Answer]:
    """The answers to ``case``; the last says how the connection ended, for raw cases."""
    port = server.address[1]
    if case.raw is not None:
        return perform_raw(case, server, str(port))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
        content = iter(case.content) if isinstance(case.content, tuple) else case.content
        response = client.request(
            case.method,
            case.target,
            headers=list(case.headers),
            content=content,
            json=case.json,
            data=case.data or None,
            files=list(case.files) or None,
        )
    headers = [(name.lower().decode(), value.decode("latin-1")) for name, value in response.headers.raw]
    return [
        answer(
            response.http_version,
            response.status_code,
            response.reason_phrase,
            headers,
            response.content,
            str(port),
        )
    ]


def perform_raw(case: Case, server: ServerProcess, port: str) -> list[Answer]:
    answers = []
    with server.connect() as connection:
        connection.send(case.raw or b"")
        for method in case.methods:
            try:
                response = connection.response(method)
            except Truncated as cut:
                return [*answers, Answer(f"cut: {cut.message}")]
            except AssertionError as wrong:
                return [*answers, Answer(f"{type(wrong).__name__}: {wrong}")]
            answers += [of_wire(interim, port) for interim in response.interim] + [of_wire(response, port)]
        answers.append(Answer(ending(connection)))
    return answers


def of_wire(response: Response, port: str) -> Answer:
    headers = [(name.decode().lower(), value.decode("latin-1")) for name, value in response.headers]
    version, reason = response.version.decode(), response.reason.decode("latin-1")
    return answer(version, response.status, reason, headers, response.body, port)


def ending(connection: Connection) -> str:
    """Whether the server keeps the connection: it then answers one more request."""
    try:
        connection.request("GET", "/")
        response = connection.response()
    except (Truncated, OSError):
        return "closed"
    return f"kept open, next answer {response.status}"


def answer(
    version: str, status: int, reason: str, headers: list[tuple[str, str]], body: bytes, port: str
) -> Answer:
    kept = [(name, lasting(value, port)) for name, value in headers if name not in IGNORED]
    own = sorted(pair for pair in kept if pair[0] in GENERATED)
    kept = [pair for pair in kept if pair[0] not in GENERATED] + own
    result = Answer(status, version, reason, kept, body)
    if body.startswith(b'{"type":"http"'):
        text = re.sub(rf"(?<!\d){port}(?!\d)", "0", body.decode()).replace("uvicorn", "SERVER")
        result.scope = json.loads(text)
        result.body = b"(the scope)"
        # Its length is that of the port too.
        result.headers = [pair for pair in kept if pair[0] != "content-length"]
    return result


def lasting(value: str, port: str) -> str:
    """A header's value without what changes from one server or second to the next."""
    value = re.sub(rf":{port}\b", ":PORT", value)
    return re.sub(r"(?i)\bexpires=\w{3}, \d\d[ -]\w{3}[ -]\d{4} \d\d:\d\d:\d\d GMT", "expires=THEN", value)


def differences(left: list[Answer], right: list[Answer]) -> dict[str, tuple[Any, Any]]:
    """The aspects in which two lists of answers differ, each with the first two values that do."""
    if len(left) != len(right):
        return {
            "status": ([one.aspects()["status"] for one in left], [one.aspects()["status"] for one in right])
        }
    found: dict[str, tuple[Any, Any]] = {}
    for one, other in zip(left, right, strict=True):
        theirs = other.aspects()
        for aspect, value in one.aspects().items():
            if value != theirs[aspect] and aspect not in found:
                found[aspect] = (value, theirs[aspect])
    return found
