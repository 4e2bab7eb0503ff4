"""Four streams of server-sent events, channels of a fifth, and a page that plots them.

    fasterapi run examples/sse_demo.py           # http://127.0.0.1:8000
    python examples/sse_demo.py

From a shell:

    curl -N http://127.0.0.1:8000/sse/time
    curl -N http://127.0.0.1:8000/sse/metrics
    curl -N 'http://127.0.0.1:8000/sse/stocks?pace=0.1'
    curl -N http://127.0.0.1:8000/sse/logs
    curl -N -H 'Last-Event-ID: …' http://127.0.0.1:8000/sse/logs     # with an id that was seen: what came after it
    curl -N 'http://127.0.0.1:8000/sse/channels/?channels=AAPL,wave'
    curl --json '{"id": "…", "add": ["TSLA"], "drop": ["wave"]}' \
         http://127.0.0.1:8000/sse/channels/     # while that goes on; its first event says the id

Needs fasterapi[app].
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pace import pace_of
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from fasterapi import SSE, App, MemoryHistory, ServerSentEvent, UnknownEventId, channels_endpoint
from fasterapi.static import JAVASCRIPT

PAGES = Path(__file__).resolve().parent / "pages"
SYMBOLS = {
    "AAPL": 190.0,
    "AMZN": 180.0,
    "GOOG": 165.0,
    "META": 480.0,
    "MSFT": 410.0,
    "NFLX": 620.0,
    "NVDA": 120.0,
    "TSLA": 250.0,
}
SUMMARY_EVERY = 50
LEVELS = {"DEBUG": 20, "INFO": 50, "WARNING": 20, "ERROR": 8, "CRITICAL": 2}
ALERTS = ("ERROR", "CRITICAL")
COMPONENTS = (
    "api",
    "auth",
    "cache",
    "database",
    "mailer",
    "metrics",
    "payments",
    "queue",
    "scheduler",
    "search",
    "storage",
)
MESSAGES = (
    "took {} ms",
    "{} connections open",
    "retry {} of 5",
    "{} items left in the queue",
    "answered {} requests",
    "{} % of the limit is used",
)

WAVE = "wave"
SAMPLES = 128

LOGS = "logs"
RETRY = 500
"""Milliseconds until a page whose connection is gone comes back."""

history: Any = MemoryHistory()
if "DEMO_HISTORY" in os.environ:  # redis://…, for several workers and across restarts
    from fasterapi import RedisHistory

    history = RedisHistory(os.environ["DEMO_HISTORY"])


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    writing = [asyncio.create_task(write_log()), asyncio.create_task(write_channels())]
    yield
    for task in writing:
        task.cancel()


app = App(lifespan=lifespan)
app.mount("/pages", StaticFiles(directory=PAGES))
app.mount("/sse/channels", channels_endpoint(history, allow=[*SYMBOLS, WAVE].__contains__))


@app.get("/")
async def page(request: Request) -> Response:
    return FileResponse(PAGES / "sse_demo.html")


@app.get("/fasterapi.js")
async def script(request: Request) -> Response:
    return FileResponse(JAVASCRIPT, media_type="text/javascript")


def pace(sse: SSE) -> float:
    """``?pace=0.1`` makes a stream ten times as quick."""
    return pace_of(sse.query_params.get("pace"), 0.001, 1.0, 10.0)


@app.sse("/sse/time")
async def times(sse: SSE) -> None:
    while True:
        await sse.send(formatted_time(datetime.now(timezone.utc)), event="time")
        await asyncio.sleep(random.uniform(0.8, 1.2) * pace(sse))


def formatted_time(now: datetime) -> dict[str, Any]:
    """In one of four formats, each of which JavaScript's ``new Date(time)`` understands."""
    formats = {
        "unix": now.timestamp() * 1000,
        "iso": now.isoformat(timespec="milliseconds"),
        "human": now.strftime("%d %B %Y %H:%M:%S UTC"),
        "detailed": now.strftime("%A, %d %B %Y %H:%M:%S.%f")[:-3] + " +0000",
    }
    name = random.choice(list(formats))
    return {"format": name, "time": formats[name]}


