"""Four WebSockets and a page to try them.

    fasterapi run examples/websocket_demo.py     # http://127.0.0.1:8000
    python examples/websocket_demo.py

From a shell:

    websocat ws://127.0.0.1:8000/ws/echo
    websocat ws://127.0.0.1:8000/ws/chat              # type a line; open a second one
    websocat -n ws://127.0.0.1:8000/ws/stream | tail -1
    websocat -n ws://127.0.0.1:8000/ws/benchmark | tail -1
    curl -i -N -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
         -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' http://127.0.0.1:8000/ws/echo

Needs fasterapi[app].
"""

from __future__ import annotations

import asyncio
import os
import random
import string
import time
from collections import Counter
from pathlib import Path

from pace import pace_of
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from fasterapi import App, Broadcaster, WebSocket, json_text

PAGES = Path(__file__).resolve().parent / "pages"
STREAMED = 1000
BENCHMARKED = 10_000
BATCH = 100
PING_LIMIT = 5.0
"""Seconds."""

# host://demo joins the workers of `fasterapi run --workers 2 …`, redis://… those of several machines.
broadcaster = Broadcaster(os.environ.get("DEMO_BROADCAST", "host://demo"))
app = App(lifespan=broadcaster.lifespan)
app.mount("/pages", StaticFiles(directory=PAGES))


@app.get("/")
async def page(request: Request) -> Response:
    return FileResponse(PAGES / "websocket_demo.html")


@app.websocket("/ws/echo")
async def echo(ws: WebSocket) -> None:
    await ws.send("Welcome! What you send comes back.")
    async for message in ws:
        await ws.send(f"Echo: {message}" if isinstance(message, str) else b"Echo: " + message)


@app.websocket("/ws/chat")
async def chat(ws: WebSocket) -> None:
    """Everybody gets what anybody says; a message is framed once for all of them."""
    username = "".join(random.choices(string.ascii_letters, k=8))
    await ws.send_json({"type": "welcome", "username": username})
    async with broadcaster.forward("chat", ws):
        await broadcaster.publish("chat", {"type": "joined", "username": username})
        try:
            async for text in ws.iter_text():
                await broadcaster.publish("chat", said(username, text))
        finally:
            await broadcaster.publish("chat", {"type": "left", "username": username})


def said(username: str, text: str) -> dict[str, object]:
    """The page sends JSON with a text in it; who types in a shell sends just that."""
    try:
        message = json_text.loads(text)
        text = message["text"]
    except (ValueError, TypeError, KeyError):
        pass
    return {"type": "message", "username": username, "text": str(text), "time": time.time()}


@app.websocket("/ws/stream")
async def stream(ws: WebSocket) -> None:
    """Messages of all kinds; ``?pace=`` seconds lie between two."""
    pace = pace_of(ws.query_params.get("pace"), 0.0, 0.0, 1.0)
    sent: Counter[str] = Counter()
    latencies = []
    for number in range(STREAMED):
        kind = random.choice(("text", "json", "binary"))
        text = "".join(random.choices(string.ascii_letters + " äöé中", k=random.randint(10, 100)))
        if kind == "text":
            await ws.send_text(text)
        elif kind == "json":
            await ws.send_json({"type": "data", "number": number, "text": text})
        else:
            await ws.send_binary(random.randbytes(len(text)))
        sent[kind] += 1
        if number % BATCH == BATCH - 1 and (latency := await ping(ws)) is not None:
            latencies.append(latency)
        if pace:
            await asyncio.sleep(pace)
    await ws.send_json(
        {
            "type": "complete",
            **sent,
            "messages_sent": ws.messages_sent,
            "bytes_sent": ws.bytes_sent,
            "pings": len(latencies),
            "latency_ms": round(1000 * sum(latencies) / len(latencies), 3) if latencies else None,
        }
    )


async def ping(ws: WebSocket) -> float | None:
    """Seconds until the pong; ``None`` where the server lets nobody ping."""
    try:
        return await asyncio.wait_for(ws.ping(), PING_LIMIT)
    except (NotImplementedError, asyncio.TimeoutError):
        return None


@app.websocket("/ws/benchmark")
async def benchmark(ws: WebSocket) -> None:
    letters = "".join(random.choices(string.ascii_letters, k=2000))
    texts = []
    for _ in range(BENCHMARKED):
        start, length = random.randrange(1000), random.randint(10, 1000)
        texts.append(letters[start : start + length])
    began = time.perf_counter()
    for number, text in enumerate(texts, 1):
        await ws.send_text(text)
        if number % BATCH == 0:
            await asyncio.sleep(0)  # others get their turn
    seconds = time.perf_counter() - began
    await ws.send_json(
        {
            "type": "benchmark_complete",
            "messages": len(texts),
            "bytes": sum(map(len, texts)),
            "seconds": round(seconds, 4),
            "messages_per_second": round(len(texts) / seconds),
        }
    )


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
