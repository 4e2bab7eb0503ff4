"""Rows A01–A23, X07, X08: how the server calls an application and what it makes of its faults."""

from __future__ import annotations

import re

import pytest
from support.checks import (
    body,
    failed_or_closed,
    literal,
    raised,
    run_script,
    script_request,
    start,
    still_serves,
)
from support.wire import Silence, Truncated


def test_A01_called_with_scope_receive_send(server):
    report = literal(server.get("/arguments"))
    assert report["count"] == 3
    assert report["named"] == []
    assert report["scope_is_dict"] is True


def test_A02_scope_type_is_str(server):
    assert literal(server.get("/echo"))["type"] == "http"


def test_A03_asgi_version(server):
    assert literal(server.get("/arguments"))["asgi_is_dict"] is True
    assert literal(server.get("/echo"))["asgi"]["version"] == "3.0"


def test_A04_spec_version_is_one_of_the_www_spec(server):
    spec_version = literal(server.get("/echo"))["asgi"].get("spec_version", "2.0")
    assert spec_version in ("2.0", "2.1", "2.2", "2.3", "2.4", "2.5")


def test_A04b_spec_version_is_current(server):
    assert literal(server.get("/echo"))["asgi"]["spec_version"] in ("2.4", "2.5")


def test_A05_scope_and_request_event_hold_plain_values(server):
    report = literal(server.get("/arguments", [("X-One", "1"), ("X-One", "2")]))
    assert report["types"] == []
    assert report["receive"] == []


def test_A05_disconnect_event_holds_plain_values(server, tag):
    _, outcomes = run_script(server, tag, "read", start(), body(b"x"), "receive")
    assert outcomes[-1] == {"type": "http.disconnect"}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"type": "http.response.nonsense"}, id="A07_unknown_type"),
        pytest.param({"type": ""}, id="A07_empty_type"),
        pytest.param({"type": b"http.response.start", "status": 200}, id="A07_type_as_bytes"),
        pytest.param({"type": None}, id="A07_type_None"),
        pytest.param({"type": "http.request", "body": b""}, id="A07_event_of_the_server"),
        pytest.param({"type": "http.disconnect"}, id="A07_disconnect"),
        pytest.param({"type": "lifespan.startup.complete"}, id="A07_lifespan_event"),
        pytest.param({"type": "websocket.accept"}, id="A07b_websocket_accept"),
        pytest.param({"type": "websocket.send", "text": "x"}, id="A07b_websocket_send"),
        pytest.param({"type": "websocket.close"}, id="A07b_websocket_close"),
        pytest.param({"status": 200, "headers": []}, id="A07c_no_type"),
        pytest.param({}, id="A07c_empty"),
        pytest.param({"type": "http.response.start", "headers": []}, id="A08_no_status"),
    ],
)
@pytest.mark.parametrize("when", ["before_the_start", "after_the_start"])
def test_A07_A08_wrong_event_raises(server, tag, event, when):
    if when == "before_the_start":
        response, outcomes = run_script(server, tag, event, start(), body(b"x"))
        assert raised(outcomes[0]), f"send({event}) was accepted"
        assert response is None or response.status in (200, 500)
    else:
        _, outcomes = run_script(server, tag, start(), event, body(b"x"))
        assert outcomes[0] is None
        assert raised(outcomes[1]), f"send({event}) was accepted"
    still_serves(server)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(start("200"), id="A09_status_str"),
        pytest.param(start(None), id="A09_status_None"),
        pytest.param(start(b"200"), id="A09_status_bytes"),
        pytest.param(start(200, ("x-name", b"value")), id="A09b_name_str"),
        pytest.param(start(200, (b"x-name", "value")), id="A09b_value_str"),
        pytest.param(start(200, (b"x-name", 1)), id="A09b_value_int"),
        pytest.param({**start(), "headers": [(b"x-name",)]}, id="A09b_one_item"),
        pytest.param({**start(), "headers": [(b"a", b"b", b"c")]}, id="A09b_three_items"),
        pytest.param({**start(), "headers": 7}, id="A09b_headers_int"),
    ],
)
def test_A09_wrong_types_in_the_start_raise(server, tag, first):
    _, outcomes = run_script(server, tag, first, body(b"x"), start(), body(b"y"))
    assert raised(outcomes[0]) or raised(outcomes[1]), f"{first} was accepted"
    still_serves(server)


@pytest.mark.parametrize("data", ["text", 5, ["x"]])
def test_A09c_body_of_a_wrong_type_raises(server, tag, data):
    _, outcomes = run_script(server, tag, start(), body(data), body(b"x"))
    assert raised(outcomes[1]), f"a body of type {type(data)} was accepted"
    still_serves(server)


def test_A10_additional_keys_are_no_error(server, tag):
    response, outcomes = run_script(server, tag, start(201, added="x", other=None), body(b"fine", added=[1]))
    assert outcomes == [None, None]
    assert (response.status, response.body) == (201, b"fine")


def test_A11_exception_before_the_response_ends_the_request(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, "raise"))
        failed_or_closed(connection)


def test_A11b_exception_before_the_response_is_500(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, "raise"))
        assert connection.response().status == 500


@pytest.mark.parametrize("steps", [["raise"], [start(), body(b"begun", more=True), "raise"]])
def test_exceptions_are_logged(server, tag, steps):
    with server.connect() as connection:
        connection.send(script_request(tag, *steps, headers=[("Connection", "close")]))
        connection.read_to_end()
    server.expect_log("Exception in ASGI application")
    server.expect_log(rf"RuntimeError: deliberate {tag}")


