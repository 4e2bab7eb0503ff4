"""The requests, as data. Each is performed against both servers with the same application."""

from __future__ import annotations

from dataclasses import dataclass, field

STARLETTE = "apps.starlette_app:app"
STARLETTE_BASE = "apps.starlette_app:with_base"
FASTAPI = "apps.fastapi_app:app"


@dataclass(frozen=True)
class Case:
    """One request by httpx, or raw bytes on a connection of their own if ``raw`` is given.

    ``methods`` of a raw case are those of its requests: a reader must know which answers have no body.
    """

    name: str
    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes | tuple[bytes, ...] | None = None
    """A tuple is sent chunked."""
    json: object = None
    data: dict[str, str] = field(default_factory=dict)
    files: tuple[tuple[str, tuple[str, bytes, str]], ...] = ()
    raw: bytes | None = None
    methods: tuple[str, ...] = ("GET",)


def get(target: str, *headers: tuple[str, str], name: str | None = None) -> Case:
    return Case(name or f"GET {target}", "GET", target, headers)


def raw(name: str, wire: bytes, *methods: str) -> Case:
    return Case(name, raw=wire, methods=methods or ("GET",))


BINARY = bytes(range(256)) * 300
HOST = b"Host: parity.test\r\n"
SCOPE = b"/scope/"

STARLETTE_CASES = [
    get("/"),
    get("/items/7?a=1&b=&a=%20+%2B"),
    get("/nowhere"),
    Case("POST to a GET route", "POST", "/"),
    Case("HEAD /", "HEAD", "/"),
    *(
        Case(f"{method} /scope", method, "/scope")
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE")
    ),
    get("/scope?x=1&y=%FF&%C3%A9=+"),
    get("/scope/caf%C3%A9%20a+b%2Fc%25"),
    get("/scope//a/../b/./"),
    get("/scope/%E2%82%AC?%E2%82%AC"),
    get("/sub/scope?x"),
    get("/sub/"),
    get("/sub"),
    get("/scope", ("X-A", "1"), ("x-b", "2"), ("X-A", "3"), name="duplicate headers"),
    get("/scope", ("Cookie", "a=1; b=2"), ("Cookie", "c=3"), name="cookies"),
    get("/scope", ("X-Empty", ""), name="empty header"),
    get("/scope", ("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-Proto", "https"), name="proxy headers"),
    get("/scope", ("X-Forwarded-For", "203.0.113.7, 127.0.0.1"), name="proxy chain"),
    get("/scope", ("Connection", "close"), name="connection: close"),
    Case("JSON", "POST", "/echo-json", json={"text": "é€", "list": [1, None, 2.5]}),
    Case("broken JSON", "POST", "/echo-json", content=b"{"),
    Case("bytes", "PUT", "/echo-bytes", content=BINARY),
    Case("empty body", "POST", "/echo-bytes", content=b""),
    Case("chunked body", "POST", "/echo-bytes", content=(b"one", b"two", BINARY, b"end")),
    Case("stream upload", "POST", "/stream-upload", content=(BINARY,) * 20),
    Case(
        "multipart",
        "POST",
        "/upload",
        data={"note": "é", "empty": ""},
        files=(("a", ("a.txt", b"text", "text/plain")), ("b", ("é.bin", BINARY, "application/x-thing"))),
    ),
    Case("form", "POST", "/upload", data={"a": "1 + 1", "b": "é&="}),
    get("/stream/100"),
    get("/stream/0"),
    get("/sync-stream"),
    Case("HEAD /stream/100", "HEAD", "/stream/100"),
    get("/threadpool"),
    get("/sync"),
    get("/context"),
    get("/task-group"),
    get("/cancelled-group"),
    get("/timeout"),
    get("/cookies"),
    get("/text", ("Accept-Encoding", "identity"), name="text, plain"),
    get("/text", ("Accept-Encoding", "gzip"), name="text, gzip"),
    get("/file", ("Accept-Encoding", "identity"), name="file"),
    get("/file", ("Range", "bytes=5-24"), ("Accept-Encoding", "identity"), name="range"),
    get("/file", ("Range", "bytes=99999999-"), ("Accept-Encoding", "identity"), name="range beyond the end"),
    Case("HEAD /file", "HEAD", "/file", (("Accept-Encoding", "identity"),)),
    get("/redirect"),
    get("/no-content"),
    get("/not-modified"),
    get("/latin"),
    get("/teapot"),
    get("/refused"),
    get("/crash"),
    get("/", ("Origin", "https://example.org"), name="CORS"),
    Case(
        "CORS preflight",
        "OPTIONS",
        "/",
        (("Origin", "https://example.org"), ("Access-Control-Request-Method", "PUT")),
    ),
]

