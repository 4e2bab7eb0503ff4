"""Rows H01–H36: what an application sees of a request."""

from __future__ import annotations

import ast
import socket

import pytest
from support.checks import literal, still_serves
from support.wire import request_bytes


def scope_of(server, target="/echo", headers=(), **options):
    with server.connect() as connection:
        return literal(connection.ask(options.pop("method", "GET"), target, headers, **options))


@pytest.fixture
def rooted(shared):
    return shared("apps.rooted:app", "--root-path", "/api")


@pytest.fixture
def plain(shared):
    """Echoes every path; told of no root path."""
    return shared("apps.rooted:app")


def test_H01_type_is_http(server):
    assert scope_of(server)["type"] == "http"


def test_H02_http_version_1_1(server):
    assert scope_of(server)["http_version"] == "1.1"


def test_H03_http_version_1_0(server):
    assert scope_of(server, version="1.0")["http_version"] == "1.0"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_H05_method(server, method):
    assert scope_of(server, method=method)["method"] == method


def test_H05_method_HEAD(server):
    with server.connect() as connection:
        assert connection.ask("HEAD", "/echo").header("x-method") == b"HEAD"


@pytest.mark.parametrize("method", ["PROPFIND", "REPORT", "MKCOL", "PURGE", "QUERY", "M-SEARCH"])
def test_H05b_registered_methods_are_delivered(server, method):
    assert scope_of(server, method=method)["method"] == method


@pytest.mark.parametrize("method", ["FROBNICATE", "GETS", "G", "X-1_2.3!#$%&'*+^`|~", "A" * 32])
def test_H05c_unknown_methods_are_delivered(server, method):
    assert scope_of(server, method=method)["method"] == method


@pytest.mark.parametrize("method", ["get", "Get", "frobnicate"])
def test_H05d_lower_case_method_is_raised_or_refused(server, method):
    with server.connect() as connection:
        response = connection.ask(method, "/echo")
        if response.status == 200:
            assert literal(response)["method"] == method.upper()
        else:
            assert 400 <= response.status < 500 or response.status == 501
    still_serves(server)


def test_H06_scheme(server):
    assert scope_of(server)["scheme"] == "http"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/caf%C3%A9", "/café"),
        ("/%e2%82%ac/%F0%9F%90%8D", "/€/🐍"),
        ("/a%20b", "/a b"),
        ("/%00", "/\x00"),
        ("/%0d%0aX:%20y", "/\r\nX: y"),
        ("/%3Fnot=query", "/?not=query"),
        ("/%23", "/#"),
    ],
)
def test_H08_path_is_decoded_UTF8(plain, target, path):
    scope = scope_of(plain, target)
    assert scope["path"] == path
    assert scope["query_string"] == b""


def test_H09_raw_UTF8_in_the_target(plain):
    with plain.connect() as connection:
        response = connection.get("/café".encode())
    if response.status != 400:
        assert literal(response)["path"] == "/café"


def test_H10_encoded_slash(plain):
    scope = scope_of(plain, "/a%2Fb%2fc")
    assert scope["path"] == "/a/b/c"
    assert scope.get("raw_path") in (None, b"/a%2Fb%2fc")


@pytest.mark.parametrize(
    ("target", "path"), [("/a+b", "/a+b"), ("/a%20b", "/a b"), ("/%2541", "/%41"), ("/%25", "/%")]
)
def test_H11_path_is_decoded_once(plain, target, path):
    assert scope_of(plain, target)["path"] == path


@pytest.mark.parametrize("target", ["/%FF%FE", "/%C3", "/ok/%E2%82/x", "/%ED%A0%80"])
def test_H13_invalid_UTF8_in_the_path(plain, target):
    with plain.connect() as connection:
        response = connection.get(target)
    if response.status != 400:
        assert isinstance(literal(response)["path"], str)
    still_serves(plain)


@pytest.mark.parametrize(
    ("target", "path"), [("/%zz%4", "/%zz%4"), ("/%", "/%"), ("/a%1", "/a%1"), ("/%%41", "/%A")]
)
def test_H13b_malformed_escapes(plain, target, path):
    with plain.connect() as connection:
        response = connection.get(target)
    if response.status != 400:
        assert literal(response)["path"] == path


@pytest.mark.parametrize("target", ["//a/../b;x=1/.", "/./a//b/", "/a/..", "//", "/;", "/a:b@c!$&'()*,=~-._"])
def test_H14_path_is_not_normalised(plain, target):
    scope = scope_of(plain, target)
    assert scope["path"] == target
    assert scope.get("raw_path") in (None, target.encode())


@pytest.mark.parametrize("target", ["/caf%C3%A9?x=%20y", "/%41b%2f?", "/plain", "/%7euser/%2541?a?b"])
def test_H16_raw_path_is_unmodified_and_without_query(plain, target):
    assert scope_of(plain, target).get("raw_path") in (None, target.partition("?")[0].encode())


