"""What the tests of server-sent events and their applications share: random events, and a real client."""

from __future__ import annotations

import json
import random
import string
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import httpx
import httpx_sse

from support.wire import TIMEOUT

SCRIPTS = (
    "中文字符",
    "Привет мир",
    "مرحبا بالعالم",
    "שלום",
    "日本語テキスト",
    "👩‍👩‍👧🎉\u2028\u0085\x0b\x0c",
)
LETTERS = string.ascii_letters + string.digits + " :{}\"'\\\t"


def text(source: random.Random, length: int) -> str:
    return "".join(source.choices(LETTERS, k=length))


def value(source: random.Random, depth: int = 3) -> Any:
    """Any JSON value."""
    kind = source.randrange(8 if depth else 5)
    if kind >= 6:
        return {text(source, 5): value(source, depth - 1) for _ in range(source.randrange(4))}
    if kind == 5:
        return [value(source, depth - 1) for _ in range(source.randrange(4))]
    return [None, True, source.randrange(-(10**12), 10**12), text(source, 20), source.choice(SCRIPTS)][kind]


def random_events(seed: int, count: int, longest: int = 1000) -> list[dict[str, Any]]:
    """Arguments of ``SSE.send()``, the same for the same seed; the first event's data has the greatest length."""
    source = random.Random(seed)
    events = []
    for number in range(count):
        length = source.randint(1, longest) if number else longest
        event: dict[str, Any] = {"data": text(source, length)}
        if number and source.random() < 0.3:
            event["data"] = source.choice(["\n", "\r\n", "\r", "\n\n"]).join(
                source.choice(SCRIPTS) for _ in range(source.randint(1, 5))
            )
        if source.random() < 0.5:
            event["event"] = source.choice(["update", "alert", "metric", "log", "обновление"])
        if source.random() < 0.5:
            event["event_id"] = f"{seed}-{number}"
        if source.random() < 0.2:
            event["retry"] = source.choice([0, 1000, 5000, 10000, 30000])
        events.append(event)
    return events


def expected(events: list[dict[str, Any]]) -> list[tuple[str, str, str, int | None]]:
    """What a client makes of them: event, data, last id, retry."""
    last, found = "", []
    for event in events:
        last = event.get("event_id", last)
        data = event["data"].replace("\r\n", "\n").replace("\r", "\n")
        found.append((event.get("event", "message"), data, last, event.get("retry")))
    return found


def seen(events: list[httpx_sse.ServerSentEvent]) -> list[tuple[str, str, str, int | None]]:
    return [(event.event, event.data, event.id, event.retry) for event in events]


@contextmanager
def connected(server: Any, path: str, **options: Any) -> Iterator[Iterator[httpx_sse.ServerSentEvent]]:
    """The events that httpx-sse reads from a GET of ``path``."""
    with (
        # Without certificates, which plain HTTP does not need and which take 30 ms to be read.
        httpx.Client(base_url=url(server), timeout=TIMEOUT, verify=False) as client,
        httpx_sse.connect_sse(client, "GET", path, **options) as source,
    ):
        assert source.response.status_code == 200
        yield source.iter_sse()


def all_events(server: Any, path: str, **options: Any) -> list[httpx_sse.ServerSentEvent]:
    """The whole of a stream that ends."""
    with connected(server, path, **options) as events:
        return list(events)


def url(server: Any) -> str:
    host, port = server.address
    return f"http://{host}:{port}"


def query(**values: Any) -> str:
    """Arguments for a handler, which reads them with ``arguments()``."""
    return str(httpx.QueryParams(json=json.dumps(values)))


def arguments(sse: Any) -> Any:
    return json.loads(sse.query_params["json"])


async def take(events: Any, count: int) -> list[Any]:
    """The next events of an asynchronous iterator."""
    return [await anext(events) for _ in range(count)]


@asynccontextmanager
async def following(history: Any, channel: str = "c") -> AsyncIterator[Any]:
    """What is appended to a history's channel from now on."""
    async with aclosing(history.follow(channel, await history.position(channel))) as events:
        yield events
