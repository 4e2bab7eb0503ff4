"""Rows U01–U11 and T01: what users of uvicorn rely on when they start, stop and limit a server."""

from __future__ import annotations

import os
import signal

from support.checks import literal
from support.server import START_LIMIT
from support.wire import Silence


def test_T01_no_tls_extension_without_tls(server):
    assert "tls" not in (literal(server.get("/echo")).get("extensions") or {})


def test_U01_application_that_cannot_be_imported(serve):
    server = serve("apps.nowhere:app", wait=False)
    assert server.wait() != 0
    assert "apps.nowhere" in server.stderr + server.stdout


def test_U02_factory_is_called(serve):
    server = serve("apps.scenarios:factory", "--factory")
    assert server.get("/hello").body == b"Hello, World!"


def test_U04_excess_requests_are_503(serve, tag):
    """Some count requests, some connections: of three at once the third is too many for both."""
    server = serve("apps.scenarios:app", "--limit-concurrency", "2")
    with server.connect() as first:
        first.request("GET", f"/waits?{tag}")
        server.probe.expect("called", tag)
        with server.connect(timeout=1) as second:
            second.request("GET", f"/waits?{tag}")
            try:
                assert second.response().status == 503
            except Silence:
                pass
            assert server.get("/hello").status == 503
        server.probe.open(f"{tag}.go")
        assert first.response().body == b"waited"


def test_U07_request_without_end_does_not_hold_the_stop(serve, tag):
    server = serve("apps.scenarios:app", "--timeout-graceful-shutdown", "1")
    with server.connect() as connection:
        connection.request("GET", f"/waits?{tag}")
        server.probe.expect("called", tag)
        server.signal(signal.SIGTERM)
        server.wait()


def test_U08_server_ends_after_its_requests(serve):
    server = serve("apps.scenarios:app", "--limit-max-requests", "3")
    for _ in range(3):
        assert server.get("/hello").body == b"Hello, World!"
    server.wait()


def test_U11_worker_that_died_is_replaced(serve):
    server = serve("apps.lifespans:plain", "--workers", "2")
    killed, other = (server.probe.expect("startup", count=count)["pid"] for count in (1, 2))
    os.kill(killed, signal.SIGKILL)
    fresh = server.probe.expect("startup", limit=START_LIMIT, count=3)["pid"]
    assert fresh not in (killed, other)
    assert server.get("/").body == b"served"
