"""Feeds as applications have them (time, metrics, ticker, logs), each event compared with the one that was sent. By httpx-sse."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from apps import sse_feeds
from support import sse
from support.server import ServerProcess

ROUTES = ("", "/wrapped")
COUNT = 300


@pytest.fixture
def server(shared: Callable[..., ServerProcess]) -> ServerProcess:
    return shared("apps.sse_feeds:app")


def expected(feed: Any, seed: int, count: int) -> list[tuple[Any, ...]]:
    events = islice(feed(random.Random(seed)), count)
    return [(event.event, event.data, event.id, event.retry) for event in events]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", sse_feeds.FEEDS)
def test_each_event_of_a_feed_arrives_as_it_was_sent(
    server: ServerProcess, seed: int, route: str, name: str
) -> None:
    events = sse.all_events(server, f"{route}/feed?{sse.query(feed=name, seed=seed, count=COUNT)}")
    last = [event.id or None for event in events]
    if name != "ticker":
        assert set(last) == {None}
    seen = [
        (event.event, json.loads(event.data), id, event.retry) for event, id in zip(events, last, strict=True)
    ]
    assert seen == expected(sse_feeds.FEEDS[name], seed, COUNT)


@pytest.mark.parametrize("route", ROUTES)
def test_a_feed_that_pauses_is_kept_alive(server: ServerProcess, seed: int, route: str) -> None:
    body = server.get(f"{route}/feed?{sse.query(feed='times', seed=seed, count=10)}").body
    before, ping, after = body.partition(b": ping\n")
    assert ping
    assert (before.count(b"data: "), after.count(b"data: ")) == (5, 5)


@pytest.mark.parametrize("route", ROUTES)
def test_a_log_goes_on_behind_the_last_record(server: ServerProcess, seed: int, tag: str, route: str) -> None:
    """A hundred records for each connection, until all are there."""
    path = f"{route}/log?{sse.query(channel=tag, seed=seed, count=COUNT)}"
    seen, headers = [], {}
    for _ in range(COUNT // 100):
        events = sse.all_events(server, path, headers=headers)
        headers = {"Last-Event-ID": events[-1].id}
        seen += events
    records = expected(sse_feeds.logs, seed, COUNT)
    assert [(event.event, event.data) for event in seen] == [record[:2] for record in records]
    assert len({event.id for event in seen}) == COUNT
    assert {name for name, _, _, _ in records} == {"log", "alert"}


def test_feeds_at_once_do_not_mix(server: ServerProcess, seed: int) -> None:
    names = list(sse_feeds.FEEDS) * 3
    paths = [
        f"/feed?{sse.query(feed=name, seed=seed + number, count=COUNT)}" for number, name in enumerate(names)
    ]
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(sse.connected(server, path)) for path in paths]
        rows = list(itertools.zip_longest(*streams))
    for number, name in enumerate(names):
        seen = [(event.event, json.loads(event.data)) for row in rows if (event := row[number]) is not None]
        assert seen == [record[:2] for record in expected(sse_feeds.FEEDS[name], seed + number, COUNT)]