def test_A12_exception_in_a_response_truncates_it_visibly(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, start(), body(b"begun", more=True), "raise"))
        with pytest.raises(Truncated) as cut:
            connection.response()
        assert cut.value.head.framing == "chunked"
        assert cut.value.body == b"begun"


def test_A12_exception_in_a_response_with_length_closes_the_connection(server, tag):
    with server.connect() as connection:
        connection.send(
            script_request(tag, start(200, (b"content-length", b"10")), body(b"begun", more=True), "raise")
        )
        with pytest.raises(Truncated) as cut:
            connection.response()
        assert cut.value.body == b"begun"


@pytest.mark.parametrize(
    "steps",
    [["raise"], [start(), "raise"], [start(), body(b"x", more=True), "raise"]],
    ids=["first", "head", "body"],
)
def test_A13_keeps_serving_after_exceptions(server, tag, steps):
    for _ in range(20):
        with server.connect(timeout=1) as connection:
            connection.send(script_request(tag, *steps))
            try:
                connection.response()
            except (Silence, Truncated):
                pass
    still_serves(server)


def test_A14_exception_of_send_passed_on_by_the_application(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, "strict", {"type": "http.response.nonsense"}))
        assert raised(server.probe.expect("raising", tag)["outcome"])
        still_serves(server)


def test_exception_of_send_ends_the_request(server, tag):
    with server.connect() as connection:
        connection.send(script_request(tag, "strict", {"type": "http.response.nonsense"}))
        assert failed_or_closed(connection) == 500


def test_A16_each_request_has_its_own_scope(server):
    clean = {"key": None, "path": "/mutate", "asgi": None, "extensions": None, "state": None, "headers": []}
    with server.connect() as connection:
        for _ in range(3):
            assert literal(connection.get("/mutate")) == clean
    assert literal(server.get("/mutate")) == clean


@pytest.mark.parametrize("name", ["Application", "router", "function"])
def test_A17_double_callable_applications_are_served(serve, name):
    server = serve(f"apps.double_callable:{name}")
    server.probe.expect("lifespan.startup")
    with server.connect() as connection:
        assert connection.get("/path?query").body == b"http /path query 0 2.0"
        data = b"x" * 300_000
        assert connection.ask("POST", "/", body=data).body == b"http /  300000 2.0"
    server.terminate()
    events = [server.probe.seen(event) for event in ("lifespan.startup", "lifespan.shutdown")]
    assert [[item["version"] for item in seen] for seen in events] == [["2.0"], ["2.0"]]


def test_A17_double_callable_without_lifespan_is_served(serve):
    server = serve("apps.double_callable:WithoutLifespan", "--interface", "asgi2")
    assert server.get("/path").body == b"http /path  0 2.0"


def test_A19_runs_as_a_task_of_a_running_loop(server):
    report = literal(server.get("/surroundings"))
    assert report["task"] is True
    assert report["slept"] is True


def test_A19b_runs_on_the_main_thread(server):
    assert literal(server.get("/surroundings"))["main_thread"] is True


def test_A20_lifespan_and_requests_share_the_loop(server):
    report = literal(server.get("/surroundings"))
    assert report["loop"] == report["lifespan_loop"]


@pytest.mark.parametrize("steps", [[], ["receive"]], ids=["at_once", "after_receiving"])
def test_A21_application_that_answers_nothing(server, tag, steps):
    with server.connect() as connection:
        connection.send(script_request(tag, *steps))
        failed_or_closed(connection)
    still_serves(server)


def test_A22_connections_run_concurrently(server, tag):
    with server.connect() as first, server.connect() as second:
        first.request("GET", f"/waits?{tag}")
        server.probe.expect("called", tag)
        assert second.get("/hello").body == b"Hello, World!"
        server.probe.open(f"{tag}.go")
        assert first.response().body == b"waited"


def test_A23_cancelled_receive_loses_nothing(server, tag):
    with server.connect() as connection:
        connection.send(
            b"POST /cancelled_receive?%s HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n" % tag.encode()
        )
        assert server.probe.expect("gave_up", tag)["times"] >= 1
        connection.send(b"the body.")
        assert connection.response().body == b"the body."


def test_X07_debug_extension_is_not_advertised(server):
    assert "http.response.debug" not in (literal(server.get("/echo")).get("extensions") or {})


@pytest.mark.parametrize(
    ("extension", "event"),
    [
        ("http.response.debug", {"type": "http.response.debug", "info": {"x": "y"}}),
        ("http.response.zerocopysend", {"type": "http.response.zerocopysend", "file": 0}),
        ("http.response.pathsend", {"type": "http.response.pathsend", "path": "/"}),
        ("http.response.early_hint", {"type": "http.response.early_hint", "links": [b"</a.css>"]}),
        ("http.response.push", {"type": "http.response.push", "path": "/a.css", "headers": []}),
        ("http.response.trailers", {"type": "http.response.trailers", "headers": [(b"x", b"y")]}),
        ("http.response.made_up", {"type": "http.response.made_up"}),
    ],
)
def test_X08_event_of_an_extension_raises_unless_advertised(server, tag, extension, event):
    advertised = literal(server.get("/echo")).get("extensions") or {}
    _, outcomes = run_script(server, tag, start(200, (b"content-length", b"1")), event, body(b"x"))
    if extension in advertised:
        # It is then tested by its own row (X02–X06); here: what is advertised is not an unknown type.
        assert not (raised(outcomes[1]) and re.search("unknown|unexpected", outcomes[1]["text"], re.I)), (
            outcomes
        )
    else:
        assert raised(outcomes[1]), f"{event['type']} is not advertised, and was accepted"
    still_serves(server)
