"""Clients that vanish in the middle of each call of ``fasterapi.SSE``: it ends, quietly, and nothing goes afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from apps import sse_faults
from support.server import ServerProcess

CLOSED = {"type": "SSEClosed", "oserror": False, "text": "SSE connection is closed"}


@pytest.fixture
def server(shared: Callable[..., ServerProcess]) -> Iterator[ServerProcess]:
    server = shared("apps.sse_faults:app")
    tracebacks = server.stderr.count("Traceback")
    yield server
    assert server.stderr.count("Traceback") == tracebacks


WAYS = {"direct-close": ("", "close"), "direct-reset": ("", "reset"), "wrapped-close": ("/wrapped", "close")}


@pytest.fixture(params=WAYS)
def vanish(server: ServerProcess, request: pytest.FixtureRequest) -> Callable[..., None]:
    """``vanish(path, tags, event)``: one client for each tag leaves, by a FIN or by a reset, once all have said so."""
    route, leave = WAYS[request.param]

    def vanish(path: str, tags: Iterable[str], event: str) -> None:
        connections = []
        for tag in tags:
            connections.append(connection := server.connect(receive_buffer=4096))
            separator = "&" if "?" in path else "?"
            target = f"{route}{path.format(call=tag.partition('-')[2])}{separator}tag={tag}"
            connection.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for tag in tags:
            server.probe.expect(event, tag)
        for connection in connections:
            getattr(connection, leave)()

    return vanish


def outcomes(server: ServerProcess, tags: Iterable[str]) -> dict[str, Any]:
    """How each endpoint ended."""
    return {tag: server.probe.expect("ended", tag)["outcome"] for tag in tags}


@pytest.mark.parametrize(
    ("where", "calls", "said"),
    [("full", sse_faults.FULL, "full"), ("waiting", sse_faults.WAITING, "called")],
    ids=["for the client", "for something else"],
)
def test_calls_that_wait_end(
    server: ServerProcess, vanish: Callable[..., None], tag: str, where: str, calls: Iterable[str], said: str
) -> None:
    tags = [f"{tag}-{call}" for call in calls]
    vanish(f"/{where}/{{call}}", tags, said)
    assert outcomes(server, tags) == dict.fromkeys(tags)


@pytest.mark.parametrize("start", ["yes", "no"])
def test_no_call_goes_afterwards(
    server: ServerProcess, vanish: Callable[..., None], tag: str, start: str
) -> None:
    vanish(f"/late?start={start}", [tag], "called")
    said = server.probe.expect("late", tag)
    assert said["left"] is True
    expected = dict.fromkeys(sse_faults.CALLS, CLOSED) | {"keep_alive": None, "close": None}
    assert said["outcomes"] == expected
    assert outcomes(server, [tag]) == {tag: None}
