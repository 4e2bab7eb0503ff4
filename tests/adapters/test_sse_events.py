"""What SSE sends, read by httpx-sse and as bytes: text, JSON, names, ids, sizes, scripts, and what is refused."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from support import sse
from support.server import ServerProcess

ROUTES = ("", "/wrapped")


@pytest.fixture
def server(shared: Callable[..., ServerProcess]) -> ServerProcess:
    return shared("apps.sse:app")


def sent(server: ServerProcess, tag: str, *calls: tuple[str, dict[str, Any]]) -> tuple[bytes, dict[str, Any]]:
    """The bytes that calls of methods make, and what the application says of them."""
    body = server.get(f"/sends?{sse.query(calls=calls, tag=tag)}").body
    return body, server.probe.expect("sent", tag)


class TestBasics:
    def test_the_response_has_its_headers(self, server: ServerProcess) -> None:
        response = server.get("/nothing")
        assert response.status == 200
        assert response.values("content-type") == [b"text/event-stream; charset=utf-8"]
        assert response.values("cache-control") == [b"no-store"]
        assert response.values("x-accel-buffering") == [b"no"]
        assert response.values("content-length") == []
        assert response.body == b""

    @pytest.mark.parametrize("route", ROUTES)
    def test_random_events_arrive_as_they_were_sent(
        self, server: ServerProcess, seed: int, route: str
    ) -> None:
        given = {"seed": seed, "count": 200}
        events = sse.all_events(server, f"{route}/random_events?{sse.query(**given)}")
        assert sse.seen(events) == sse.expected(sse.random_events(**given))

    @pytest.mark.parametrize("route", ROUTES)
    def test_values_arrive_as_json(self, server: ServerProcess, seed: int, route: str) -> None:
        events = sse.all_events(server, f"{route}/values?{sse.query(seed=seed)}")
        source = random.Random(seed)
        assert [json.loads(event.data) for event in events[:50]] == [sse.value(source) for _ in range(50)]
        assert [json.loads(event.data) for event in events[50:]] == [
            {"value": sse.value(source)} for _ in range(50)
        ]

    def test_the_fields_have_their_order_and_form(self, server: ServerProcess, tag: str) -> None:
        rest = {"event": "e", "event_id": "i", "retry": 7}
        body, _ = sent(server, tag, ("send", {"data": "d", **rest}), ("send_text", {"text": "d", **rest}))
        assert body == b"event: e\nid: i\nretry: 7\ndata: d\n\n" * 2

    def test_json_is_compact_and_not_only_ascii(self, server: ServerProcess, tag: str) -> None:
        body, _ = sent(
            server,
            tag,
            ("send", {"data": {"a": [1, "ü"]}}),
            ("send", {"data": None}),
            ("send", {"data": "text"}),
            ("send_json", {"obj": "text", "event": "e", "event_id": "i", "retry": 0}),
        )
        assert body.decode() == (
            'data: {"a":[1,"ü"]}\n\ndata: null\n\ndata: text\n\nevent: e\nid: i\nretry: 0\ndata: "text"\n\n'
        )

    def test_id_is_another_name_of_event_id(self, server: ServerProcess, tag: str) -> None:
        assert sent(server, tag, ("send", {"data": "x", "id": "5"}))[0] == b"id: 5\ndata: x\n\n"


class TestDataTypes:
    @pytest.mark.parametrize("lengths", [(1, 10, 50, 100, 500), (1000, 10_000, 50_000, 100_000)])
    def test_sizes(self, server: ServerProcess, seed: int, tag: str, lengths: tuple[int, ...]) -> None:
        source = random.Random(seed)
        for length in lengths:
            given = {"seed": source.randrange(2**32), "count": 3, "longest": length}
            events = sse.all_events(server, f"/random_events?{sse.query(**given)}")
            assert sse.seen(events) == sse.expected(sse.random_events(**given))

    @pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
    def test_data_is_split_at_each_line_end(self, server: ServerProcess, tag: str, line_end: str) -> None:
        text = f"one{line_end}{line_end}two{line_end}"
        body, _ = sent(server, tag, ("send", {"data": text}))
        assert body == b"data: one\ndata: \ndata: two\ndata: \n\n"

    def test_other_separators_of_lines_are_data(self, server: ServerProcess, tag: str) -> None:
        text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
        assert sent(server, tag, ("send", {"data": text}))[0].decode() == f"data: {text}\n\n"

    @pytest.mark.parametrize(
        "text", [*sse.SCRIPTS, "\tquotes \"'` \\ colon: \0 end", " leading", "\ufeffmark"]
    )
    def test_scripts_and_specials(self, server: ServerProcess, tag: str, text: str) -> None:
        body, _ = sent(server, tag, ("send", {"data": text}))
        assert body.decode() == f"data: {text}\n\n"

    def test_empty_data_is_an_event_and_an_empty_id_resets(self, server: ServerProcess, tag: str) -> None:
        calls: list[dict[str, Any]] = [
            {"data": "", "event_id": "5"},
            {"data": "kept"},
            {"data": "", "event_id": ""},
        ]
        path = f"/sends?{sse.query(calls=[('send', call) for call in calls], tag=tag)}"
        assert [(event.data, event.id) for event in sse.all_events(server, path)] == [
            ("", "5"),
            ("kept", "5"),
            ("", ""),
        ]

    def test_an_event_has_no_byte_order_mark(self, server: ServerProcess, tag: str) -> None:
        assert sent(server, tag, ("send", {"data": "x"}))[0].startswith(b"data")

    @pytest.mark.parametrize("route", ROUTES)
    def test_an_enumeration_of_texts_is_its_value(self, server: ServerProcess, route: str) -> None:
        body = server.get(f"{route}/enumerations").body
        assert body == b"event: price\nid: price\ndata: price\n\n: price\n"


class TestErrorHandling:
    @pytest.mark.parametrize("route", ROUTES)
    def test_what_would_inject_a_field_or_is_no_text_is_refused(
        self, server: ServerProcess, tag: str, route: str
    ) -> None:
        body = server.get(f"{route}/bad_values?tag={tag}").body
        said = server.probe.expect("refused", tag)
        kinds = [outcome["type"] for outcome in said["outcomes"]]
        assert kinds[:7] == ["ValueError"] * 7
        assert kinds[7] in ("ValueError", "UnicodeEncodeError")
        assert kinds[8:] == ["TypeError"] * 11
        assert said["events"] == 0
        assert body == b"data: still open\n\n"

    @pytest.mark.parametrize("route", ROUTES)
    def test_an_interval_that_is_none_is_refused(self, server: ServerProcess, tag: str, route: str) -> None:
        assert server.get(f"{route}/bad_intervals?tag={tag}").body == b"data: end\n\n"
        assert server.probe.expect("refused", tag)["count"] == 5

    def test_an_exception_before_the_first_event_is_a_500(self, server: ServerProcess, tag: str) -> None:
        assert server.get(f"/fails_first?tag={tag}").status == 500
        assert server.probe.expect("ended", tag)["outcome"]["text"] == "before the first event"

    def test_an_exception_later_cuts_the_stream(self, server: ServerProcess, tag: str) -> None:
        with server.connect() as connection:
            connection.send(f"GET /fails_later?tag={tag} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = connection.read_to_end()
        assert b"data: one" in answer
        assert not answer.endswith(b"0\r\n\r\n")
        server.expect_log("after the first event")

    def test_other_methods_are_refused(self, server: ServerProcess) -> None:
        with server.connect() as connection:
            answer = connection.ask("DELETE", "/nothing")
        assert (answer.status, answer.values("allow")) == (405, [b"GET, HEAD, POST"])

    def test_head_has_no_events(self, server: ServerProcess, tag: str) -> None:
        with server.connect() as connection:
            answer = connection.ask("HEAD", f"/sleeps_before?tag={tag}")
        assert answer.header("content-type") == b"text/event-stream; charset=utf-8"
        assert server.probe.seen("hello", tag) == []


def test_the_handler_sees_the_request(server: ServerProcess) -> None:
    [event] = sse.all_events(
        server, "/request?a=%C3%A9&b=", headers={"Last-Event-ID": "é-7".encode(), "X-Test": "yes"}
    )
    assert json.loads(event.data) == ["é-7", {"a": "é", "b": ""}, "yes", {}]
    [event] = sse.all_events(server, "/request", headers={"X-Test": "no"})
    assert json.loads(event.data)[0] is None


def test_stop_answers_204_and_closes(server: ServerProcess, tag: str) -> None:
    answer = server.get(f"/stopped?tag={tag}")
    assert (answer.status, answer.body, answer.values("content-type")) == (204, b"", [])
    assert server.probe.expect("stopped", tag)["open"] is False


def test_stop_is_refused_once_the_response_has_started(server: ServerProcess, tag: str) -> None:
    assert server.get(f"/stopped_late?tag={tag}").status == 200
    assert re.search("has started", server.probe.expect("refused", tag)["outcome"]["text"])
