"""``fasterapi.App``: what handlers may return, paths, methods, WebSockets, events, mounts, lifespan. By httpx and ``websockets``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from fasterapi import App, sse_endpoint, websocket_endpoint

TIMEOUT = 20


@pytest.fixture
def server(shared):
    return shared("apps.app_class:app")


@pytest.fixture
def http(server) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"http://127.0.0.1:{server.address[1]}", timeout=TIMEOUT, trust_env=False
    ) as client:
        yield client


def websocket(server, path: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{server.address[1]}{path}", proxy=None, open_timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("path", "status", "kind", "body"),
    [
        ("/dict", 200, "application/json", '{"текст":[1,null],"state":"App","marked":"yes"}'.encode()),
        ("/list", 200, "application/json", b"[1,2]"),
        ("/text", 200, "text/plain; charset=utf-8", "é False".encode()),
        ("/bytes", 200, "application/octet-stream", b"\x00\xff"),
        ("/response", 201, "text/html; charset=utf-8", b"<p>"),
        ("/gone", 410, "text/plain; charset=utf-8", b"gone for good"),
        ("/items/7/a/b", 200, "application/json", b'{"number":7,"rest":"a/b"}'),
        ("/items/x/a", 404, "text/plain; charset=utf-8", b"Not Found"),
        ("/object", 200, "text/plain; charset=utf-8", b"/dict"),
        ("/inner/", 200, "text/plain; charset=utf-8", b"inner /inner"),
    ],
)
def test_what_a_handler_returns_is_the_answer(http, path, status, kind, body):
    answer = http.get(path)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (status, kind, body)


def test_a_head_request_gets_the_head_alone(http):
    answer = http.head("/list")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "5", b"")


def test_an_exception_of_starlettes_keeps_its_headers(http):
    assert http.get("/gone").headers["x-why"] == "age"


def test_an_exception_of_a_status_without_content_has_none(http, server):
    told = server.stderr.count("Traceback")
    answers = [http.get("/nothing") for _ in range(2)]
    assert {(answer.status_code, answer.content, answer.headers["x-own"]) for answer in answers} == {
        (204, b"", "yes")
    }
    assert server.stderr.count("Traceback") == told


def test_a_client_that_leaves_in_the_middle_of_its_request_is_no_error(http, server):
    told = server.stderr.count("Traceback")
    with server.connect() as connection:
        connection.send(b"POST /uploaded HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome")
        connection.finish_writing()
        connection.expect_end()
    assert http.post("/uploaded", content=b"all").text == "3"
    assert server.stderr.count("Traceback") == told


def test_anything_else_is_an_error_that_names_what_is_possible(serve):
    server = serve("apps.app_class:app")
    assert server.get("/none").status == 500
    server.expect_log("a handler returns a dict, list, str, bytes or a Starlette response, not NoneType")


def test_a_handler_that_is_not_async_is_named(serve):
    server = serve("apps.app_class:app")
    assert server.get("/not-async").status == 500
    server.expect_log(r"TypeError: not_async_events\(\) is not async: a handler is a coroutine function")
    with pytest.raises(InvalidStatus) as refused:
        websocket(server, "/not-async")
    assert refused.value.response.status_code == 500
    server.expect_log(r"TypeError: not_async\(\) is not async: a handler is a coroutine function")


def yields(connection):
    yield


async def yields_later(connection):
    yield


@pytest.mark.parametrize("endpoint", [sse_endpoint, websocket_endpoint])
@pytest.mark.parametrize(
    ("handler", "fault"),
    [
        (None, "must be callable"),
        (yields, r"yields\(\) has a yield"),
        (yields_later, r"yields_later\(\) has a yield"),
    ],
)
def test_what_is_no_handler_is_refused_at_once(endpoint, handler, fault):
    with pytest.raises(TypeError, match=fault):
        endpoint(handler)


@pytest.mark.parametrize("decorator", ["get", "websocket", "sse"])
def test_a_decorator_without_parentheses_says_so(decorator):
    with pytest.raises(TypeError, match=r'a path is a str, as in @app.get\("/path"\), not function'):
        getattr(App(), decorator)(yields)


def test_a_handler_of_http_that_cannot_be_called_is_refused_at_once():
    with pytest.raises(TypeError, match="must be callable, not dict"):
        App().add_route("/", {})


def test_each_method_has_its_handler(http):
    assert [http.request(method, "/method").text for method in ("POST", "PUT", "DELETE", "PATCH")] == [
        "post ",
        "put",
        "delete",
        "patch",
    ]
    assert http.post("/method", content="body").text == "post body"
    assert http.get("/method").status_code == 405
    assert http.post("/list").status_code == 405


def test_a_websocket_and_get_share_a_path(http, server):
    assert http.get("/both").text == "HTTP"
    with websocket(server, "/both") as one:
        assert one.recv(TIMEOUT) == "WebSocket"


def test_websockets_of_a_mounted_app_and_of_no_app(server):
    with websocket(server, "/inner/echo") as one:
        one.send("hello")
        assert one.recv(TIMEOUT) == "hello"
    with pytest.raises(InvalidStatus) as refused:
        websocket(server, "/nowhere")
    assert refused.value.response.status_code == 403


def test_events_are_sent_and_end(http):
    answer = http.get("/count")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text == "".join(f"event: number\nid: {number}\ndata: {number}\n\n" for number in range(3))
    assert http.post("/count").status_code == 405


def test_a_room_is_heard_by_websockets_and_streams_of_events(http, server, server_name):
    with (
        websocket(server, "/rooms/blue") as one,
        websocket(server, "/rooms/red") as other,
        http.stream("GET", "/events/blue") as stream,
    ):
        assert json.loads(one.recv(TIMEOUT)) == {"room": "blue", "native": server_name == "fasterapi"}
        other.recv(TIMEOUT)
        one.send("text")
        assert http.post("/rooms/blue", content=b"\x01").text == "said"
        other.send("not for blue")
        assert [one.recv(TIMEOUT), one.recv(TIMEOUT)] == ["text", b"\x01"]
        assert other.recv(TIMEOUT) == "not for blue"
        lines = stream.iter_lines()
        assert [next(lines) for _ in range(4)] == [
            "data: text",
            "",
            "data: data:application/octet-stream;base64,AQ==",
            "",
        ]


def test_the_lifespan_surrounds_all(serve):
    server = serve("apps.app_class:app")
    assert server.output.wait(lambda lines: "started\n" in lines, TIMEOUT)
    server.terminate()
    assert "stopped\n" in server.stdout


def test_run_serves():
    program = (
        "import fasterapi, os, signal, threading\n"
        "app = fasterapi.App()\n"
        "@app.get('/')\n"
        "async def root(request):\n"
        "    threading.Timer(0, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    return 'ran'\n"
        "app.run(host='127.0.0.1', port=0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        address = next(line.split()[-5] for line in process.stderr if "running on" in line)
        assert httpx.get(address, trust_env=False, timeout=TIMEOUT).text == "ran"
        process.stderr.read()
        assert process.wait(TIMEOUT) in (0, -2, 130)


def test_without_starlette_the_error_names_the_extra():
    program = "import sys; sys.modules['starlette'] = None; from fasterapi import App"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT)
    assert run.returncode == 1
    assert (
        run.stderr.splitlines()[-1]
        == "ImportError: fasterapi.App needs Starlette: pip install 'fasterapi[app]'"
    )
