"""Feeds as applications have them, made from a seed so that a test knows every event: time, metrics, logs, a ticker.

Each sends ``count`` steps and ends; in the middle it is silent until a keep-alive comment has gone. The log has a history.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from support import sse as shared

from apps.registry import Receive, Scope, Send
from fasterapi import SSE, MemoryHistory, ServerSentEvent, SSEStream, sse_endpoint

KEEP_ALIVE = 0.01
LEVELS = {"DEBUG": 20, "INFO": 50, "WARNING": 20, "ERROR": 8, "CRITICAL": 2}
COMPONENTS = ("api", "auth", "cache", "database", "queue")
SYMBOLS = ("AAPL", "GOOG", "MSFT", "TSLA")
SUMMARY_EVERY = 50


def times(source: random.Random) -> Iterator[ServerSentEvent]:
    """A clock in one of four formats."""
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    while True:
        now += timedelta(seconds=source.uniform(0.8, 1.2))
        formats = {
            "unix": now.timestamp(),
            "iso": now.isoformat(),
            "human": now.strftime("%d %B %Y, %H:%M:%S"),
            "detailed": {"year": now.year, "zone": "UTC", "microsecond": now.microsecond},
        }
        name = source.choice(list(formats))
        yield ServerSentEvent({"format": name, "time": formats[name]}, "time")


def metrics(source: random.Random) -> Iterator[ServerSentEvent]:
    """Gaussian drift, and an alert behind each value that jumps."""
    values = {"cpu": 30.0, "memory": 50.0, "température": 40.0}
    while True:
        for name in values:
            values[name] = min(max(values[name] + source.gauss(0, 2), 0.0), 100.0)
        jumped = source.choice(list(values)) if source.random() < 0.05 else None
        shown = dict(values) if jumped is None else {**values, jumped: source.uniform(90, 100)}
        yield ServerSentEvent(shown, "metrics")
        if jumped is not None:
            yield ServerSentEvent({"metric": jumped, "value": shown[jumped]}, "alert", retry=1000)


def logs(source: random.Random) -> Iterator[ServerSentEvent]:
    """Records of several lines, with weighted levels; the bad ones are alerts."""
    while True:
        [level] = source.choices(list(LEVELS), weights=list(LEVELS.values()))
        component = source.choice(COMPONENTS)
        text = "\n".join(shared.text(source, source.randint(0, 80)) for _ in range(source.randint(1, 4)))
        name = "alert" if level in ("ERROR", "CRITICAL") else "log"
        yield ServerSentEvent(f"{level} {component}: {text}", name)


def ticker(source: random.Random) -> Iterator[ServerSentEvent]:
    """Prices by Brownian motion, and a summary of them all after every fifty."""
    prices = dict.fromkeys(SYMBOLS, 100.0)
    number = 0
    while True:
        number += 1
        symbol = source.choice(SYMBOLS)
        prices[symbol] *= 1 + source.gauss(0, 0.02 if source.random() < 0.1 else 0.005)
        yield ServerSentEvent({"symbol": symbol, "price": prices[symbol]}, "tick", str(number))
        if number % SUMMARY_EVERY == 0:
            yield ServerSentEvent({"updates": number, "prices": dict(prices)}, "summary", f"{number}-summary")


FEEDS = {"times": times, "metrics": metrics, "ticker": ticker}
history = MemoryHistory()


async def feed(sse: SSE) -> None:
    given = shared.arguments(sse)
    events = FEEDS[given["feed"]](random.Random(given["seed"]))
    async with SSEStream(sse, keep_alive_interval=KEEP_ALIVE):
        for number in range(given["count"]):
            sent = sse.bytes_sent
            while number == given["count"] // 2 and sse.bytes_sent == sent:  # noqa: ASYNC110
                await asyncio.sleep(KEEP_ALIVE)
            await sse.send(next(events))


async def log(sse: SSE) -> None:
    """A hundred records of a channel, from the last one that the client has; the first client has them written."""
    given = shared.arguments(sse)
    position = await history.position(given["channel"])
    if sse.last_event_id is None:
        records = logs(random.Random(given["seed"]))
        for _ in range(given["count"]):
            await history.append(given["channel"], next(records))
    sent = 0
    async for event in history.follow(given["channel"], sse.last_event_id or position):
        await sse.send(event)
        sent += 1
        if sent == 100:
            return


ENDPOINTS = {"/feed": sse_endpoint(feed), "/log": sse_endpoint(log)}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Under ``/wrapped`` a middleware sees every message."""
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    path = scope["path"]
    if path.startswith("/wrapped"):

        async def seen(message: dict[str, Any]) -> None:
            await send(message)

        await ENDPOINTS[path[len("/wrapped") :]](scope, receive, seen)
        return
    await ENDPOINTS[path](scope, receive, send)
