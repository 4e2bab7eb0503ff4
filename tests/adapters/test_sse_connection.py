"""The life of an SSE connection: keep-alive, closing, statistics, many at once, and clients that leave."""

from __future__ import annotations

import itertools
import random
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from support import sse
from support.server import ServerProcess
from support.wire import LAST_CHUNK, Connection

ROUTES = ("", "/wrapped")
STOPPED = ("sleeps_before", "sleeps", "silent", "waits_on_queue", "keeps_sending")
CLOSED = {"type": "SSEClosed", "oserror": False, "text": "SSE connection is closed"}


@pytest.fixture
def server(shared: Callable[..., ServerProcess]) -> ServerProcess:
    return shared("apps.sse:app")


def ask(server: ServerProcess, target: str, **options: int) -> Connection:
    """A connection that has asked for a stream and has its first event; closing it is leaving."""
    connection = server.connect(**options)
    connection.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


class TestKeepAlive:
    @pytest.mark.parametrize("route", ROUTES)
    def test_pings_and_comments(self, server: ServerProcess, route: str) -> None:
        body = server.get(f"{route}/pings").body
        assert body == b": ping\n" * 10 + b": one\n: two\n: \ndata: end\n\n"

    @pytest.mark.parametrize("route", ROUTES)
    @pytest.mark.parametrize("name", ["silent", "kept_alive"])
    def test_a_silent_stream_is_kept_alive_until_it_ends(
        self, server: ServerProcess, tag: str, route: str, name: str
    ) -> None:
        with httpx.stream("GET", f"{sse.url(server)}{route}/{name}?tag={tag}", timeout=10) as response:
            lines = response.iter_lines()
            pings = list(itertools.islice((line for line in lines if line), 3))
            server.probe.open(tag)
            rest = [line for line in lines if line not in (": ping", "")]
        assert pings == [": ping"] * 3
        assert rest == (["data: end"] if name == "silent" else [])
        server.probe.expect("closed" if name == "silent" else "kept", tag)
        ended = server.probe.expect("ended", tag)
        assert (ended["outcome"], ended["running"]) == (None, set())

    @pytest.mark.parametrize("route", ROUTES)
    def test_the_first_ping_starts_the_response(self, server: ServerProcess, tag: str, route: str) -> None:
        with httpx.stream(
            "GET", f"{sse.url(server)}{route}/silent_at_first?tag={tag}", timeout=10
        ) as response:
            lines = (line for line in response.iter_lines() if line)
            assert list(itertools.islice(lines, 3)) == [": ping"] * 3
            server.probe.open(tag)
            assert [line for line in lines if line != ": ping"] == ["data: end"]
        assert server.probe.expect("refused", tag)["outcome"]["text"] == "the response has started"
        assert server.probe.expect("ended", tag)["outcome"] is None

    @pytest.mark.parametrize("route", ROUTES)
    def test_a_refusal_is_whole_whatever_else_is_sent(
        self, server: ServerProcess, tag: str, route: str
    ) -> None:
        server.probe.open(tag)
        answer = server.get(f"{route}/refused_late?tag={tag}")
        assert (answer.status, answer.body) == (403, b"no")
        assert server.probe.expect("refused", tag)["outcome"] is None

    def test_the_stream_yields_the_connection_and_closes_it(self, server: ServerProcess, tag: str) -> None:
        server.probe.open(tag)
        server.get(f"/silent?tag={tag}")
        assert server.probe.expect("started", tag)["same"] is True
        assert server.probe.expect("closed", tag)["open"] is False

    @pytest.mark.parametrize("route", [*ROUTES, "/enclosed"])
    def test_only_a_plain_server_needs_tasks_for_it(
        self, server: ServerProcess, server_name: str, tag: str, route: str
    ) -> None:
        with ask(server, f"{route}/accompanied?tag={tag}") as connection:
            connection.read_until(b": ping\n")
            server.probe.open(tag)
            running = server.probe.expect("beside", tag)["running"]
        tasks = {"PlainEventStream._watch", "PlainEventStream._ping_when_idle"}
        if server_name == "fasterapi":
            tasks = {"": set(), "/wrapped": {"PlainEventStream._ping_when_idle"}, "/enclosed": tasks}[route]
        assert running == tasks


