"""The rows of the table: which application under which load, what must come back, and the bars."""

import json
from dataclasses import dataclass

from benchmarks import apps
from benchmarks.peers import LIMIT, SUBJECT

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

    def is_answer(self, body: bytes) -> bool:
        """Whether the body is the row's answer, however JSON was spaced."""
        if self.is_json:
            return bool(json.loads(body) == json.loads(self.answer))
        return body == self.answer


@dataclass(frozen=True)
class Bar:
    """A promise: the subject's figure divided by the peer's is at most `at_most`."""

    row: str
    metric: str
    peer: str
    at_most: float


ROWS: dict[str, Row] = {
    row.name: row
    for row in (
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
        Row(
            "fastapi", "FastAPI JSON", "framework_apps:fastapi", b'{"message":"Hello, World!"}', is_json=True
        ),
        Row("echo", "POST echo of 16 KiB", "apps:echo", POSTED, script="post.lua", posted=POSTED),
        Row("stream", "stream of 100 chunks", "apps:stream", apps.CHUNK * apps.CHUNKS),
        Row("big", "body of 1 MiB", "apps:big", apps.BIG),
        Row("sleep", "asyncio.sleep(0.001)", "apps:sleep", apps.HELLO),
    )
}

# Stands for the lowest figure among the peers (the limit is not one of them).
BEST = "best peer"

BARS = (
    Bar("hello", "user_us", "peregrine", 0.55),
    Bar("hello", "user_us", "granian", 0.3),
    Bar("hello", "user_us", "uvicorn", 0.25),
    Bar("hello-1", "total_us", "peregrine", 0.7),
    *(Bar(row.name, "p99_ms", BEST, 1.0) for row in ROWS.values() if row.pipelined == 1),
)

NOT_PEERS = (LIMIT, SUBJECT)
