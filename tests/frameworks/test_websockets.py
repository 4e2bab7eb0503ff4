"""WebSockets of Starlette and FastAPI behind the server, driven by ``websockets``."""

from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

LIMIT = 20


def connecting(server):
    host, port = server.address

    def to(path, **options):
        return connect(f"ws://{host}:{port}{path}", proxy=None, **options)

    return to


@pytest.fixture
def server(shared):
    return shared("apps.starlette_websockets:starlette")


@pytest.fixture
def to(server):
    return connecting(server)


@pytest.fixture
def rooms(shared):
    return connecting(shared("apps.starlette_websockets:fastapi"))


def closed_by(client):
    """The code and reason by which the server closes, with nothing before."""
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(LIMIT)
    assert closed.value.rcvd is not None, closed.value
    return closed.value.rcvd.code, closed.value.rcvd.reason


def test_texts(to, server, tag):
    with to(f"/texts?{tag}") as client:
        for text in ("text é€🐍", "", "x" * 100_000):
            client.send(text)
            assert client.recv(LIMIT) == text
    server.probe.expect("texts_ended", tag)


def test_bytes(to):
    with to("/data") as client:
        for data in (b"\x00\xff", b"", bytes(range(256)) * 1000):
            client.send(data)
            assert client.recv(LIMIT) == data


@pytest.mark.parametrize("mode", ["text", "binary"])
def test_json(to, mode):
    with to(f"/values?mode={mode}") as client:
        client.send('{"é": [1, null]}' if mode == "text" else b'{"\xc3\xa9": [1, null]}')
        answer = client.recv(LIMIT)
        assert isinstance(answer, str if mode == "text" else bytes)
        assert (answer if mode == "text" else answer.decode()) == '{"received":{"é":[1,null]}}'


@pytest.mark.parametrize("prefix", ["", "/sub"])
def test_subprotocols_headers_and_cookies(to, prefix):
    with to(
        prefix + "/subprotocols", subprotocols=["one", "two"], additional_headers={"Cookie": "a=1"}
    ) as client:
        assert client.subprotocol == "two"
        assert client.response.headers["x-accepted"] == "yes"
        assert client.recv(LIMIT) == (
            f'{{"offered":["one","two"],"path":"{prefix}/subprotocols","cookie":{{"a":"1"}}}}'
        )
        assert closed_by(client) == (1000, "")


def test_no_subprotocol(to):
    with to("/subprotocols") as client:
        assert client.subprotocol is None


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (4123, "tschüß")])
def test_code_and_reason_of_WebSocketDisconnect(to, server, tag, code, reason):
    with to(f"/disconnected?{tag}") as client:
        client.close(code, reason)
    told = server.probe.expect("disconnected", tag)
    assert (told["code"], told["reason"]) == (code, reason)


@pytest.mark.parametrize("code", [1000, 1008, 1011, 3000, 4999])
def test_close_codes(to, code):
    with to(f"/closes/{code}") as client:
        assert closed_by(client) == (code, "by the application")


def test_denial_response(to):
    with pytest.raises(InvalidStatus) as refused, to("/denied"):
        pass
    answer = refused.value.response
    assert (answer.status_code, answer.headers["x-denied"], answer.body) == (401, "yes", b'{"why":"no"}')


@pytest.mark.parametrize("path", ["/refused", "/no-such-route"])
def test_close_before_the_accept(to, path):
    with pytest.raises(InvalidStatus) as refused, to(path):
        pass
    assert refused.value.response.status_code == 403


def test_exception_is_1011_and_logged(to, server):
    with to("/crashes") as client:
        assert closed_by(client)[0] == 1011
    server.expect_log("Exception in ASGI application")
    server.expect_log("RuntimeError: deliberate crash of a WebSocket")


def test_sending_and_receiving_tasks(to, server, tag):
    with to(f"/both-ways?{tag}") as client:
        for number in range(20):
            client.send(str(number))
        heard = [client.recv(LIMIT) for _ in range(70)]
    assert [text for text in heard if text.startswith("number")] == [f"number {n}" for n in range(50)]
    assert [text for text in heard if text.startswith("heard")] == [f"heard {n}" for n in range(20)]
    server.probe.expect("both_ended", tag)


def test_endpoint(to, server, tag):
    with to(f"/shouting?{tag}") as client:
        client.send("hello")
        assert client.recv(LIMIT) == "HELLO"
        client.close(4000)
    assert server.probe.expect("endpoint_ended", tag)["code"] == 4000


def test_dependencies_and_parameters(rooms, shared, tag):
    with rooms("/rooms/7?repeat=2", additional_headers={"token": tag}) as client:
        client.send("hello")
        for _ in range(2):
            assert client.recv(LIMIT) == f'{{"room":7,"name":"{tag}","text":"hello"}}'
        client.close(4000, "bye")
    left = shared("apps.starlette_websockets:fastapi").probe.expect("left_the_room", tag)
    assert (left["code"], left["reason"]) == (4000, "bye")


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/rooms/7", {}), ("/rooms/seven", {"token": "x"}), ("/rooms/7?repeat=9", {"token": "x"})],
    ids=["dependency", "path", "query"],
)
def test_exception_of_a_dependency_or_a_parameter_is_403(rooms, path, headers):
    with pytest.raises(InvalidStatus) as refused, rooms(path, additional_headers=headers):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("text", "closed"), [("throw", (1003, "thrown")), ("unwelcome", (4004, "unwelcome"))]
)
def test_exceptions_with_handlers(rooms, text, closed):
    with rooms("/rooms/7", additional_headers={"token": "x"}) as client:
        client.send(text)
        client.recv(LIMIT)
        assert closed_by(client) == closed