class TestLifecycle:
    @pytest.mark.parametrize("route", ROUTES)
    def test_double_start_double_close_and_what_comes_after(
        self, server: ServerProcess, tag: str, route: str
    ) -> None:
        body = server.get(f"{route}/life?tag={tag}").body
        said = server.probe.expect("lived", tag)
        assert body == b"data: one\n\n"
        assert said["states"] == [True, True, False]
        assert said["after"] == [CLOSED] * 7
        assert said["left"] is False

    def test_each_connection_has_an_id(self, server: ServerProcess, tag: str) -> None:
        for _ in range(2):
            server.get(f"/life?tag={tag}")
        ids = {server.probe.expect("lived", tag, count=number)["id"] for number in (1, 2)}
        assert len(ids) == 2
        assert all(len(each) >= 16 for each in ids)

    def test_the_exception_of_the_body_wins_over_that_of_closing(
        self, server: ServerProcess, tag: str
    ) -> None:
        server.get(f"/body_fails?tag={tag}")
        assert server.probe.expect("won", tag)["text"] == "the body failed"

    def test_a_client_that_has_its_whole_stream_ends_nothing(self, server: ServerProcess, tag: str) -> None:
        server.get(f"/numbered?{sse.query(count=3)}&tag={tag}")
        ended = server.probe.expect("ended", tag)
        assert (ended["outcome"], ended["running"], ended["cancelling"]) == (None, set(), 0)


@pytest.mark.parametrize("route", ROUTES)
def test_statistics_count_events_and_bytes(server: ServerProcess, tag: str, route: str) -> None:
    calls = [
        ("send", {"data": "ü\n2"}),
        ("ping", {}),
        ("send_json", {"obj": [1]}),
        ("send_comment", {"text": "c"}),
    ]
    body = server.get(f"{route}/sends?{sse.query(calls=calls, tag=tag)}").body
    said = server.probe.expect("sent", tag)
    assert (said["events"], said["bytes"]) == (2, len(body))


class TestConcurrency:
    def test_streams_at_once_do_not_mix(self, server: ServerProcess) -> None:
        seeds = random.sample(range(2**32), 20)

        def read(seed: int) -> bool:
            given = {"seed": seed, "count": 100, "longest": 100}
            events = sse.all_events(server, f"/random_events?{sse.query(**given)}")
            return sse.seen(events) == sse.expected(sse.random_events(**given))

        with ThreadPoolExecutor(len(seeds)) as pool:
            assert list(pool.map(read, seeds)) == [True] * len(seeds)


class TestPerformance:
    @pytest.mark.parametrize("route", ROUTES)
    def test_a_burst_keeps_its_order(self, server: ServerProcess, route: str) -> None:
        events = sse.all_events(server, f"{route}/burst")
        assert [event.data for event in events] == [str(number) for number in range(1000)]

    def test_ten_thousand_events(self, server: ServerProcess) -> None:
        events = sse.all_events(server, f"/numbered?{sse.query(count=10_000)}")
        assert [(event.data, event.id) for event in events] == [
            (f"Event {number}", str(number)) for number in range(10_000)
        ]

    def test_each_event_is_there_before_the_next_is_sent(self, server: ServerProcess, tag: str) -> None:
        """A hundred events, each after the client has told that it has the one before."""
        with sse.connected(server, f"/one_by_one?tag={tag}") as events:
            for number in range(100):
                server.probe.open(f"{tag}-{number}")
                assert next(events).data == str(number)