def test_H16b_raw_path_is_given(plain):
    assert scope_of(plain, "/caf%C3%A9?x")["raw_path"] == b"/caf%C3%A9"


@pytest.mark.parametrize(
    "query", ["a=1&b=2&a=3", "x=%20%2B+%C3%A9&&;", "?", "a?b/c", "~!$'()*,:@-._", "a=" + "b" * 4000]
)
def test_H18_query_string_is_untouched(plain, query):
    scope = scope_of(plain, f"/path?{query}")
    assert scope["query_string"] == query.encode()
    assert scope["path"] == "/path"


def test_malformed_escape_in_the_query_is_untouched(plain):
    assert scope_of(plain, "/path?%zz")["query_string"] == b"%zz"


@pytest.mark.parametrize("target", ["/path", "/path?"])
def test_H19_no_query_string(plain, target):
    assert scope_of(plain, target)["query_string"] == b""


def test_H21_root_path_is_empty_by_default(server):
    assert scope_of(server).get("root_path", "") == ""


def test_H22_root_path_is_what_the_server_was_given(rooted):
    assert scope_of(rooted, "/x")["root_path"] == "/api"


def test_H22b_path_starts_with_root_path(rooted):
    scope = scope_of(rooted, "/x")
    assert scope["path"].startswith(scope["root_path"])
    assert scope["path"][len(scope["root_path"]) :] == "/x"


def test_H22c_root_path_is_put_before_path_and_raw_path(rooted):
    scope = scope_of(rooted, "/x%20y?q")
    assert scope["path"] == "/api/x y"
    assert scope["raw_path"] == b"/api/x%20y"
    assert scope["query_string"] == b"q"


def test_H23_headers_are_pairs_of_bytes(server):
    headers = scope_of(server, headers=[("X-A", "1")])["headers"]
    assert [(type(name), type(value)) for name, value in headers] == [(bytes, bytes)] * len(headers)
    assert (b"x-a", b"1") in [tuple(pair) for pair in headers]


def test_H24_header_names_are_lower_case(server):
    sent = [
        ("X-Mixed-CASE", "1"),
        ("ACCEPT", "*/*"),
        ("x-Already-2", "2"),
        ("Content-TYPE", "a/B"),
    ]
    headers = dict(scope_of(server, headers=sent)["headers"])
    assert headers == {
        b"host": b"localhost",
        **{name.lower().encode(): value.encode() for name, value in sent},
    }


SENT = [
    ("X-B", "1"),
    ("X-A", "2"),
    ("Cookie", "a=1"),
    ("X-B", "3"),
    ("Accept", "x"),
    ("Cookie", "b=2"),
    ("X-B", "1"),
]


def test_header_names_may_be_any_token(server):
    headers = dict(scope_of(server, headers=[("x-Already!#$%&'*+.^_`|~", "2")])["headers"])
    assert headers[b"x-already!#$%&'*+.^_`|~"] == b"2"


def test_H25_duplicates_are_kept_in_order(server):
    headers = scope_of(server, headers=SENT)["headers"]
    assert [value for name, value in headers if name == b"x-b"] == [b"1", b"3", b"1"]
    assert [value for name, value in headers if name == b"cookie"] == [b"a=1", b"b=2"]


def test_H25b_order_of_all_headers(server):
    headers = [tuple(pair) for pair in scope_of(server, headers=SENT)["headers"]]
    assert headers == [
        (b"host", b"localhost"),
        *((name.lower().encode(), value.encode()) for name, value in SENT),
    ]


def test_H25b_many_headers(server):
    sent = [(f"X-{number % 7}", f"value {number}") for number in range(90)]
    headers = [tuple(pair) for pair in scope_of(server, headers=sent)["headers"]]
    assert headers[1:] == [(name.lower().encode(), value.encode()) for name, value in sent]


def test_H26_values_are_the_exact_bytes(server):
    every = bytes(byte for byte in range(0x80, 0x100))
    raw = (
        b"GET /echo HTTP/1.1\r\nHost:x\r\nX-Obs: "
        + every
        + b"\r\nX-Inner:   a \t  b  \r\nX-Punct:\"'(),/:;<=>?@[\\]{}\r\n\r\n"
    )
    with server.connect() as connection:
        connection.send(raw)
        headers = dict(literal(connection.response())["headers"])
    assert headers[b"host"] == b"x"
    assert headers[b"x-obs"] == every
    assert headers[b"x-inner"] == b"a \t  b"
    assert headers[b"x-punct"] == b"\"'(),/:;<=>?@[\\]{}"


