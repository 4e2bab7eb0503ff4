"""Several channels over one connection: chosen, added and dropped while open, and gone on with after a loss."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import httpx
import pytest
from support import sse
from support.server import ServerProcess

from fasterapi import Channels, MemoryHistory, ServerSentEvent, UnknownEventId, channels_endpoint

CONTROL = "fasterapi.channels"


@pytest.fixture
def server(shared: Callable[..., ServerProcess]) -> ServerProcess:
    return shared("apps.sse_channels:app")


@pytest.fixture
def names() -> list[str]:
    """Of channels that no other test has."""
    return [f"{letter}é {uuid.uuid4().hex}" for letter in "abcd"]


def ask(server: ServerProcess, path: str, **options: Any) -> httpx.Response:
    return httpx.post(sse.url(server) + path, timeout=10, verify=False, **options)


def append(server: ServerProcess, channel: str, *lines: str) -> None:
    assert ask(server, f"/append/{channel}", content="\n".join(lines).encode()).status_code == 204


def path(*names: str, route: str = "/history") -> str:
    return f"{route}?{httpx.QueryParams(channels=','.join(names))}"


def control(events: Iterator[Any]) -> dict[str, Any]:
    event = next(events)
    assert event.event == CONTROL
    told: dict[str, Any] = json.loads(event.data)
    return told


def taken(events: Iterator[Any], count: int) -> set[tuple[str, str]]:
    return {(event.event, event.data) for event in itertools.islice(events, count)}


def test_the_query_chooses(server: ServerProcess, names: list[str]) -> None:
    one, two, other, _ = names
    append(server, one, "before")
    with sse.connected(server, path(one, two)) as events:
        assert control(events)["channels"] == [one, two]
        append(server, other, "not asked for")
        append(server, one, "1", "!2")
        append(server, two, "3")
        assert taken(events, 3) == {(one, "1"), (f"{one}:alert", "!2"), (two, "3")}


def test_channels_are_added_and_dropped_while_open(server: ServerProcess, names: list[str]) -> None:
    one, two, three, _ = names
    with sse.connected(server, path(one, two)) as events:
        first = control(events)
        change = {"id": first["id"], "add": [three, two], "drop": [one]}
        answer = ask(server, "/history", json=change)
        assert (answer.status_code, answer.json()) == (200, {"channels": [two, three]})
        assert control(events) == {"id": first["id"], "channels": [two, three]}
        append(server, one, "dropped")
        append(server, two, "2")
        append(server, three, "3")
        assert taken(events, 2) == {(two, "2"), (three, "3")}


def test_a_client_goes_on_in_all_that_it_had(server: ServerProcess, names: list[str]) -> None:
    one, two, three, _ = names
    with sse.connected(server, path(one, two)) as events:
        told = control(events)
        append(server, one, "1", "2")
        assert taken(events, 2) == {(one, "1"), (one, "2")}
        assert ask(server, "/history", json={"id": told["id"], "add": [three]}).status_code == 200
        last = next(events).id
    append(server, one, "3")
    append(server, two, "4")
    append(server, three, "5")
    with sse.connected(server, path(one, two), headers={"Last-Event-ID": last}) as events:
        assert control(events)["channels"] == [one, two, three]
        assert taken(events, 3) == {(one, "3"), (two, "4"), (three, "5")}
        append(server, three, "6")
        assert taken(events, 1) == {(three, "6")}


def test_a_channel_that_is_dropped_and_added_again_begins_anew(
    server: ServerProcess, names: list[str]
) -> None:
    one = names[0]
    with sse.connected(server, path(one)) as events:
        told = control(events)
        assert (
            ask(server, "/history", json={"id": told["id"], "add": [one], "drop": [one]}).status_code == 200
        )
        last = next(events).id
    append(server, one, "1")
    with sse.connected(server, path(one), headers={"Last-Event-ID": last}) as events:
        control(events)
        assert taken(events, 1) == {(one, "1")}


def test_what_a_history_has_forgotten_is_told_of_that_channel(
    server: ServerProcess, names: list[str]
) -> None:
    one, two, _, _ = names
    with sse.connected(server, path(one, two)) as events:
        control(events)
        append(server, one, "0")
        last = next(events).id
    append(server, one, *(str(number) for number in range(1, 40)))
    append(server, two, "kept")
    with sse.connected(server, path(one, two), headers={"Last-Event-ID": last}) as events:
        control(events)
        lost, kept = sorted(itertools.islice(events, 2), key=lambda event: event.event != f"{one}:lost")
        assert (lost.event, kept.event, kept.data) == (f"{one}:lost", two, "kept")
        append(server, one, "new")
        assert taken(events, 1) == {(one, "new")}


def test_a_source_is_asked_for_each_channel_and_closed(server: ServerProcess, tag: str) -> None:
    one, two = f"{tag}-1", f"{tag}-2"
    with sse.connected(server, path(one, route="/generated")) as events:
        told = control(events)
        got = list(itertools.islice(events, 2))
        assert [(event.event, event.data) for event in got] == [
            (one, f"first of {one}"),
            (one, f'{{"of":"{one}"}}'),
        ]
        assert server.probe.expect("opened", one)["after"] is None
        assert (
            ask(server, "/generated", json={"id": told["id"], "add": [two], "drop": [one]}).status_code == 200
        )
        server.probe.expect("ended", one)
        server.probe.expect("opened", two)
    server.probe.expect("ended", two)
    with sse.connected(server, path(one, route="/generated"), headers={"Last-Event-ID": got[1].id}) as events:
        control(events)
        assert server.probe.expect("opened", one, count=2)["after"] == "7"


def test_what_a_source_raises_ends_the_stream(server: ServerProcess, tag: str) -> None:
    with (
        pytest.raises(httpx.RemoteProtocolError),
        sse.connected(server, path(f"broken-{tag}", tag, route="/generated")) as events,
    ):
        list(events)
    server.probe.expect("ended", tag)
    server.expect_log("a source failed")


def test_a_handler_changes_them_too(server: ServerProcess, names: list[str], tag: str) -> None:
    with sse.connected(server, f"/own?{httpx.QueryParams(channels='one', tag=tag)}") as events:
        assert control(events)["channels"] == ["one"]
        server.probe.open(tag)
        assert control(events)["channels"] == ["added"]
    assert server.probe.expect("changed", tag)["names"] == ["added"]


@pytest.mark.parametrize(
    "wrong", [["x" * 65], ["a:b"], ["a\nb"], ["fasterapi.channels"], ["secret"], list("abcde")]
)
def test_what_may_not_be_had_is_refused(server: ServerProcess, wrong: list[str]) -> None:
    answer = httpx.get(sse.url(server) + path(*wrong), timeout=10)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert answer.text
    with sse.connected(server, path("a")) as events:
        told = control(events)
        answer = ask(server, "/history", json={"id": told["id"], "add": wrong, "drop": ["b"]})
        assert answer.status_code == 400
        assert answer.json()["error"]
        assert ask(server, "/history", json={"id": told["id"]}).json() == {"channels": ["a"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b'{"add": []}', 400),
        (b'{"id": 5}', 400),
        (b'{"id": "x", "add": "a"}', 400),
        (b'{"id": "x", "add": [5]}', 400),
        (b'{"id": "x", "drop": null}', 400),
        (b'{"id": "nobody"}', 404),
        (b" " * 20_000, 413),
    ],
)
def test_a_bad_change_is_refused(server: ServerProcess, body: bytes, status: int) -> None:
    assert ask(server, "/history", content=body).status_code == status


def test_a_change_whose_sender_leaves_before_its_end_is_none(server: ServerProcess, names: list[str]) -> None:
    one, two, three, _ = names
    with sse.connected(server, path(one)) as events:
        told = control(events)
        with server.connect() as connection:
            body = json.dumps({"id": told["id"], "add": [two]}).encode()
            connection.send(b"POST /history HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + body)
            connection.finish_writing()
            connection.expect_end()
        assert ask(server, "/history", json={"id": told["id"], "add": [three]}).status_code == 200
        assert control(events)["channels"] == [one, three]


def test_a_connection_that_is_gone_is_unknown(server: ServerProcess, tag: str) -> None:
    with sse.connected(server, path(tag, route="/generated")) as events:
        told = control(events)
        next(events)
    server.probe.expect("ended", tag)
    assert ask(server, "/generated", json={"id": told["id"]}).status_code == 404


class Allow:
    async def __call__(self, name: str) -> bool:
        return False


@pytest.mark.parametrize("allow", [Allow().__call__, Allow()])
def test_who_may_have_a_channel_is_not_asked_by_a_coroutine(allow: Any) -> None:
    with pytest.raises(TypeError, match="allow"):
        channels_endpoint(MemoryHistory(), allow=allow)


class Stream:
    """Stands in for an SSE: keeps what it is told to send."""

    connection_id = "id"
    last_event_id = None

    def __init__(self, *channels: str) -> None:
        self.query_params = {"channels": ",".join(channels)}
        self.sent: asyncio.Queue[tuple[str | None, Any]] = asyncio.Queue()

    async def send(self, event: ServerSentEvent) -> None:
        await self.sent.put((event.event, event.data))

    async def send_json(self, told: Any, event: str, event_id: str) -> None:
        await self.sent.put((event, told["channels"]))


def test_what_a_channel_gives_while_it_is_dropped_is_not_sent(run: Callable[..., Any]) -> None:
    """Nor does the channel come back by it."""

    async def main() -> list[Any]:
        given: dict[str, asyncio.Queue[str]] = {"a": asyncio.Queue(), "b": asyncio.Queue()}

        async def source(name: str, after: str | None) -> AsyncGenerator[ServerSentEvent, None]:
            while True:
                text = await given[name].get()
                yield ServerSentEvent(text, id="7")

        stream: Any = Stream("a", "b")
        channels = Channels(stream, source)
        running = asyncio.create_task(channels.run())
        try:
            sent = [await stream.sent.get()]
            given["a"].put_nowait("1")
            sent.append(await stream.sent.get())
            # The channel's task goes on before the one that stops it.
            given["a"].put_nowait("2")
            channels.change(drop=iter(["a", "none"]))
            sent.append(await stream.sent.get())
            given["a"].put_nowait("3")
            given["b"].put_nowait("4")
            sent.append(await stream.sent.get())
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return sent

    assert run(main()) == [(CONTROL, ["a", "b"]), ("a", "1"), (CONTROL, ["b"]), ("b", "4")]


@pytest.mark.parametrize("had", [None, "a=7"])
def test_a_source_that_cannot_begin_at_all_ends_the_stream(run: Callable[..., Any], had: str | None) -> None:
    """It is asked again only where that is something else."""

    async def main() -> list[Any]:
        asked: list[Any] = []

        async def source(name: str, after: str | None) -> AsyncGenerator[str, None]:
            asked.append(after)
            assert len(asked) < 5
            raise UnknownEventId(str(after))
            yield name

        stream: Any = Stream("a")
        stream.last_event_id = had
        with pytest.raises(UnknownEventId):
            await Channels(stream, source).run()
        return asked

    assert run(main()) == ([None] if had is None else ["7", None])


def test_no_channel_goes_on_when_the_end_of_another_is_cut_short(run: Callable[..., Any]) -> None:
    """As the client's leaving does after ``grace`` seconds."""

    async def main() -> list[str]:
        begun: asyncio.Queue[str] = asyncio.Queue()
        ended: asyncio.Queue[str] = asyncio.Queue()

        async def source(name: str, after: str | None) -> AsyncGenerator[str, None]:
            try:
                begun.put_nowait(name)
                await asyncio.Event().wait()
                yield name
            finally:
                ended.put_nowait(name)
                await asyncio.Event().wait()

        stream: Any = Stream("a", "b", "c")
        running = asyncio.create_task(Channels(stream, source).run())
        for _ in range(3):
            await begun.get()
        running.cancel()
        names = [await ended.get()]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        names += [await ended.get() for _ in range(2)]
        return sorted(names)

    assert run(main()) == ["a", "b", "c"]
