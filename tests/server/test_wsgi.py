"""WSGI applications (PEP 3333), recognised and served in threads: plain ones, Flask's and Django's."""

from __future__ import annotations

import ast
import hashlib

import httpx
import pytest
from support.checks import literal
from support.wire import LAST_CHUNK, Truncated, chunk, request_bytes

DATA = bytes(range(256)) * 4096


@pytest.fixture
def plain(shared):
    return shared("apps.wsgi_app:app")


def alive(server):
    response = server.get("/unread")
    assert (response.status, response.body) == (200, b"not read")


def client(server):
    host, port = server.address
    return httpx.Client(base_url=f"http://{host}:{port}", timeout=20)


def test_environ(plain):
    headers = [("X-A", "1"), ("X-A", "2"), ("Content-Type", "text/x"), ("Cookie", "a=1; b=2")]
    with plain.connect() as connection:
        response = connection.ask(
            "POST", "/environ/caf%C3%A9%2Fx?q=%41&\xe9".encode("latin-1"), headers, body=b"abc"
        )
        port = connection.port
    seen = literal(response)
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/environ/café/x".encode().decode("latin-1"),
        "QUERY_STRING": "q=%41&\xe9",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "3",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(plain.address[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(port),
        "HTTP_X_A": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.errors is stderr": True,
    }
    assert {key: seen.get(key) for key in expected} == expected
    assert response.values("set-cookie") == [b"a=1; Path=/", b"b=2"]
    assert response.values("x-latin") == [b"caf\xe9"]


def test_environ_below_a_root_path_and_behind_a_proxy(shared):
    server = shared("apps.wsgi_app:app", "--root-path", "/api")
    headers = [("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-Proto", "https")]
    seen = literal(server.get("/environ/x", headers))
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/api", "/environ/x")
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("203.0.113.7", "https")


def test_a_header_with_underscores_passes_for_no_other(plain):
    seen = literal(plain.get("/environ", [("X-User", "ann"), ("X_User", "root"), ("Remote_User", "root")]))
    assert seen["HTTP_X_USER"] == "ann"
    assert "HTTP_REMOTE_USER" not in seen


@pytest.mark.parametrize("chunked", [False, True])
def test_upload_is_read_as_it_comes(plain, tag, chunked):
    """The application has the first part before the client has sent the second."""
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(DATA)))
    pieces = [DATA[: 1 << 16], DATA[1 << 16 :]]
    with plain.connect() as connection:
        connection.send(request_bytes("POST", f"/upload?{tag}", [framing]))
        for piece in pieces:
            connection.send(chunk(piece) if chunked else piece)
            plain.probe.expect("piece", tag)
        if chunked:
            connection.send(LAST_CHUNK)
        response = connection.response()
    assert response.body.decode() == f"{len(DATA)} {hashlib.sha256(DATA).hexdigest()}"


def test_lines_of_a_body_that_comes_in_parts(plain):
    with plain.connect() as connection:
        connection.send(request_bytes("POST", "/lines", [("Transfer-Encoding", "chunked")]))
        for part in (b"one ", b"line\ntwo", b"\nthree\n\nfour\nend"):
            connection.send(chunk(part))
        connection.send(LAST_CHUNK)
        seen = ast.literal_eval(connection.response().body.decode())
    assert seen == [b"one ", b"line\n", b"two\n", b"three\n", b"\n", b"four\n", b"end", b"", b""]


def test_a_body_that_nobody_reads(plain):
    with plain.connect() as connection:
        for _ in range(3):
            assert connection.ask("POST", "/unread", body=b"x" * 5000).body == b"not read"


def test_answer_is_sent_as_it_comes(plain, tag):
    with plain.connect() as connection:
        connection.request("GET", f"/stream?{tag}")
        assert connection.head().framing == "chunked"
        for number in range(3):
            assert connection.read_chunk() == b"piece %d" % number
            plain.probe.open(f"{tag}.{number}")
        assert connection.read_chunk() == b""


def test_write(plain):
    assert plain.get("/written").body == b"written, then returned"


def test_HEAD(plain):
    with plain.connect() as connection:
        head = connection.ask("HEAD", "/unread")
        assert (head.status, head.header("content-type"), head.body) == (200, b"text/plain", b"")
        assert connection.get("/unread").body == b"not read"


