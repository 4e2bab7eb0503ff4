"""Numbers that applications give to the classes: bad ones are refused where they are given."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from fasterapi import (
    SSE,
    App,
    Broadcaster,
    ChannelLimits,
    EventSourceResponse,
    MemoryHistory,
    RedisHistory,
    SSEStream,
    channels_endpoint,
    sse_connect,
    sse_endpoint,
)

URL = "http://127.0.0.1/"
REDIS = "redis://127.0.0.1:1/"


async def handler(sse: SSE) -> None:
    raise AssertionError("nobody calls it")


SECONDS: list[tuple[Callable[..., Any], str]] = [
    (Broadcaster, "patience"),
    (lambda **given: sse_endpoint(handler, **given), "grace"),
    (lambda **given: sse_endpoint(handler, **given), "shutdown_grace"),
    (lambda **given: App().sse("/", **given)(handler), "shutdown_grace"),
    (lambda **given: App().add_sse("/", handler, **given), "shutdown_grace"),
    (lambda **given: EventSourceResponse([], **given), "shutdown_grace"),
    (lambda **given: sse_connect(URL, **given), "retry"),
    (lambda **given: sse_connect(URL, **given), "max_delay"),
]
INTERVALS: list[tuple[Callable[..., Any], str]] = [
    (lambda **given: sse_endpoint(handler, **given), "keep_alive_interval"),
    (lambda **given: App().sse("/", **given)(handler), "keep_alive_interval"),
    (lambda **given: EventSourceResponse([], **given), "keep_alive_interval"),
    (lambda **given: channels_endpoint(MemoryHistory(), **given), "keep_alive_interval"),
    (lambda **given: sse_connect(URL, **given), "idle_timeout"),
]
COUNTS: list[tuple[Callable[..., Any], str]] = [
    (lambda **given: Broadcaster().subscribe("a", **given), "limit"),
    (lambda **given: Broadcaster().subscribe("a", **given), "limit_bytes"),
    (MemoryHistory, "max_events"),
    (MemoryHistory, "max_bytes"),
    (MemoryHistory, "max_channels"),
    (lambda **given: RedisHistory(REDIS, **given), "max_events"),
    (lambda **given: RedisHistory(REDIS, **given), "max_bytes"),
    (lambda **given: RedisHistory(REDIS, **given), "ttl"),
    (ChannelLimits, "max_channels"),
    (ChannelLimits, "max_name"),
    (lambda **given: channels_endpoint(MemoryHistory(), **given), "max_channels"),
    (lambda **given: sse_connect(URL, **given), "max_line"),
    (lambda **given: sse_connect(URL, **given), "max_event"),
]
NO_SECONDS = [-1, -0.001, math.nan, math.inf, -math.inf, 366 * 24 * 3600]
NO_NUMBER = ["1", b"1", True, [1], 1j]


@pytest.mark.parametrize(("call", "name"), SECONDS)
def test_seconds(call: Callable[..., Any], name: str) -> None:
    for value in NO_SECONDS:
        with pytest.raises(ValueError, match=f"^{name} must be .*, not {value!r}$"):
            call(**{name: value})
    for thing in (*NO_NUMBER, None):
        with pytest.raises(TypeError, match=f"^{name} must be a number of seconds, not "):
            call(**{name: thing})
    for value in (0, 0.5, 365 * 24 * 3600):
        call(**{name: value})


@pytest.mark.parametrize(("call", "name"), INTERVALS)
def test_intervals(call: Callable[..., Any], name: str) -> None:
    for value in (0, 0.0, *NO_SECONDS):
        with pytest.raises(ValueError, match=f"^{name} must be .*, not {value!r}$"):
            call(**{name: value})
    for thing in NO_NUMBER:
        with pytest.raises(TypeError, match=f"^{name} must be a number of seconds, not "):
            call(**{name: thing})
    for interval in (None, 0.5, 365 * 24 * 3600):
        call(**{name: interval})


@pytest.mark.parametrize(("call", "name"), COUNTS)
def test_counts(call: Callable[..., Any], name: str) -> None:
    for value in (0, -1):
        with pytest.raises(ValueError, match=f"^{name} must be at least 1, not {value}$"):
            call(**{name: value})
    for thing in (*NO_NUMBER, None, 1.5, math.nan, math.inf):
        with pytest.raises(TypeError, match=f"^{name} must be an int, not "):
            call(**{name: thing})
    call(**{name: 1})


def test_attempts() -> None:
    with pytest.raises(ValueError, match=r"^max_attempts must be at least 0, not -1$"):
        sse_connect(URL, max_attempts=-1)
    for thing in (*NO_NUMBER, 1.5):
        with pytest.raises(TypeError, match=r"^max_attempts must be an int, not "):
            sse_connect(URL, max_attempts=thing)
    for attempts in (None, 0, 1):
        sse_connect(URL, max_attempts=attempts)


def test_a_stream_that_is_open(run: Callable[..., Any]) -> None:
    async def nothing(*_: Any) -> Any:
        return {"type": "http.disconnect"}

    async def main() -> None:
        scope = {"type": "http", "method": "GET", "headers": []}
        for name in ("grace", "shutdown_grace"):
            with pytest.raises(ValueError, match=f"^{name} must be "):
                SSE(scope, nothing, nothing, **{name: math.nan})
        async with SSE(scope, nothing, nothing) as sse:
            with pytest.raises(ValueError, match=r"^interval must be "):
                sse.set_keep_alive(math.nan)
            with pytest.raises(TypeError, match=r"^interval must be "):
                await sse.keep_alive("1")
            with pytest.raises(ValueError, match=r"^interval must be "):
                SSEStream(sse, keep_alive_interval=0)

    run(main())