FASTAPI_CASES = [
    get("/"),
    get("/openapi.json"),
    get("/docs"),
    Case("create", "POST", "/items/", json={"name": "screw", "price": 0.5, "tags": ["a"]}),
    get("/items/screw"),
    get("/items/none"),
    get("/items", name="redirect of a missing slash"),
    Case("invalid model", "POST", "/items/", json={"name": "", "price": 0}),
    Case("no JSON", "POST", "/items/", content=b"nothing"),
    get("/search?q=a%20b&q=%C3%A9&limit=3"),
    get("/search?limit=1000"),
    get("/me"),
    get("/me", ("X-User", "ann"), name="me by header"),
    get("/me", ("Cookie", "token=bob"), name="me by cookie"),
    get("/sync"),
    Case("login", "POST", "/login", data={"name": "bob", "password": "secret"}),
    Case(
        "upload",
        "POST",
        "/upload",
        data={"note": "n"},
        files=(
            ("file", ("f.bin", BINARY, "application/octet-stream")),
            ("more", ("m.txt", b"m", "text/plain")),
        ),
    ),
    get("/stream"),
    get("/sync-stream"),
    get("/gather"),
    get("/timeout"),
    get("/text"),
    Case("DELETE /nothing", "DELETE", "/nothing"),
    get("/crash"),
    Case("method not allowed", "DELETE", "/"),
]

RAW_CASES = [
    raw("raw GET", b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"),
    raw("raw close", b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"),
    raw("raw pipelined", (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * 3, "GET", "GET", "GET"),
    raw("raw HEAD", b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n", "HEAD"),
    raw(
        "raw HEAD, then GET",
        b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
        "HEAD",
        "GET",
    ),
    raw("raw HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n"),
    raw("raw HTTP/1.0 keep-alive", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    raw("raw HTTP/1.0 stream", b"GET /stream/5 HTTP/1.0\r\n\r\n"),
    raw("raw stream", b"GET /stream/5 HTTP/1.1\r\n" + HOST + b"\r\n"),
    raw("raw absolute-form", b"GET http://parity.test/scope?x HTTP/1.1\r\n" + HOST + b"\r\n"),
    raw("raw path in bytes", b"GET " + SCOPE + b"caf\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n"),
    raw("raw header in bytes", b"GET /scope HTTP/1.1\r\n" + HOST + b"X-B: caf\xe9 \x80\xff\r\n\r\n"),
    raw("raw header with spaces", b"GET /scope HTTP/1.1\r\n" + HOST + b"X-B:  a  b\r\n\r\n"),
    raw("raw header with trailing spaces", b"GET /scope HTTP/1.1\r\n" + HOST + b"X-B: a \t\r\n\r\n"),
    raw("raw fragment", b"GET /scope?x#frag HTTP/1.1\r\n" + HOST + b"\r\n"),
    raw("raw invalid escapes", b"GET /scope/%zz%4?%zz HTTP/1.1\r\n" + HOST + b"\r\n"),
    raw("raw invalid UTF-8", b"GET /scope/%FF HTTP/1.1\r\n" + HOST + b"\r\n"),
    raw(
        "raw chunked",
        b"POST /echo-bytes HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
        "POST",
    ),
    raw(
        "raw chunked with trailers",
        b"POST /scope HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: v\r\n\r\n",
        "POST",
    ),
    raw(
        "raw Expect",
        b"POST /echo-bytes HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        "POST",
    ),
    raw("raw unread body", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc", "POST"),
    raw("raw upgrade", b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: made-up\r\n\r\n"),
    raw("raw OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", "OPTIONS"),
    raw("raw unknown method", b"FROBNICATE / HTTP/1.1\r\n" + HOST + b"\r\n", "FROBNICATE"),
    raw("raw no Host", b"GET / HTTP/1.1\r\n\r\n"),
    raw("raw two Hosts", b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
    raw("raw bad request line", b"GET\r\n\r\n"),
    raw("raw space before a colon", b"GET / HTTP/1.1\r\n" + HOST + b"X : y\r\n\r\n"),
    raw(
        "raw length and chunked",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    raw("raw HTTP/2.0", b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"),
    raw("raw crash", b"GET /crash HTTP/1.1\r\n" + HOST + b"\r\n"),
]

CASES = {
    STARLETTE: STARLETTE_CASES + RAW_CASES,
    STARLETTE_BASE: STARLETTE_CASES,
    FASTAPI: FASTAPI_CASES,
}
OPTIONS: dict[str, tuple[str, ...]] = {
    f"{STARLETTE} --root-path /api": ("--root-path", "/api"),
    f"{STARLETTE} --no-date-header": ("--no-server-header", "--no-date-header"),
}
"""Runs of a few cases with options of the command line, by the name of the run."""

OPTION_CASES = [
    get("/scope?x"),
    get("/api/scope?x"),
    get("/sub/scope"),
    get("/nowhere"),
    get("/redirect"),
]
