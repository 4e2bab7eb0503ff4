"""sse_connect: events over several connections, and when it gives up. Against the servers, and against scripted answers."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import random
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from support import sse
from support.event_script import HEAD, NO_MORE, Script
from support.server import ServerProcess

from fasterapi import ServerSentEvent, sse_connect
from fasterapi.sse.client import EventSource, EventSourceError
from fasterapi.sse.parser import EventTooLarge

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def server(shared: Callable[..., ServerProcess]) -> ServerProcess:
    return shared("apps.sse:app")


@pytest.fixture
def run(run: Run) -> Run:
    """httpx leaves the generators of a response that is not read to its end to the collector, which has the loop end
    one after the other."""

    async def until_settled(main: Coroutine[Any, Any, Any]) -> Any:
        result = await main
        for _ in range(20):
            await asyncio.sleep(0)
        return result

    return lambda main: run(until_settled(main))


def compressed(body: bytes) -> bytes:
    return HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + gzip.compress(body)


async def gather(source: Any) -> list[ServerSentEvent]:
    async with source:
        return [event async for event in source]


class TestServers:
    def test_random_events(self, server: ServerProcess, run: Run) -> None:
        given = {"seed": random.randrange(2**32), "count": 300}
        print(given)
        url = f"{sse.url(server)}/random_events?{sse.query(**given)}"
        events = run(gather(sse_connect(url, max_attempts=0)))
        assert [(event.event, event.data, event.id, event.retry) for event in events] == sse.expected(
            sse.random_events(**given)
        )

    def test_reconnects_until_it_is_told_to_stop(self, server: ServerProcess, run: Run) -> None:
        events = run(gather(sse_connect(f"{sse.url(server)}/resumed")))
        assert [event.data for event in events] == [str(number) for number in range(1, 13)]

    def test_begins_behind_an_event(self, server: ServerProcess, run: Run) -> None:
        events = run(gather(sse_connect(f"{sse.url(server)}/resumed", last_event_id="9")))
        assert [event.data for event in events] == ["10", "11", "12"]

    @pytest.mark.parametrize("route", ["", "/wrapped"])
    def test_binary_events_are_bytes_again(self, server: ServerProcess, run: Run, route: str) -> None:
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        url = f"{sse.url(server)}{route}/binary?{sse.query(seed=seed)}"
        events = run(gather(sse_connect(url, max_attempts=0)))
        source = random.Random(seed)
        blobs = [source.randbytes(source.randrange(70_000)) for _ in range(3)]
        assert [(event.event, event.data) for event in events] == [
            *(("blob", blob) for blob in blobs),
            ("message", b""),
            ("message", "text"),
        ]
        # Any other client sees text.
        assert [
            event.data[:5] for event in sse.all_events(server, f"{route}/binary?{sse.query(seed=seed)}")
        ] == [
            *["data:"] * 4,
            "text",
        ]

    def test_leaving_the_iteration_ends_the_handler(self, server: ServerProcess, run: Run, tag: str) -> None:
        async def main() -> None:
            async with sse_connect(f"{sse.url(server)}/sleeps?tag={tag}") as source:
                assert (await anext(source)).data == "hello"

        run(main())
        assert server.probe.expect("ended", tag)["outcome"] is None

    def test_a_server_that_comes_back_goes_on(
        self, serve: Callable[..., ServerProcess], run: Run, tag: str
    ) -> None:
        first = serve("apps.sse:app")
        port = str(first.address[1])

        async def main() -> list[str]:
            loop, seen = asyncio.get_running_loop(), []
            async with sse_connect(f"{sse.url(first)}/resumed?tag={tag}", retry=0.01) as source:
                async for event in source:
                    seen.append(event.data)
                    if len(seen) == 5:
                        await loop.run_in_executor(None, first.kill)
                        await loop.run_in_executor(None, lambda: serve("apps.sse:app", "--port", port))
            return seen

        assert run(main()) == [str(number) for number in range(1, 13)]


class TestReconnecting:
    def test_last_id_and_retry_go_with_the_stream(self, run: Run) -> None:
        async def main() -> None:
            answers = (
                HEAD + "id: é1\nretry: 0\ndata: a\n\nid: unfinished\ndata: b\n".encode(),
                HEAD + b"data: c\n\nid: 2\n\n",
                HEAD + b"id\n\n",
                NO_MORE,
            )
            async with Script(*answers) as script:
                source = sse_connect(script.url, retry=3600.0)
                events = await gather(source)
                assert [(event.data, event.id) for event in events] == [("a", "é1"), ("c", "é1")]
                assert script.last_ids() == [None, "é1".encode(), b"2", None]
                assert source.retry == 0.0

        run(main())

    @pytest.mark.parametrize(
        ("given", "told"), [(b" 5 ", b"5"), (b"\t5\t", b"5"), (b"a \tb", b"a \tb"), (b"  ", None)]
    )
    def test_an_id_with_white_space_is_told_as_a_header_can(
        self, run: Run, given: bytes, told: bytes | None
    ) -> None:
        async def main() -> None:
            async with Script(HEAD + b"id: " + given + b"\nretry: 0\ndata: a\n\n", NO_MORE) as script:
                [event] = await gather(sse_connect(script.url))
                assert event.id == given.decode()
                assert script.last_ids() == [None, told]

        run(main())

    def test_a_broken_connection_and_temporary_errors_are_tried_again(self, run: Run) -> None:
        async def main() -> None:
            answers = (
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
                b"",
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\n\r\ndata: cut\n\n",
                NO_MORE,
            )
            async with Script(*answers) as script:
                assert [event.data for event in await gather(sse_connect(script.url, retry=0))] == ["cut"]

        run(main())

    def test_delays_grow_with_each_attempt_in_vain(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        delays: list[float] = []
        delay_of = EventSource._delay

        def no_delay(source: EventSource) -> float:
            delays.append(delay_of(source))
            return 0.0

        async def main() -> None:
            async with Script(b"") as script:
                monkeypatch.setattr(EventSource, "_delay", no_delay)
                with pytest.raises(EventSourceError, match="attempts: 7"):
                    await gather(sse_connect(script.url, retry=2.0, max_delay=20.0, max_attempts=6))
                assert len(script.requests) == 7

        run(main())
        for delay, least in zip(delays, [2, 4, 8, 16, 20, 20], strict=True):
            assert least <= delay <= 1.5 * least
        assert len({delay / least for delay, least in zip(delays, [2, 4, 8, 16, 20, 20], strict=True)}) > 1

    def test_silence_is_a_lost_connection_where_asked_for(self, run: Run) -> None:
        seen: list[Any] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            # On a busy machine the silence may be over before the first event was read.
            writer.write(NO_MORE if seen else HEAD + b"data: a\n\n")
            await reader.read()
            writer.close()

        async def main() -> None:
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            async with sse_connect(url, retry=0, idle_timeout=0.05) as source:
                async for event in source:
                    seen.append(event.data)
            server.close()
            await server.wait_closed()

        run(main())
        assert seen == ["a"]

    def test_the_end_of_the_stream_is_the_end_where_asked_for(self, run: Run) -> None:
        async def main() -> None:
            async with Script(HEAD + b"data: a\n\n") as script:
                assert len(await gather(sse_connect(script.url, max_attempts=0))) == 1
                assert len(script.requests) == 1

        run(main())


class TestRefusals:
    @pytest.mark.parametrize(
        ("answer", "text", "status"),
        [
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404 Not Found", 404),
            (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "401", 401),
            (b"HTTP/1.1 201 Created\r\nContent-Type: text/event-stream\r\n\r\n", "201", 201),
            (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\ndata: a\n\n", "text/html", 200),
            (b"HTTP/1.1 200 OK\r\n\r\ndata: a\n\n", "no type", 200),
            (compressed(b"data: a\n\n"), "gzip, which was not asked for", 200),
        ],
    )
    def test_other_answers_are_errors_at_once(self, run: Run, answer: bytes, text: str, status: int) -> None:
        async def main() -> None:
            async with Script(answer) as script:
                with pytest.raises(EventSourceError, match=text) as caught:
                    await gather(sse_connect(script.url))
                assert caught.value.status == status
                assert len(script.requests) == 1

        run(main())

    def test_redirects_without_end_and_what_cannot_be_decompressed_are_errors(self, run: Run) -> None:
        async def main() -> None:
            circle = b"HTTP/1.1 302 Found\r\nLocation: /\r\nConnection: close\r\n\r\n"
            garbage = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\nnot gzip")
            for answer, text in ((circle, "redirects"), (garbage, "decompressing")):
                async with Script(answer) as script:
                    with pytest.raises(EventSourceError, match=text):
                        await gather(sse_connect(script.url, headers={"Accept-Encoding": "gzip"}))

        run(main())

    def test_what_was_asked_for_may_be_compressed(self, run: Run) -> None:
        async def main() -> None:
            async with Script(compressed(b"data: a\n\n")) as script:
                source = sse_connect(script.url, headers={"Accept-Encoding": "gzip"}, max_attempts=0)
                assert [event.data for event in await gather(source)] == ["a"]

        run(main())

    @pytest.mark.parametrize(
        "head",
        [
            b"Content-Type: Text/Event-Stream;charset=utf-8\r\n",
            b"Content-Type: text/event-stream\r\nContent-Encoding: \r\n",
            b"Content-Type: text/event-stream\r\nContent-Encoding: Identity, identity\r\n",
        ],
    )
    def test_what_means_the_same_is_taken(self, run: Run, head: bytes) -> None:
        async def main() -> None:
            async with Script(b"HTTP/1.1 200 OK\r\n" + head + b"\r\ndata: a\n\n") as script:
                assert len(await gather(sse_connect(script.url, max_attempts=0))) == 1

        run(main())

    @pytest.mark.parametrize("stream", [b"data: " + b"x" * 200, b"data: xxxxxxxxxx\n" * 20])
    def test_events_without_end_are_refused(self, run: Run, stream: bytes) -> None:
        async def main() -> None:
            async with Script(HEAD + stream) as script:
                with pytest.raises(EventTooLarge):
                    await gather(sse_connect(script.url, max_line=100, max_event=100))

        run(main())

    @pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "mailto:x", "http://127.0.0.1:65536/"])
    def test_a_bad_address_is_not_tried_again(self, run: Run, url: str) -> None:
        with pytest.raises(EventSourceError, match=url):
            run(gather(sse_connect(url)))

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 302 Found\r\nLocation: mailto:x\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: /\r\nSet-Cookie: a=\xff\r\nContent-Length: 0\r\n\r\n",
            HEAD + b"id: a\x0bb\nretry: 0\n\n",
        ],
        ids=["no-url", "another-scheme", "a-cookie", "an-id"],
    )
    def test_what_makes_the_next_request_impossible_is_an_error(self, run: Run, answer: bytes) -> None:
        async def main() -> None:
            async with Script(answer) as script:
                with pytest.raises(EventSourceError, match=script.url):
                    await gather(sse_connect(script.url))

        run(main())

    def test_nobody_there_is_an_error_after_so_many_attempts(self, run: Run) -> None:
        async def main() -> None:
            with socket.socket() as bound:  # and does not listen
                bound.bind(("127.0.0.1", 0))
                url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
                with pytest.raises(EventSourceError, match="attempts: 2") as caught:
                    await gather(sse_connect(url, retry=0, max_attempts=1))
            assert isinstance(caught.value.__cause__, httpx.ConnectError)

        run(main())

    def test_a_status_that_stays_is_told(self, run: Run) -> None:
        async def main() -> None:
            async with Script(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") as script:
                with pytest.raises(EventSourceError) as caught:
                    await gather(sse_connect(script.url, retry=0, max_attempts=0))
                assert str(caught.value) == f"{script.url}: it answered 503 Service Unavailable (attempts: 1)"
                assert caught.value.status == 503

        run(main())


def test_a_client_and_a_request_of_the_callers(run: Run) -> None:
    async def main() -> None:
        async with (
            Script(HEAD + b"data: a\n\n") as script,
            httpx.AsyncClient(headers={"X-Client": "1"}) as client,
        ):
            source = sse_connect(
                script.url,
                client=client,
                method="POST",
                headers={"X-Own": "2"},
                json={"a": 1},
                max_attempts=0,
            )
            assert len(await gather(source)) == 1
            assert not client.is_closed
            request = script.requests[0].lower()
            assert request.startswith(b"post / ")
            for field in (
                b"x-client: 1",
                b"x-own: 2",
                b"accept: text/event-stream",
                b"cache-control: no-store",
            ):
                assert field in request

    run(main())


def test_events_are_given_as_they_come(run: Run) -> None:
    """One connection, each event asked for after the one before was given."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        for number in itertools.count():
            await wanted.acquire()
            writer.write(b"data: %d\n\n" % number)
            if number == 99:
                break
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with sse_connect(url, max_attempts=0) as source:
            for number in range(100):
                wanted.release()
                assert (await anext(source)).data == str(number)
        server.close()
        await server.wait_closed()

    wanted = asyncio.Semaphore(0)
    run(main())