class Metrics:
    """A machine's, made up: each drifts by a gaussian step, and one in twenty times jumps."""

    SPIKES = 0.05

    def __init__(self) -> None:
        self.values = {"cpu": 30.0, "memory": 50.0, "disk": 40.0, "network": 20.0}
        """Percent."""

    def step(self) -> tuple[dict[str, float], str | None]:
        """The values, and which of them jumped."""
        for name, value in self.values.items():
            drifted = value + random.gauss(0, 2) + (45 - value) * 0.02
            self.values[name] = min(max(drifted, 0.0), 100.0)
        shown = {name: round(value, 2) for name, value in self.values.items()}
        spike = random.choice(list(shown)) if random.random() < self.SPIKES else None
        if spike is not None:
            shown[spike] = round(random.uniform(90, 100), 2)
        return shown, spike


@app.sse("/sse/metrics")
async def metrics(sse: SSE) -> None:
    machine = Metrics()
    while True:
        values, spike = machine.step()
        await sse.send({"time": time.time(), **values}, event="metrics")
        if spike is not None:
            await sse.send({"metric": spike, "value": values[spike]}, event="alert")
        await asyncio.sleep(pace(sse))


class Market:
    """Prices by Brownian motion: steps of 0.5 % (standard deviation), of 2 % in one of ten."""

    def __init__(self) -> None:
        self.prices = dict(SYMBOLS)

    def step(self) -> dict[str, Any]:
        symbol = random.choice(list(self.prices))
        change = random.gauss(0, 0.02 if random.random() < 0.1 else 0.005)
        self.prices[symbol] *= max(1 + change, 0.5)
        price = round(self.prices[symbol], 2)
        return {"symbol": symbol, "price": price, "change_percent": round(100 * change, 3)}


@app.sse("/sse/stocks")
async def stocks(sse: SSE) -> None:
    market, updates = Market(), 0
    while True:
        await sse.send(market.step(), event="stock")
        updates += 1
        if updates % SUMMARY_EVERY == 0:
            prices = {symbol: round(price, 2) for symbol, price in market.prices.items()}
            await sse.send({"updates": updates, "prices": prices}, event="summary")
        await asyncio.sleep(random.uniform(0.05, 0.3) * pace(sse))


async def write_channels() -> None:
    """Of each symbol its prices, and one of waves: a client has as many of them as it wants over one connection."""
    market = Market()
    while True:
        step = market.step()
        await history.append(step["symbol"], step)
        await history.append(WAVE, wave())
        await asyncio.sleep(random.uniform(0.05, 0.3))


def wave() -> bytes:
    """Three sines by chance between -1 and 1, as Float32 in little-endian order. Bytes make a binary event."""
    sines = [(random.uniform(1, 8), random.uniform(0, math.tau)) for _ in range(3)]
    samples = (
        sum(math.sin(math.tau * cycles * at / SAMPLES + phase) for cycles, phase in sines) / len(sines)
        for at in range(SAMPLES)
    )
    return struct.pack(f"<{SAMPLES}f", *samples)


def log_record(**given: str) -> dict[str, Any]:
    [level] = random.choices(list(LEVELS), weights=list(LEVELS.values()))
    message = random.choice(MESSAGES).format(random.randint(1, 500))
    component = random.choice(COMPONENTS)
    return {"time": time.time(), "level": level, "component": component, "message": message, **given}


async def write_log() -> None:
    while True:
        await keep(log_record())
        await asyncio.sleep(random.uniform(0.05, 0.4))


async def keep(record: dict[str, Any]) -> None:
    await history.append(LOGS, ServerSentEvent(record, event="alert" if record["level"] in ALERTS else "log"))


@app.post("/logs")
async def log_by_hand(request: Request) -> dict[str, Any]:
    record = log_record(
        level="INFO", component="page", message=(await request.body()).decode(errors="replace")[:200]
    )
    await keep(record)
    return record


@app.sse("/sse/logs")
async def logs(sse: SSE) -> None:
    """One log for all, with a history: who comes back with ``Last-Event-ID`` gets what came meanwhile."""
    await sse.send(ServerSentEvent(retry=RETRY))
    try:
        await sse.follow(history, LOGS)
    except UnknownEventId as error:
        await sse.send({"reason": str(error)}, event="gap")
        await sse.follow(history, LOGS, after=await history.position(LOGS))


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