class TestLeaving:
    @pytest.mark.parametrize("route", ROUTES)
    @pytest.mark.parametrize(
        "name",
        ["sleeps", "waits_on_queue", "swallows_once", "sleeps_before", "keeps_sending", "keep_sending"],
    )
    @pytest.mark.parametrize("reset", [False, True])
    def test_ends_the_handler_wherever_it_waits(
        self, server: ServerProcess, tag: str, route: str, name: str, reset: bool
    ) -> None:
        with ask(server, f"{route}/{name}?tag={tag}", receive_buffer=4096) as connection:
            if name == "sleeps_before":
                server.probe.expect("hello", tag)
            else:
                connection.read_until(b"data: hello\n\n")
            if reset:
                connection.reset()
        ended = server.probe.expect("ended", tag)
        assert (ended["outcome"], ended["running"], ended["cancelling"]) == (None, set(), 0)
        assert len(server.probe.seen("swallowed", tag)) == (name == "swallows_once")
        if name == "waits_on_queue":
            assert server.probe.expect("cleaned", tag)["after"] == CLOSED

    @pytest.mark.parametrize("route", ROUTES)
    def test_a_cancellation_of_somebody_else_is_not_the_clients(
        self, server: ServerProcess, tag: str, route: str
    ) -> None:
        with ask(server, f"{route}/cancelled_by_others?tag={tag}") as connection:
            connection.read_until(b"data: hello\n\n")
            ended = server.probe.expect("ended", tag)
        assert ended["outcome"]["type"] == "CancelledError"
        assert ended["running"] == set()

    @pytest.mark.parametrize("route", ROUTES)
    def test_nor_is_one_that_comes_after_the_clients(
        self, server: ServerProcess, tag: str, route: str
    ) -> None:
        with ask(server, f"{route}/cancelled_by_both?tag={tag}") as connection:
            connection.read_until(b"data: hello\n\n")
        outcome = server.probe.expect("ended", tag)["outcome"]
        # Before Task.uncancel() nobody can tell the second one from the first.
        assert (outcome and outcome["type"]) == ("CancelledError" if sys.version_info >= (3, 11) else None)

    @pytest.mark.parametrize("route", ROUTES)
    def test_one_that_comes_before_leaves_the_handler_its_grace(
        self, server: ServerProcess, tag: str, route: str
    ) -> None:
        with ask(server, f"{route}/cleans_up?tag={tag}") as connection:
            connection.read_until(b"data: hello\n\n")
            server.probe.expect("cleaning", tag)
        server.probe.expect("ended", tag)
        # Before Task.cancelling() nobody knows of it.
        assert len(server.probe.seen("cleaned", tag)) == (1 if sys.version_info >= (3, 11) else 0)

    def test_the_others_stay(self, server: ServerProcess, tag: str) -> None:
        with ask(server, f"/silent?tag={tag}") as stays:
            stays.read_until(b": ping\n")
            with ask(server, f"/sleeps?tag={tag}-goes") as goes:
                goes.read_until(b"data: hello\n\n")
            server.probe.expect("ended", f"{tag}-goes")
            server.probe.open(tag)
            stays.read_until(b"data: end\n\n")

    def test_a_server_that_stops_ends_them_all(
        self, serve: Callable[..., ServerProcess], server_name: str, tag: str
    ) -> None:
        """This one tells them, and their clients get a whole response; others cut what is left after their grace."""
        native = server_name == "fasterapi"
        server = serve("apps.sse:app", *(() if native else ("--timeout-graceful-shutdown", "1")))
        streams = [
            ask(server, f"{route}/{name}?tag={tag}")
            for name in STOPPED
            for route in ROUTES
            for _ in range(10)
        ]
        server.probe.expect("hello", tag, count=20)
        for stream in streams[20:]:
            stream.read_until(b"\n")
        ends: list[bytes] = []
        readers = [threading.Thread(target=lambda one=one: ends.append(one.read_to_end())) for one in streams]
        for reader in readers:
            reader.start()
        code = server.terminate()
        for reader in readers:
            reader.join()
        assert len(ends) == 100
        if native:
            ended = server.probe.seen("ended", tag)
            assert len(ended) == 100
            assert code == -signal.SIGTERM
            assert {end[-5:] for end in ends} == {LAST_CHUNK}
            assert [one["outcome"] or one["cancelling"] for one in ended] == [0] * 100
