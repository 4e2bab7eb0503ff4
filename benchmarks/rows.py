"""The rows of the table: which application under which load, what must come back, and the bars."""

import json
from dataclasses import dataclass

from benchmarks import apps
from benchmarks.peers import LIMIT, SUBJECT

EVENTS = ("data: " + "x" * 64 + "\n\n").encode() * apps.SENT_EVENTS
JSON_EVENTS = b'data: {"symbol":"ACME","price":12.5,"change":-0.25,"volume":1000}\n\n' * apps.SENT_EVENTS
POSTED = b"0123456789abcdef" * 1024  # the same bytes as lua/post.lua


@dataclass(frozen=True)
class Row:
    """One load. `answer` is what every server must send, checked before and (by its size) after."""

    name: str
    title: str
    app: str
    answer: bytes
    connections: int = 64
    script: str = "report.lua"
    posted: bytes | None = None
    # Requests in one write. With more than one, wrk's latencies are wrong (it corrects them by the rate of
    # requests as if each came alone) and are left out.
    pipelined: int = 1
    # The constant answer of benchmarks/limit.cc is this row's answer.
    limit: bool = False
    is_json: bool = False
    # How many events an answer has; each counts, and latencies, which would be those of all, are left out.
    events: int = 1

    def is_answer(self, body: bytes) -> bool:
        """Whether the body is the row's answer, however JSON was spaced."""
        if self.is_json:
            return bool(json.loads(body) == json.loads(self.answer))
        return body == self.answer


@dataclass(frozen=True)
class WebSocketRow:
    """One load of messages, by websocket_load.cc, which checks every one that comes back."""

    name: str
    title: str
    app: str
    size: int
    connections: int = 64
    # text, json (a text that is a compact JSON object), binary, or deflate: text by permessage-deflate, and a
    # server that does not agree to it fails the row.
    kind: str = "text"
    # Each message goes to every connection, and the next is sent when all have it.
    fanout: bool = False
    # How often a message comes back; each counts.
    copies: int = 1
    # benchmarks/limit.cc does what this row asks.
    limit: bool = False


@dataclass(frozen=True)
class EventRow:
    """Events that say when they were sent, one response after the other on one connection."""

    name: str
    title: str
    app: str
    # In one response.
    events: int
    connections: int = 1
    limit: bool = False


AnyRow = Row | WebSocketRow | EventRow


@dataclass(frozen=True)
class Bar:
    """A promise: the subject's figure divided by the peer's, or by a number, is at most `at_most`."""

    row: str
    metric: str
    peer: str | float
    at_most: float


def _pushed(name: str, title: str, app: str, kind: str) -> WebSocketRow:
    """Messages of 64 bytes, 10,000 at a time, down one connection."""
    return WebSocketRow(name, title, app, 64, connections=1, kind=kind, copies=apps.PUSHED)


