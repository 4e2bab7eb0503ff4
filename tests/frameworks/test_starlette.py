"""A Starlette application behind the server, driven by httpx: with pure ASGI middleware and with BaseHTTPMiddleware."""

from __future__ import annotations

import hashlib
import threading

import httpx
import pytest
from support.checks import still_serves_path
from support.wire import request_bytes

TARGETS = ["apps.starlette_app:app", "apps.starlette_app:with_base"]


@pytest.fixture(params=TARGETS, ids=["pure", "base"])
def server(shared, request):
    return shared(request.param)


@pytest.fixture
def client(server):
    host, port = server.address
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=20, trust_env=False) as client:
        yield client


def test_routes_and_parameters(client):
    assert client.get("/").json() == {"hello": "world"}
    assert client.get("/items/17?a=1&b=x%20y&a=2").json() == {
        "id": 17,
        "query": [["a", "1"], ["b", "x y"], ["a", "2"]],
    }
    assert client.get("/items/x").status_code == 404
    assert client.post("/").status_code == 405


def test_middleware(client, server):
    response = client.get("/", headers={"Origin": "https://example.org"})
    assert response.headers["x-pure"] == "yes"
    assert response.headers["access-control-allow-origin"] == "https://example.org"
    assert response.headers.get("x-base") == ("GET" if "with_base" in server.target else None)


def test_context_variable_of_a_middleware_reaches_the_endpoint(client):
    assert client.get("/context").json() == {"seen_by": "pure middleware", "task": True}
    assert client.get("/sync").json() == {"seen_by": "pure middleware"}


def test_scope_behind_a_mount(client, server):
    seen = client.get("/sub/scope?x=1").json()
    assert seen["root_path"] == "/sub"
    assert seen["path"] == "/sub/scope"
    assert seen["url"] == f"http://127.0.0.1:{server.address[1]}/sub/scope?x=1"


def test_cors_preflight(client):
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "PUT"}
    response = client.options("/echo-bytes", headers=headers)
    assert response.status_code == 200
    assert "PUT" in response.headers["access-control-allow-methods"]