@pytest.mark.parametrize("after", [b"\t", b" \t ", b"\t\t"])
@pytest.mark.parametrize("before", [b"\t", b" \t ", b""])
def test_H26b_tabs_around_a_value_are_whitespace(server, before, after):
    with server.connect() as connection:
        connection.send(b"GET /echo HTTP/1.1\r\nHost: x\r\nX-Tab:" + before + b"value" + after + b"\r\n\r\n")
        headers = dict(literal(connection.response())["headers"])
    assert headers[b"x-tab"] == b"value"


@pytest.mark.parametrize("written", [b"X-Empty:", b"X-Empty: ", b"X-Empty: \t "])
def test_H28_empty_value(server, written):
    with server.connect() as connection:
        connection.send(b"GET /echo HTTP/1.1\r\nHost: x\r\n" + written + b"\r\nX-After: y\r\n\r\n")
        headers = dict(literal(connection.response())["headers"])
    assert headers[b"x-empty"] == b""
    assert headers[b"x-after"] == b"y"


def test_H29_client_is_the_peer(server):
    with server.connect() as connection:
        scope = literal(connection.get("/echo"))
        assert tuple(scope["client"]) == ("127.0.0.1", connection.port)
        assert type(scope["client"][1]) is int


def test_H30_server_is_the_listening_address(server):
    assert tuple(scope_of(server)["server"]) == server.address


def test_H29_H30_are_of_each_connection(server):
    with server.connect() as first, server.connect() as second:
        for connection in (first, second, first):
            scope = literal(connection.get("/echo"))
            assert tuple(scope["client"]) == ("127.0.0.1", connection.port)


def test_H31_IPv6(shared):
    server = shared("apps.scenarios:app", "--host", "::1")
    assert server.address[0] == "::1"
    with server.connect() as connection:
        scope = literal(connection.get("/echo"))
        assert [scope["client"][0], scope["server"][0]] == ["::1", "::1"]


def unix_scope(serve, directory):
    server = serve("apps.scenarios:app", "--uds", str(directory / "s"))
    assert server.address == str(directory / "s")
    return scope_of(server), server.address


@pytest.fixture
def short_path(tmp_path_factory):
    """A directory whose path leaves room in sockaddr_un."""
    return tmp_path_factory.mktemp("u")


def test_H32_unix_socket_server_is_the_path_or_None(serve, short_path):
    scope, path = unix_scope(serve, short_path)
    assert scope["server"] is None or list(scope["server"]) == [path, None]


def test_H32b_unix_socket_server_is_given_client_is_right(serve, short_path):
    scope, path = unix_scope(serve, short_path)
    assert list(scope["server"]) == [path, None]
    client = scope.get("client")
    assert client is None or [type(part) for part in client] == [str, int]


def test_H33_state_of_the_lifespan(server):
    first, second = (literal(server.get("/state")) for _ in range(2))
    assert first["type"] == "dict"
    assert first["number"] == 42
    assert second["length"] == first["length"] + 1, "the list in the state is shared by all requests"


def test_H33b_every_request_has_its_own_copy(server):
    with server.connect() as connection:
        for _ in range(3):
            seen = literal(connection.get("/state"))
            assert seen["number"] == 42
            assert seen["keys"] == ["number", "shared"]


def test_H34_extensions_is_a_dict_of_dicts(server):
    extensions = scope_of(server).get("extensions", {})
    assert [place for place in literal(server.get("/arguments"))["types"] if "extensions" in place] == []
    assert isinstance(extensions, dict)
    for name, value in extensions.items():
        assert (type(name), type(value)) == (str, dict)


@pytest.mark.parametrize("authority", ["localhost", "example.org:8080", "[::1]:80"])
def test_H36_absolute_form(plain, authority):
    scope = scope_of(plain, f"http://{authority}/a%20b?q=1", host=authority)
    assert scope["path"] == "/a b"
    assert scope["query_string"] == b"q=1"


def test_raw_path_of_an_absolute_form(plain):
    assert scope_of(plain, "http://localhost/a%20b?q=1")["raw_path"] == b"/a%20b"


def test_H36_absolute_form_without_a_path(plain):
    scope = scope_of(plain, "http://localhost?q")
    assert scope["path"] in ("/", "")
    assert scope["query_string"] == b"q"


def test_options_asterisk_is_survived(plain):
    with plain.connect() as connection:
        connection.send(request_bytes("OPTIONS", "*"))
        response = connection.response()
        assert response.status == 200 or 400 <= response.status < 500
        if response.status == 200:
            assert isinstance(ast.literal_eval(response.body.decode())["path"], str)
    still_serves(plain)


def test_server_of_a_connection_when_bound_to_every_address(shared):
    """Bound to all addresses, ``server`` is the one that the client reached."""
    server = shared("apps.scenarios:app", "--host", "0.0.0.0")
    with socket.create_connection(("127.0.0.1", server.address[1])) as probe:
        local = probe.getpeername()
    with server.connect() as connection:
        assert tuple(literal(connection.get("/echo"))["server"]) == local
