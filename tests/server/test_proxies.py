"""Row U06: whose X-Forwarded-For and X-Forwarded-Proto are believed, and what they set."""

from __future__ import annotations

import re

import pytest
from support.checks import literal
from support.wire import Connection

CLIENT = "203.0.113.7"
STRANGER = "127.0.0.9"
"""An address of this machine that nobody trusts by default."""


def told(address, *headers, source=None):
    """The client and the scheme that the application is told, and the socket's own address."""
    with Connection(address, source=source) as connection:
        scope = literal(connection.ask("GET", "/echo", headers))
        return scope["client"], scope["scheme"], connection.socket.getsockname()


def forwarded_for(server, *lines, source=None):
    """The client's host and port, or None where the socket's peer is the client."""
    headers = [("X-Forwarded-For", line) for line in lines]
    client, scheme, own = told(server.address, *headers, source=source)
    assert scheme == "http"
    return None if tuple(client) == tuple(own) else tuple(client)


@pytest.fixture
def chain(shared):
    return shared("apps.scenarios:app", "--forwarded-allow-ips", "127.0.0.1, 10.0.0.0/8, 2001:db8::/32")


def test_U06_client_and_scheme_that_a_trusted_proxy_tells_of(shared):
    server = shared("apps.scenarios:app", "--proxy-headers")
    client, scheme, _ = told(server.address, ("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https"))
    assert (client[0], scheme) == (CLIENT, "https")


def test_client_and_scheme_from_the_loopback_by_default(server):
    client, scheme, _ = told(server.address, ("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https"))
    assert (tuple(client), scheme) == ((CLIENT, 0), "https")


def test_not_from_other_peers(server):
    headers = [("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https")]
    client, scheme, own = told(server.address, *headers, source=STRANGER)
    assert (tuple(client), scheme) == (own, "http")


def test_IPv6_loopback_by_default(shared):
    server = shared("apps.scenarios:app", "--host", "::1")
    assert forwarded_for(server, CLIENT) == (CLIENT, 0)


def test_each_request_of_a_connection_by_itself(server):
    with server.connect() as connection:
        own = connection.socket.getsockname()
        for headers, client, scheme in [
            ([("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https")], (CLIENT, 0), "https"),
            ([], own, "http"),
            ([("X-Forwarded-Proto", "https")], own, "https"),
            ([("X-Forwarded-For", "198.51.100.1")], ("198.51.100.1", 0), "http"),
            ([], own, "http"),
        ]:
            scope = literal(connection.ask("GET", "/echo", headers))
            assert (tuple(scope["client"]), scope["scheme"]) == (client, scheme)


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([f"{CLIENT}, 10.0.0.1"], (CLIENT, 0)),
        ([f"192.0.2.66, {CLIENT}, 10.0.0.1, 127.0.0.1"], (CLIENT, 0)),
        (["192.0.2.66", f"{CLIENT}, 10.0.0.1", "2001:db8::5"], (CLIENT, 0)),
        (["10.0.0.2, 10.0.0.1"], ("10.0.0.2", 0)),
        ([f"unknown, {CLIENT}, 10.0.0.1"], (CLIENT, 0)),
        ([f"{CLIENT}:4711, 10.0.0.1:80"], (CLIENT, 4711)),
        (["[2001:db9::1]:4711, [2001:db8::1]"], ("2001:db9::1", 4711)),
        (["2001:db9::1"], ("2001:db9::1", 0)),
    ],
)
def test_the_rightmost_hop_that_is_not_trusted_wins(chain, lines, client):
    assert forwarded_for(chain, *lines) == client


@pytest.mark.parametrize(
    "lines",
    [
        *(
            [text]
            for text in (
                "",
                " , ",
                "unknown",
                "<script>",
                "203.0.113",
                f"{CLIENT}:x",
                "[::1",
                "é",
                "10.0.0.1/8",
            )
        ),
        [f"{CLIENT}, unknown, 10.0.0.1"],
        [CLIENT, "unknown"],
        ["x" * 20_000],
    ],
)
def test_garbage_is_ignored(chain, lines):
    assert forwarded_for(chain, *lines) is None


@pytest.mark.parametrize(
    ("lines", "scheme"),
    [
        (["https"], "https"),
        (["HTTPS"], "https"),
        (["wss"], "https"),
        (["ws"], "http"),
        (["https", "http"], "http"),
        (["http, https"], "https"),
        (["javascript"], "http"),
        ([""], "http"),
        (["https", "ftp"], "http"),
    ],
)
def test_schemes(server, lines, scheme):
    _, told_scheme, _ = told(server.address, *(("X-Forwarded-Proto", line) for line in lines))
    assert told_scheme == scheme


@pytest.mark.parametrize("options", [["--no-proxy-headers"], ["--forwarded-allow-ips", ""]])
def test_may_be_turned_off(shared, options):
    server = shared("apps.scenarios:app", *options)
    headers = [("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https")]
    client, scheme, own = told(server.address, *headers)
    assert (tuple(client), scheme) == (own, "http")


def test_only_the_given_networks_are_trusted(shared):
    server = shared("apps.scenarios:app", "--forwarded-allow-ips", "127.0.0.8/30")
    assert forwarded_for(server, CLIENT) is None
    assert forwarded_for(server, CLIENT, source=STRANGER) == (CLIENT, 0)


def test_everybody_is_trusted_by_a_star(shared):
    server = shared("apps.scenarios:app", "--forwarded-allow-ips", "*")
    assert forwarded_for(server, f"{CLIENT}, 198.51.100.1", source=STRANGER) == (CLIENT, 0)


@pytest.mark.parametrize(("allowed", "client"), [("127.0.0.1,/run/proxy.sock", None), ("*", (CLIENT, 0))])
def test_peers_of_a_unix_socket_are_trusted_by_a_star_alone(serve, tmp_path_factory, allowed, client):
    path = str(tmp_path_factory.mktemp("u") / "s")
    server = serve("apps.scenarios:app", "--uds", path, "--forwarded-allow-ips", allowed)
    assert told(path, ("X-Forwarded-For", CLIENT))[0] == client
    warned = re.findall(r"WARNING: .*'/run/proxy.sock'.*nobody is trusted for it", server.stderr)
    assert len(warned) == (0 if allowed == "*" else 1)


def test_variable_of_the_platform(serve):
    server = serve("apps.scenarios:app", env={"FORWARDED_ALLOW_IPS": STRANGER})
    assert forwarded_for(server, CLIENT) is None
    assert forwarded_for(server, CLIENT, source=STRANGER) == (CLIENT, 0)


def test_the_access_log_shows_the_same_client(serve):
    server = serve("apps.scenarios:app")
    headers = [("X-Forwarded-For", f"{CLIENT}:4711")]
    with server.connect() as connection:
        connection.ask("GET", "/echo?forwarded", headers)
        connection.ask("GET", "/echo?direct")
        port = connection.port
    assert server.terminate()
    lines = [line for line in server.stdout.splitlines() if "/echo" in line]
    assert [line.split()[1] for line in lines] == [f"{CLIENT}:4711", f"127.0.0.1:{port}"]


def test_with_an_application_of_ASGI_2(serve):
    server = serve("apps.double_callable:Application", "--forwarded-allow-ips", "*")
    assert server.get("/x?y", [("X-Forwarded-For", CLIENT)]).body == b"http /x y 0 2.0"
    assert server.terminate()
    assert f"{CLIENT}:0 - " in server.stdout
