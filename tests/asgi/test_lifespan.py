"""Rows L01–L19: the lifespan protocol, and how a server starts and stops."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest
from support.measure import push_until_blocked
from support.wire import TIMEOUT, Connection, Silence, Truncated, request_bytes

CLEAN = (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def serves(server):
    response = server.get("/")
    return (response.status, response.body) == (200, b"served")


def said_of_the_scope(shared):
    return shared("apps.lifespans:plain").probe.expect("scope")


def test_L01_scope_and_first_event(shared):
    said = said_of_the_scope(shared)
    assert said["is_dict"] is True
    assert said["scope"]["type"] == "lifespan"
    assert said["scope"]["asgi"]["version"] == "3.0"
    started = shared("apps.lifespans:plain").probe.expect("startup")
    assert started["message"] == {"type": "lifespan.startup"}


def test_L01b_spec_version_of_the_lifespan(shared):
    assert said_of_the_scope(shared)["scope"]["asgi"].get("spec_version", "1.0") in ("1.0", "2.0")


def test_L02_state_is_an_empty_dict(shared):
    assert said_of_the_scope(shared)["state"] == {}


def test_L03_no_request_before_startup_complete(serve, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("u") / "s")
    server = serve("apps.lifespans:slow_startup", "--uds", path, wait=False)
    server.probe.expect("startup")
    early = None
    try:
        early = Connection(path)
        early.request("GET", "/early")
    except OSError:
        pass
    server.wait_until_running()
    assert serves(server)
    if early is not None:
        assert early.response().body == b"served"
        early.close()
    server.probe.expect("request")
    assert server.probe.order()[:3] == ["startup", "startup-complete", "request"]


def test_L04_exception_at_the_scope(serve):
    server = serve("apps.lifespans:raises_at_scope")
    server.probe.expect("scope")
    assert serves(server)


def test_L04b_exception_after_the_startup_event(serve):
    server = serve("apps.lifespans:raises_at_startup")
    server.probe.expect("startup")
    assert serves(server)
    assert server.terminate() in CLEAN
    assert server.probe.seen("shutdown") == []


def test_L05_startup_failed_ends_the_server(serve):
    serve("apps.lifespans:startup_failed", wait=False).wait()


def test_L05b_message_of_a_failed_startup_is_shown(serve):
    server = serve("apps.lifespans:startup_failed", wait=False)
    try:
        server.wait()
    except AssertionError:
        pass  # that is L05
    assert "deliberate: the database is away" in server.stderr + server.stdout


def test_L05c_exit_code_of_a_failed_startup(serve):
    assert serve("apps.lifespans:startup_failed", wait=False).wait() != 0


def test_failed_startup_exits_with_3_and_announces_nothing(serve):
    server = serve("apps.lifespans:startup_failed", wait=False)
    assert server.wait() == 3
    assert "running on" not in server.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["L06_SIGTERM", "L06b_SIGINT"])
def test_L06_shutdown_is_sent_and_waited_for(serve, number):
    server = serve("apps.lifespans:slow_shutdown")
    assert serves(server)
    server.signal(number)
    server.probe.expect("shutdown")
    server.probe.expect("shutdown-complete")
    server.wait()


def test_exit_code_of_SIGTERM_is_that_of_the_signal(serve):
    """As uvicorn: the default action is raised again after the graceful stop."""
    server = serve("apps.lifespans:plain")
    assert server.terminate() in (-signal.SIGTERM, 128 + signal.SIGTERM)


def test_exit_code_of_SIGINT_is_0(serve):
    server = serve("apps.lifespans:plain")
    server.signal(signal.SIGINT)
    assert server.wait() == 0


def test_L06c_exit_code_of_a_clean_stop(serve):
    server = serve("apps.lifespans:plain")
    assert serves(server)
    assert server.terminate() in CLEAN
    assert server.probe.expect("shutdown")["message"] == {"type": "lifespan.shutdown"}


def test_log_of_a_clean_stop(serve):
    server = serve("apps.lifespans:plain")
    assert server.terminate() in CLEAN
    lines = [
        line.partition(":")[2].strip() for line in server.stderr.splitlines() if line.startswith("INFO:")
    ]
    running = next(at for at, line in enumerate(lines) if "running on" in line)
    assert lines[:running] == [
        f"Started server process [{server.pid}]",
        "Waiting for application startup.",
        "Application startup complete.",
    ]
    assert lines[running + 1 :] == [
        "Shutting down",
        "Waiting for application shutdown.",
        "Application shutdown complete.",
        f"Finished server process [{server.pid}]",
    ]


def test_L07_shutdown_failed_ends_the_server(serve):
    server = serve("apps.lifespans:shutdown_failed")
    assert serves(server)
    server.terminate()
    assert len(server.probe.seen("shutdown")) == 1


def test_L07b_message_of_a_failed_shutdown_is_shown(serve):
    server = serve("apps.lifespans:shutdown_failed")
    assert serves(server)
    server.terminate()
    assert "deliberate: the cache did not flush" in server.stderr + server.stdout


def test_L08_one_lifespan_with_one_worker(serve):
    server = serve("apps.lifespans:plain")
    for _ in range(5):
        assert serves(server)
    server.terminate()
    assert len(server.probe.seen("scope")) == 1
    assert len(server.probe.seen("startup")) == 1
    assert len(server.probe.seen("shutdown")) == 1


def stops_serving(server, target="/too-late"):
    """A new connection is refused, closed, or left without an answer, in the end."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        try:
            with server.connect(timeout=1) as late:
                late.get(target, [("Connection", "close")])
        except (OSError, Truncated, Silence):
            return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_L10_request_in_flight_is_finished_before_shutdown(serve, number):
    server = serve("apps.lifespans:plain")
    with server.connect() as connection:
        connection.request("GET", "/waits")
        server.probe.expect("request")
        server.signal(number)
        stops_serving(server)
        server.probe.open("answer")
        response = connection.response()
        assert (response.status, response.body) == (200, b"served")
        connection.expect_end()
    server.wait()
    assert server.probe.order()[-2:] == ["answered", "shutdown"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_L10b_no_new_connection_is_served_while_the_server_stops(serve, number):
    server = serve("apps.lifespans:plain")
    with server.connect() as connection:
        connection.request("GET", "/waits")
        server.probe.expect("request")
        server.signal(number)
        assert stops_serving(server)
        server.probe.open("answer")


def test_L10_streamed_response_in_flight_is_finished(serve, tag):
    server = serve("apps.scenarios:app")
    size = 32 << 20
    with server.connect(receive_buffer=1 << 16) as connection:
        connection.request("GET", f"/flood/{size}?{tag}")
        connection.head()
        connection.read_exactly(1 << 16)
        server.signal(signal.SIGTERM)
        stops_serving(server, "/hello")
        assert len(connection.read_exactly(size - (1 << 16))) == size - (1 << 16)
        connection.expect_end()
    server.wait()


def test_L10e_idle_keep_alive_connection_does_not_hold_the_server(serve):
    server = serve("apps.lifespans:plain", "--timeout-keep-alive", "60")
    with server.connect() as idle:
        assert idle.get("/").body == b"served"
        server.signal(signal.SIGTERM)
        server.wait()


def test_idle_connections_are_closed_at_the_stop(serve):
    server = serve("apps.lifespans:plain", "--timeout-keep-alive", "60")
    with server.connect() as idle, server.connect() as untouched:
        assert idle.get("/").body == b"served"
        server.terminate()
        idle.expect_end()
        untouched.expect_end()


@pytest.mark.parametrize("client", ["stays", "closes", "resets"])
def test_answered_upload_does_not_hold_the_server(serve, tag, client):
    """The application has answered without reading the body; nothing is left to be waited for."""
    server = serve("apps.scenarios:app")
    with server.connect() as connection:
        head = [("Content-Length", str(64 << 20))]
        connection.send(request_bytes("POST", f"/never_reads?{tag}", head))
        server.probe.expect("called", tag)
        push_until_blocked(connection.socket, bytes(1 << 20), 64 << 20, quiet=0.3)
        server.probe.open(f"{tag}.go")
        connection.socket.settimeout(TIMEOUT)
        assert connection.response().body == b"never read"
        if client == "closes":
            connection.close()
        elif client == "resets":
            connection.reset()
        server.signal(signal.SIGTERM)
        assert server.wait() in CLEAN


def test_L11_lifespan_that_returns_after_startup_complete(serve):
    server = serve("apps.lifespans:returns_after_startup")
    server.probe.expect("startup-complete")
    for _ in range(3):
        assert serves(server)
    assert server.terminate() in CLEAN


def test_L12_lifespan_that_returns_at_once(serve):
    server = serve("apps.lifespans:returns_at_once")
    assert serves(server)
    assert server.terminate() in CLEAN


def test_L17_exception_at_shutdown(serve):
    server = serve("apps.lifespans:raises_at_shutdown")
    assert serves(server)
    server.terminate()
    assert len(server.probe.seen("shutdown")) == 1


def test_L18_lifespan_off(serve):
    server = serve("apps.lifespans:plain", "--lifespan", "off")
    assert serves(server)
    server.terminate()
    assert server.probe.order() == ["request", "answered"]


@pytest.mark.parametrize("lifespan", ["raises_at_scope", "raises_at_startup"])
def test_L19_lifespan_on_makes_an_exception_final(serve, lifespan):
    assert serve(f"apps.lifespans:{lifespan}", "--lifespan", "on", wait=False).wait() != 0


@pytest.mark.parametrize("lifespan", ["raises_at_scope", "raises_at_startup"])
def test_lifespan_that_may_not_fail_exits_with_3_and_says_why(serve, lifespan):
    server = serve(f"apps.lifespans:{lifespan}", "--lifespan", "on", wait=False)
    assert server.wait() == 3
    assert "deliberate" in server.stderr
    assert "Application startup failed. Exiting." in server.stderr


def test_inherited_socket_is_not_served_before_startup_complete(serve):
    """The client connects and writes before the application is ready; its request waits in the kernel."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        number = str(listener.fileno())
        server = serve(
            "apps.lifespans:slow_startup", "--fd", number, wait=False, pass_fds=[listener.fileno()]
        )
        with Connection(listener.getsockname(), timeout=30) as early:
            early.request("GET", "/early")
            assert early.response().body == b"served"
        server.probe.expect("request")
        assert server.probe.order()[:3] == ["startup", "startup-complete", "request"]


def test_shutdown_is_sent_also_without_a_grace_period(serve):
    server = serve("apps.lifespans:plain", "--timeout-graceful-shutdown", "0")
    assert server.terminate() in CLEAN
    assert server.probe.order() == ["scope", "startup", "startup-complete", "shutdown"]
    assert "Application shutdown complete." in server.stderr


def test_shutdown_that_hangs_is_bounded_by_the_grace_period(serve):
    server = serve("apps.lifespans:hangs_at_shutdown", "--timeout-graceful-shutdown", "1")
    server.signal(signal.SIGTERM)
    assert server.wait(limit=15) in CLEAN
    assert "timeout graceful shutdown exceeded" in server.stderr


def test_L13_each_worker_has_a_lifespan(serve):
    server = serve("apps.lifespans:plain", "--workers", "2")
    started = {server.probe.expect("startup", count=count)["pid"] for count in (1, 2)}
    assert len(started) == 2
    assert server.get("/").body == b"served"
    server.terminate()
    assert [record["pid"] in started for record in server.probe.seen("startup")] == [True] * 2
    assert {record["pid"] for record in server.probe.seen("shutdown")} == started