def test_gzip(client):
    packed = client.get("/text", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/text", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text == "compress me " * 500


def test_json_and_bytes(client):
    value = {"text": "é€🐍", "list": [1, 2.5, None, True]}
    assert client.post("/echo-json", json=value).json() == {"received": value}
    data = bytes(range(256)) * 1000
    assert client.put("/echo-bytes", content=data).content == data


def test_multipart_upload(client):
    small, large = b"small file", bytes(range(256)) * 20_000
    files = {"small": ("a.txt", small, "text/plain"), "large": ("b \xe9.bin", large, "application/x-thing")}
    seen = client.post("/upload", files=files, data={"note": "text é", "empty": ""}).json()
    assert seen["fields"] == {"note": "text é", "empty": ""}
    assert seen["files"] == {
        "small": ["a.txt", "text/plain", len(small), hashlib.sha256(small).hexdigest()],
        "large": ["b \xe9.bin", "application/x-thing", len(large), hashlib.sha256(large).hexdigest()],
    }


def test_form(client):
    assert client.post("/upload", data={"a": "1 + 1", "b": "é"}).json() == {
        "files": {},
        "fields": {"a": "1 + 1", "b": "é"},
    }


@pytest.mark.parametrize("known_length", [False, True])
def test_streamed_upload(client, known_length):
    parts = [bytes([number]) * 10_000 for number in range(200)]
    data = b"".join(parts)
    content = data if known_length else iter(parts)
    assert client.post("/stream-upload", content=content).json() == {
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_upload_given_up_by_the_client(server, tag):
    with server.connect() as connection:
        head = request_bytes("POST", f"/interrupted-upload?{tag}", [("Content-Length", "100")])
        connection.send(head + b"some")
        server.probe.expect("uploading", tag)
        connection.reset()
    assert server.probe.expect("upload_ended", tag)["how"] == "ClientDisconnect"
    still_serves_path(server, "/")


def test_streamed_response(client):
    assert client.get("/stream/1000").text == "".join(f"{number}\n" for number in range(1000))
    assert client.get("/stream/0").text == ""
    assert client.get("/sync-stream").text == "".join(f"{number}," for number in range(50))


def test_streamed_response_arrives_as_it_is_made(client, server, tag):
    server.probe.open(f"{tag}.0")
    with client.stream("GET", f"/slow-stream?{tag}") as response:
        for number, line in enumerate(response.iter_lines()):
            assert line == f"line {number}"
            server.probe.open(f"{tag}.{number + 1}")
    assert number == 2
    server.probe.expect("stream_ended", tag)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_stream_ends_when_its_client_leaves(server, tag, how):
    with server.connect() as connection:
        connection.request("GET", f"/endless?{tag}")
        connection.head()
        connection.read_exactly(100_000)
        getattr(connection, how)()
    server.probe.expect("endless_ended", tag)
    still_serves_path(server, "/")


def test_background_tasks_run_after_the_response(client, server, tag):
    assert client.get(f"/background?{tag}").text == "started"
    assert server.probe.seen("background", tag) == []
    server.probe.open(f"{tag}.go")
    server.probe.expect("background", tag, count=2)
    assert [record["name"] for record in server.probe.seen("background", tag)] == ["coroutine", "function"]


def test_threadpool(client):
    assert client.get("/threadpool").json() == [["pure middleware", "done"]] * 20


def test_threads_and_requests_at_once(server):
    """Sync endpoints, streams and threads from many clients, with the loop woken from other threads."""
    host, port = server.address
    failures: list[str] = []

    def ask() -> None:
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=20, trust_env=False) as client:
            for _ in range(10):
                for path in ("/sync", "/threadpool", "/sync-stream", "/task-group"):
                    if client.get(path).status_code != 200:
                        failures.append(path)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_task_groups(client):
    assert client.get("/task-group").json() == {str(number): number * number for number in range(10)}
    assert client.get("/cancelled-group").json() == {"cancelled": 5}


def test_timeouts(client):
    assert client.get("/timeout").json() == ["anyio", "asyncio", "not fired"]


def test_lifespan_state(client):
    first, second = client.get("/state").json(), client.get("/state").json()
    assert first["greeting"] == "from the lifespan"
    assert second["requests"] == first["requests"] + 1


def test_lifespan_runs_to_its_end(serve):
    server = serve("apps.starlette_app:app")
    assert server.get("/").status == 200
    server.probe.expect("starting")
    assert server.probe.order() == ["starting"]
    server.terminate()
    assert server.probe.order() == ["starting", "stopped"]


def test_exception_handlers(client):
    response = client.get("/teapot")
    assert (response.status_code, response.json()) == (418, {"error": "short and stout"})
    response = client.get("/refused")
    assert (response.status_code, response.text, response.headers["x-why"]) == (403, "not for you", "because")


def test_unhandled_exception_is_500_and_logged(client, server):
    response = client.get("/crash")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    server.expect_log("Exception in ASGI application")
    server.expect_log("RuntimeError: deliberate crash")
    assert client.get("/").status_code == 200


def test_redirects_cookies_and_empty_answers(client):
    assert client.get("/redirect").headers["location"] == "/"
    assert client.get("/redirect", follow_redirects=True).json() == {"hello": "world"}
    assert len(client.get("/cookies").headers.get_list("set-cookie")) == 3
    assert client.get("/no-content").status_code == 204
    assert client.get("/not-modified").status_code == 304
    assert client.get("/").status_code == 200


def test_file_response(client):
    whole = client.get("/file", headers={"Accept-Encoding": "identity"})
    assert int(whole.headers["content-length"]) == len(whole.content)
    part = client.get("/file", headers={"Range": "bytes=10-19", "Accept-Encoding": "identity"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert client.head("/file", headers={"Accept-Encoding": "identity"}).headers["content-length"] == str(
        len(whole.content)
    )


def test_header_encodings(client):
    response = client.get("/latin")
    assert response.text == "é€"
    assert dict(response.headers.raw)[b"x-latin"] == b"caf\xe9"


def test_one_connection_serves_all_of_it(client):
    paths = [
        "/",
        "/stream/10",
        "/cookies",
        "/no-content",
        "/text",
        "/teapot",
        "/sync",
        "/not-modified",
        "/task-group",
    ]
    for _ in range(20):
        for path in paths:
            assert client.get(path).status_code in (200, 204, 304, 418)