_ALL: tuple[AnyRow, ...] = (
    Row("hello", "raw ASGI hello, 64 connections", "apps:hello", apps.HELLO, limit=True),
    Row("hello-1", "raw ASGI hello, one connection", "apps:hello", apps.HELLO, connections=1, limit=True),
    Row(
        "hello-500",
        "raw ASGI hello, 500 connections",
        "apps:hello",
        apps.HELLO,
        connections=500,
        limit=True,
    ),
    Row(
        "pipeline",
        "raw ASGI hello, pipelining of 16",
        "apps:hello",
        apps.HELLO,
        script="pipeline.lua",
        pipelined=16,
        limit=True,
    ),
    Row("starlette", "Starlette text", "framework_apps:starlette", apps.HELLO),
    Row("fastapi", "FastAPI JSON", "framework_apps:fastapi", b'{"message":"Hello, World!"}', is_json=True),
    Row("echo", "POST echo of 16 KiB", "apps:echo", POSTED, script="post.lua", posted=POSTED),
    Row("stream", "stream of 100 chunks", "apps:stream", apps.CHUNK * apps.CHUNKS),
    Row("big", "body of 1 MiB", "apps:big", apps.BIG),
    Row("sleep", "asyncio.sleep(0.001)", "apps:sleep", apps.HELLO),
    *(
        Row(
            f"sse-{name}",
            f"10,000 events: {what}",
            f"sse_apps:{app}",
            answer,
            connections=1,
            events=apps.SENT_EVENTS,
        )
        for name, what, app, answer in (
            ("raw", "text of 64 bytes, raw ASGI", "raw", EVENTS),
            ("text", "text of 64 bytes", "text", EVENTS),
            ("json", "JSON", "value", JSON_EVENTS),
            ("keep-alive", "text of 64 bytes, kept alive", "keep_alive", EVENTS),
        )
    ),
    EventRow("sse-latency", "an event's age at its client", "sse_apps:clock", apps.SENT_TIMES),
    WebSocketRow("ws-64", "WebSocket echo of 64 bytes", "websocket_apps:echo", 64),
    WebSocketRow("ws-16k", "WebSocket echo of 16 KiB", "websocket_apps:echo", 16 * 1024, kind="binary"),
    WebSocketRow("ws-1m", "WebSocket echo of 1 MiB", "websocket_apps:echo", 1024 * 1024, kind="binary"),
    WebSocketRow(
        "ws-deflate",
        "WebSocket echo of 1 KiB JSON, deflated",
        "websocket_apps:echo",
        1024,
        kind="deflate",
    ),
    _pushed("ws-push", "WebSocket push of 10,000 texts of 64 bytes", "websocket_apps:push", "text"),
    _pushed("ws-push-binary", "WebSocket push of 10,000 binary messages", "websocket_apps:push", "binary"),
    _pushed(
        "ws-class-push-text",
        "WebSocket push of 10,000 texts by the class",
        "websocket_class_apps:push_text",
        "text",
    ),
    _pushed(
        "ws-class-push-binary",
        "WebSocket push of 10,000 binary messages by the class",
        "websocket_class_apps:push_binary",
        "binary",
    ),
    _pushed(
        "ws-class-push-json",
        "WebSocket push of 10,000 JSON objects by the class",
        "websocket_class_apps:push_json",
        "json",
    ),
    WebSocketRow("ws-class-echo", "WebSocket echo of 64 bytes by the class", "websocket_class_apps:echo", 64),
    WebSocketRow(
        "ws-class-echo-1",
        "WebSocket echo by the class, one connection",
        "websocket_class_apps:echo",
        64,
        connections=1,
    ),
    WebSocketRow(
        "ws-fanout",
        "WebSocket fan-out of 100 bytes to 1,000 connections",
        "websocket_apps:fanout",
        100,
        connections=1000,
        fanout=True,
        limit=True,
    ),
)
ROWS = {row.name: row for row in _ALL}

# Stands for the lowest figure among the peers (the limit is not one of them).
BEST = "best peer"

BARS = (
    Bar("hello", "user_us", "peregrine", 0.55),
    Bar("hello", "user_us", "granian", 0.3),
    Bar("hello", "user_us", "uvicorn", 0.25),
    Bar("hello-1", "total_us", "peregrine", 0.7),
    Bar("hello-500", "user_us", BEST, 0.6),
    Bar("pipeline", "user_us", BEST, 0.5),
    Bar("starlette", "user_us", BEST, 0.85),
    Bar("fastapi", "user_us", BEST, 0.95),
    Bar("echo", "user_us", BEST, 0.7),
    Bar("stream", "user_us", BEST, 0.7),
    Bar("big", "user_us", BEST, 0.35),
    Bar("sleep", "user_us", BEST, 0.7),
    *(
        Bar(row.name, "p99_ms", BEST, 1.0)
        for row in ROWS.values()
        if isinstance(row, Row) and row.pipelined == 1 and row.events == 1
    ),
    # On a core of its own that is 60,000, 50,000 and 45,000 events a second.
    Bar("sse-text", "total_us", 16.7, 1.0),
    Bar("sse-json", "total_us", 20.0, 1.0),
    Bar("sse-keep-alive", "total_us", 22.2, 1.0),
    Bar("sse-latency", "p50_ms", 2.0, 1.0),
    Bar("sse-latency", "p99_ms", BEST, 1.0),
    Bar("ws-64", "user_us", BEST, 0.7),
    Bar("ws-16k", "user_us", BEST, 0.5),
    Bar("ws-1m", "user_us", BEST, 0.6),
    Bar("ws-deflate", "user_us", BEST, 0.6),
    # On a core of its own that is 250,000 messages a second.
    Bar("ws-push", "total_us", 4.0, 1.0),
    # The seed's goals, on a core of its own: 100,000 texts, 120,000 binary messages, 80,000 of JSON a second.
    Bar("ws-class-push-text", "total_us", 10.0, 1.0),
    Bar("ws-class-push-binary", "total_us", 8.3, 1.0),
    Bar("ws-class-push-json", "total_us", 12.5, 1.0),
    Bar("ws-class-echo-1", "p50_ms", 1.0, 1.0),
    Bar("ws-class-echo-1", "p99_ms", BEST, 1.0),
    # The limit makes one write() for each receiver and nothing else.
    Bar("ws-fanout", "total_us", LIMIT, 2.0),
)

NOT_PEERS = (LIMIT, SUBJECT)
