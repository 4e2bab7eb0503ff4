"""A FastAPI application behind the server, driven by httpx."""

from __future__ import annotations

import asyncio
import hashlib

import httpx
import pytest

ITEM = {"name": "screw", "price": 0.25, "tags": ["small"]}


@pytest.fixture
def server(shared):
    return shared("apps.fastapi_app:app")


@pytest.fixture
def url(server):
    host, port = server.address
    return f"http://{host}:{port}"


@pytest.fixture
def client(url):
    with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        yield client


def test_models_in_and_out(client):
    created = client.post("/items/", json=ITEM)
    assert (created.status_code, created.json()) == (201, ITEM)
    assert client.get("/items/screw").json() == ITEM
    assert created.headers["x-path"] == "/items/"


def test_validation(client):
    response = client.post("/items/", json={"name": "", "price": -1})
    assert response.status_code == 422
    assert {tuple(error["loc"]) for error in response.json()["detail"]} == {
        ("body", "name"),
        ("body", "price"),
    }
    assert client.post("/items/", content=b"{not json").status_code == 422
    assert client.get("/items/" + "x" * 21).status_code == 422


def test_query_parameters(client):
    assert client.get("/search", params={"q": ["a b", "é&="], "limit": 5}).json() == {
        "q": ["a b", "é&="],
        "limit": 5,
    }
    assert client.get("/search?q=x&limit=1000").status_code == 422


def test_exception_handler(client):
    response = client.get("/items/none")
    assert (response.status_code, response.json()) == (409, {"out_of_stock": "none"})


def test_dependencies_on_headers_and_cookies(client):
    refused = client.get("/me")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert client.get("/me", headers={"X-User": "ann"}).json() == {"user": "ann"}
    assert client.post("/login", data={"name": "bob", "password": "12345"}).json()["password"] == "*****"
    assert client.get("/me").json() == {"user": "by cookie bob"}


def test_dependency_with_yield_is_closed(client, server, tag):
    client.get("/items/none", headers={"X-Tag": tag})
    server.probe.expect("session_closed", tag)
    assert client.get("/crash", headers={"X-Tag": tag}).status_code == 500
    server.probe.expect("session_closed", tag, count=2)
    server.expect_log("RuntimeError: deliberate crash")


def test_sync_endpoint_runs_in_a_thread(client):
    assert client.get("/sync").json() == {"main_thread": False}


def test_upload(client):
    data = bytes(range(256)) * 10_000
    files = [("file", ("big.bin", data)), ("more", ("one.txt", b"1")), ("more", ("two.txt", b"2"))]
    assert client.post("/upload", files=files, data={"note": "a note"}).json() == {
        "filename": "big.bin",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "note": "a note",
        "more": ["one.txt", "two.txt"],
    }


def test_upload_without_its_file(client):
    assert client.post("/upload", data={"note": "alone"}).status_code == 422


def test_background_tasks(client, server, tag):
    assert client.get("/background", params={"tag": tag}).json() == {"status": "started"}
    server.probe.expect("background", tag, count=2)
    assert [record["name"] for record in server.probe.seen("background", tag)] == ["coroutine", "function"]


def test_streams(client):
    assert client.get("/stream").text.splitlines() == [f'{{"line": {n}}}' for n in range(100)]
    assert client.get("/sync-stream").text == "".join(f"{number} " for number in range(100))


def test_task_group_and_timeout(client):
    assert client.get("/gather").json() == {"squares": [number * number for number in range(10)]}
    response = client.get("/timeout")
    assert (response.status_code, response.json()) == (504, {"detail": "too slow"})


def test_response_classes(client):
    assert client.get("/text").text == "plain text"
    response = client.delete("/nothing")
    assert (response.status_code, response.content) == (204, b"")
    assert client.get("/openapi.json").json()["info"]["title"] == "Parity"
    assert "swagger" in client.get("/docs").text.lower()


def test_many_clients_at_once(url):
    async def ask_all() -> list[int]:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits, trust_env=False) as client:
            paths = ["/", "/sync", "/stream", "/gather", "/text", "/sync-stream"] * 50
            return [response.status_code for response in await asyncio.gather(*map(client.get, paths))]

    assert asyncio.run(ask_all()) == [200] * 300


def test_lifespan(serve):
    server = serve("apps.fastapi_app:app")
    assert server.get("/").status == 200
    server.terminate()
    assert server.probe.order() == ["starting", "stopped"]
