"""Where a server listens: IPv4, IPv6, unix, inherited; and what it does when it cannot."""

from __future__ import annotations

import os
import socket

import pytest
from support.checks import literal, script_request
from support.wire import Connection


def greets(connection):
    return connection.get("/hello").body == b"Hello, World!"


def test_port_0_is_reported_and_reached(serve):
    server = serve("apps.scenarios:app", "--port", "0")
    assert server.address[0] == "127.0.0.1"
    with server.connect() as connection:
        assert greets(connection)


def test_given_port(serve):
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    server = serve("apps.scenarios:app", "--port", str(port))
    assert server.address == ("127.0.0.1", port)
    with server.connect() as connection:
        assert greets(connection)


def test_IPv6(serve):
    with socket.socket() as other:  # takes the port of IPv4, which nobody else then listens on
        other.bind(("127.0.0.1", 0))
        server = serve("apps.scenarios:app", "--host", "::1", "--port", str(other.getsockname()[1]))
        with server.connect() as connection:
            assert greets(connection)
            assert greets(connection)
        with pytest.raises(OSError, match="refused"):
            Connection(("127.0.0.1", server.address[1]))


def test_host_name(serve):
    server = serve("apps.scenarios:app", "--host", "localhost")
    # Each of the name's addresses has a free port of its own; the first one's is announced.
    address = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)[0][4][0]
    with Connection((address, server.address[1])) as connection:
        assert greets(connection)


def test_all_IPv4_addresses(serve):
    server = serve("apps.scenarios:app", "--host", "0.0.0.0")
    with Connection(("127.0.0.2", server.address[1])) as connection:
        assert list(literal(connection.get("/echo"))["server"]) == ["127.0.0.2", server.address[1]]


@pytest.fixture
def socket_path(tmp_path_factory):
    return str(tmp_path_factory.mktemp("u") / "s")


def test_unix_socket(serve, socket_path):
    server = serve("apps.scenarios:app", "--uds", socket_path)
    with Connection(socket_path) as first, Connection(socket_path) as second:
        for _ in range(3):
            assert greets(first)
            assert greets(second)
    server.terminate()
    assert not os.path.exists(socket_path), "the socket file is removed at the end"


def test_unix_socket_left_by_a_dead_server_is_replaced(serve, socket_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(socket_path)
    serve("apps.scenarios:app", "--uds", socket_path)
    with Connection(socket_path) as connection:
        assert greets(connection)


def test_unix_socket_is_open_to_other_users_as_uvicorns(serve, socket_path):
    serve("apps.scenarios:app", "--uds", socket_path)
    assert os.stat(socket_path).st_mode & 0o777 == 0o666


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_U09_inherited_socket(serve, socket_path, family):
    if family == "tcp":
        listener = socket.create_server(("127.0.0.1", 0))
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(socket_path)
        listener.listen()
    with listener:
        serve("apps.scenarios:app", "--fd", str(listener.fileno()), pass_fds=[listener.fileno()])
        with Connection(listener.getsockname()) as connection:
            assert greets(connection)


def test_U10_port_in_use(serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = serve("apps.scenarios:app", "--port", str(taken.getsockname()[1]), wait=False)
        assert server.wait() != 0


def test_port_in_use_is_told(serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = serve("apps.scenarios:app", "--port", str(taken.getsockname()[1]), wait=False)
        assert server.wait() in (1, 3)
    assert "in use" in server.stderr
    assert "running on" not in server.stderr


def test_port_is_free_again_after_the_end(serve):
    server = serve("apps.scenarios:app")
    with server.connect() as connection:
        assert greets(connection)
        server.terminate()
        connection.expect_end()
    again = serve("apps.scenarios:app", "--port", str(server.address[1]))
    with again.connect() as connection:
        assert greets(connection)


def test_server_does_not_keep_the_terminal_or_other_files(serve):
    """Nothing but its sockets: a client's connection is closed when the server closes it, no copy lives on."""
    server = serve("apps.scenarios:app")
    before = len(os.listdir(f"/proc/{server.pid}/fd"))
    for _ in range(50):
        with server.connect() as connection:
            assert greets(connection)
    with server.connect() as connection:
        assert greets(connection)
        assert len(os.listdir(f"/proc/{server.pid}/fd")) <= before + 4


def test_no_connection_becomes_a_standard_stream(serve, tag):
    """Started without any, as some supervisors do: what the application prints must not go to a client."""

    def close_standard_streams() -> None:
        for number in range(3):
            os.close(number)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        number = listener.fileno()
        server = serve(
            *("apps.scenarios:app", "--fd", str(number)),
            wait=False,
            pass_fds=[number],
            preexec_fn=close_standard_streams,
        )
        with Connection(listener.getsockname(), timeout=30) as first:
            assert first.get("/hello").body == b"Hello, World!"
            first.send(script_request(tag, "raise"))  # its traceback is printed
            assert first.response().status == 500
        with Connection(listener.getsockname(), timeout=30) as second:
            assert second.get("/hello").body == b"Hello, World!"
        assert server.terminate() in (0, -15)
