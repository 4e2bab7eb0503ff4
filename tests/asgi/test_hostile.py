"""Applications and clients at their worst, each of which once stopped or corrupted the server (reliability C8)."""

from __future__ import annotations

import pytest
from support.websocket import WebSocket


@pytest.fixture
def hostile(serve):
    return serve("apps.hostile:app")


def still_serves(server):
    with server.connect() as connection:
        return connection.get("/").body == b"served"


def test_step_from_inside_a_step_is_refused(hostile):
    with hostile.connect() as connection:
        answer = connection.get("/steps_itself")
    assert answer.body == b"coroutine already executing|coroutine already executing"
    assert still_serves(hostile)


def test_headers_that_change_while_they_are_read(hostile):
    with hostile.connect() as connection:
        answer = connection.get("/changes_headers")
    names = [name.lower() for name, _ in answer.headers if name.lower().startswith(b"x-")]
    assert names == [b"x-%d" % number for number in range(50)] + [b"x-evil"]
    assert still_serves(hostile)


def test_body_whose_end_sends_more(hostile):
    with hostile.connect() as connection:
        body = connection.get("/dying_body").body
    assert set(body) <= set(b"yzend")
    assert body.endswith(b"end")
    assert body.count(b"y") == 500_000
    assert still_serves(hostile)


def test_header_that_answers_another_request_while_it_is_read(hostile):
    with hostile.connect() as kept, hostile.connect() as other:
        kept.request("GET", "/keeps_send")
        assert still_serves(hostile)  # so that the first has begun
        answer = other.get("/answers_another")
        assert answer.body == b"other"
        assert [answer.header(name) for name in ("x-first", "x-evil", "x-other")] == [b"1", b"1", None]
        answer = kept.response()
        assert answer.body == b"kept"
        assert [answer.header(name) for name in ("x-first", "x-evil", "x-other")] == [None, None, b"1"]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_S6_endless_stream_to_a_client_that_leaves_does_not_hold_the_loop(hostile, how):
    for _ in range(3):
        with hostile.connect() as connection:
            connection.request("GET", "/endless")
            connection.head()
            connection.read_exactly(100_000)
            getattr(connection, how)()
        assert still_serves(hostile)


def test_S6_head_of_an_endless_stream_does_not_hold_the_loop(hostile):
    with hostile.connect() as connection:
        connection.request("HEAD", "/endless_without_a_body")
        assert still_serves(hostile)
    assert still_serves(hostile)


def test_header_that_is_gone_when_it_has_been_read(hostile):
    with hostile.connect() as connection:
        assert connection.get("/drops_a_header").status == 200
    assert still_serves(hostile)


def test_type_of_a_subclass_of_str(hostile):
    with hostile.connect() as connection:
        assert connection.get("/names_types_by_enum").body == b"named"


def test_answer_from_a_thread_is_not_kept_back(hostile):
    with hostile.connect() as connection:
        assert connection.get("/answers_from_a_thread").body == b"threaded"


def test_application_that_gives_up_on_disconnect_is_not_answered_for(hostile):
    with hostile.connect() as connection:
        connection.request("GET", "/gives_up")
    assert still_serves(hostile)
    hostile.terminate()
    assert "GET / " in hostile.stdout
    assert "gives_up" not in hostile.stdout
    assert "ERROR" not in hostile.stderr


def test_websocket_messages_that_are_empty_when_they_have_been_read(hostile):
    with WebSocket(hostile.address) as socket:
        socket.opened()
        assert socket.message() == "|".join(
            f"unexpected ASGI message 'websocket.{kind}'"
            for kind in ("send", "http.response.body", "accept", "http.response.start")
        )
    assert still_serves(hostile)