class TestClosing:
    """While a task waits for an event, or between two."""

    @pytest.fixture
    def source(self) -> Callable[..., Any]:
        """``async with source(answer) as (events, asked, ended)``: of a server that answers and then waits until the client
        has gone; whether it was asked, and whether the client has gone."""

        @asynccontextmanager
        async def source(answer: bytes) -> AsyncIterator[tuple[EventSource, asyncio.Event, asyncio.Event]]:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                asked.set()
                await reader.read()
                writer.close()
                ended.set()

            asked, ended = asyncio.Event(), asyncio.Event()
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            yield sse_connect(url), asked, ended
            server.close()
            await server.wait_closed()

        return source

    @pytest.mark.parametrize("answer", [b"", HEAD])
    def test_ends_the_iteration_of_a_task_that_waits_for_the_first(
        self, run: Run, source: Any, answer: bytes
    ) -> None:
        async def main() -> None:
            async with source(answer) as (events, asked, ended):
                reading = asyncio.ensure_future(anext(events, "the end"))
                await asked.wait()
                await asyncio.gather(events.aclose(), events.aclose())
                assert await reading == "the end"
                await ended.wait()
                assert await anext(events, "the end") == "the end"

        run(main())

    def test_ends_the_iteration_of_a_task_that_waits_for_the_next(self, run: Run, source: Any) -> None:
        async def main() -> None:
            async with source(HEAD + b"data: a\n\n") as (events, _, ended):
                assert (await anext(events)).data == "a"
                reading = asyncio.ensure_future(anext(events, "the end"))
                await asyncio.sleep(0)
                with pytest.raises(RuntimeError, match="another task reads these events already"):
                    await anext(events)
                await events.aclose()
                assert await reading == "the end"
                await ended.wait()

        run(main())

    def test_ends_the_wait_before_reconnecting(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        async def main() -> None:
            waits = asyncio.Event()
            monkeypatch.setattr(EventSource, "_delay", lambda _: waits.set() or 3600.0)
            async with Script(HEAD) as script:
                events = sse_connect(script.url)
                reading = asyncio.ensure_future(anext(events, "the end"))
                await waits.wait()
                await events.aclose()
                assert await reading == "the end"

        run(main())

    def test_gives_no_event_that_has_come_already(self, run: Run, source: Any) -> None:
        async def main() -> None:
            async with source(HEAD + b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n") as (events, _, ended):
                assert (await anext(events)).data == "a"
                await asyncio.gather(events.aclose(), events.aclose())
                assert [event async for event in events] == []
                assert events.last_event_id == "1"
                await ended.wait()

        run(main())

    def test_a_reader_that_is_cancelled_meanwhile_is_cancelled(self, run: Run, source: Any) -> None:
        async def main() -> None:
            async with source(HEAD) as (events, asked, ended):
                reading = asyncio.ensure_future(anext(events))
                await asked.wait()
                reading.cancel()
                await events.aclose()
                with pytest.raises(asyncio.CancelledError):
                    await reading
                await ended.wait()

        run(main())