def test_no_content(plain):
    with plain.connect() as connection:
        assert connection.get("/nothing").status == 204
        assert connection.get("/unread").body == b"not read"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/raises", "ValueError: deliberate"),
        ("/raises_late", "ValueError: deliberate"),
        ("/exits", "RuntimeError: the application raised SystemExit"),
        ("/no_start", "RuntimeError: the application has not called start_response"),
        ("/twice", "RuntimeError: start_response.. was called again, without exc_info"),
        ("/bad_header", 'invalid value of header "x-bad"'),
        ("/no/such/scenario", "KeyError: 'no'"),
    ],
)
def test_a_fault_is_answered_500_and_logged(serve, path, text):
    server = serve("apps.wsgi_app:app")
    response = server.get(path)
    assert response.status == 500
    server.expect_log(text)
    assert "Exception in ASGI application" in server.stderr
    alive(server)


@pytest.mark.parametrize("path", ["/raises_within", "/text_body"])
def test_a_fault_within_the_answer_cuts_it(serve, path):
    server = serve("apps.wsgi_app:app")
    with server.connect() as connection, pytest.raises(Truncated):
        connection.get(path)
    server.expect_log("Exception in ASGI application")
    alive(server)


def test_the_head_may_be_replaced_until_it_is_sent(plain):
    response = plain.get("/mends")
    assert (response.status, response.header("x-mended"), response.body) == (503, b"yes", b"mended")


def test_requests_run_in_threads_of_their_own(plain, tag):
    """Twenty that all wait at the same time."""
    connections = [plain.connect() for _ in range(20)]
    for number, connection in enumerate(connections):
        connection.request("GET", f"/waits?{tag}{number}")
    for number in range(20):
        plain.probe.expect("called", f"{tag}{number}")
    alive(plain)
    plain.probe.open("all.go")
    for number, connection in enumerate(connections):
        with connection:
            assert connection.response().body.decode() == f"{tag}{number}"


def test_a_client_that_leaves_ends_its_answer(plain, tag):
    """More of them than there are threads."""
    for number in range(50):
        with plain.connect() as connection:
            connection.request("GET", f"/endless?{tag}{number}")
            connection.head()
        plain.probe.expect("closed", f"{tag}{number}")
    alive(plain)


def test_a_client_that_leaves_its_upload_is_no_end_of_the_body(serve, tag):
    server = serve("apps.wsgi_app:app")
    with server.connect() as connection:
        connection.send(request_bytes("POST", f"/upload?{tag}", [("Transfer-Encoding", "chunked")]))
        connection.send(chunk(DATA[: 1 << 16]))
        server.probe.expect("piece", tag)
    assert server.probe.expect("read", tag)["error"] == "ConnectionResetError"
    alive(server)
    assert server.terminate()
    assert "Exception" not in server.stderr


def test_stops_with_requests_at_work(serve, tag):
    server = serve("apps.wsgi_app:app", "--timeout-graceful-shutdown", "0")
    with server.connect() as connection:
        connection.request("GET", f"/endless?{tag}")
        connection.head()
        server.terminate()
    assert server.probe.seen("closed", tag)


def test_compliant_with_the_standard_librarys_validator(shared):
    server = shared("apps.wsgi_app:valid", "--interface", "wsgi")
    with server.connect() as connection:
        assert connection.get("/a%20b?c").body == b"0 of GET"
        assert connection.ask("POST", "/", body=b"x" * 100_000).body == b"100000 of POST"
        assert connection.ask("HEAD", "/").body == b""


def test_flask(shared):
    server = shared("apps.flask_app:app")
    with client(server) as http:
        files = {"file": ("é.bin", DATA, "application/x-thing")}
        sent = http.post("/form", data={"note": "é"}, files=files)
        assert sent.json() == {"note": "é", "name": "é.bin", "size": len(DATA)}
        assert http.post("/json", json={"a": [1, "é"]}).json() == {"a": [1, "é"]}
        assert [http.get("/count").text for _ in range(3)] == ["1", "2", "3"]
        assert http.get("/stream?x=y").text == "".join(f"{number} y\n" for number in range(100))
        assert http.get("/crash").status_code == 500
        server.expect_log("ValueError: deliberate")
        assert http.get("/count").text == "4"
        headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "Host": "x.test"}
        assert http.get("/url", headers=headers).json() == {
            "url": "https://x.test/url",
            "root": "",
            "remote": "203.0.113.7",
        }


def test_django(shared):
    server = shared("apps.django_app:application")
    with client(server) as http:
        files = {"file": ("f.bin", DATA, "application/x-thing")}
        sent = http.post("/upload", data={"note": "é"}, files=files)
        assert sent.json() == {"note": "é", "name": "f.bin", "size": len(DATA)}
        assert http.get("/stream").text == "".join(f"{number}\n" for number in range(100))
        first = http.get("/cookies", headers={"X-Forwarded-Proto": "https"})
        assert first.json() == {"secure": True, "path": "/cookies"}
        assert http.get("/cookies").json() == {"one": "1", "two": "2", "secure": False, "path": "/cookies"}
        assert http.get("/nowhere").status_code == 404
