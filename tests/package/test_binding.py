"""Where a server can listen: Unix sockets, IPv6, inherited descriptors, several addresses."""

from __future__ import annotations

import os
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import Process, get, get_from

from fasterapi import binding

Start = Callable[..., Process]


def get_uds(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(20)
        peer.connect(str(path))
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := peer.recv(65536):
            answer += data
        return answer


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_uds(number: int, start: Start, tmp_path: Path) -> None:
    process = start("hello:app", "--uds", "app.sock")
    process.expect(r"^INFO:     FasterAPI running on unix socket app\.sock \(Press CTRL\+C to quit\)$")
    path = tmp_path / "app.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    assert get_uds(path).endswith(b"hello")
    process.expect(r'^INFO:     .*- "GET / HTTP/1.1" 200 OK$', process.out)
    process.send(number)
    process.wait()
    assert not path.exists()


def test_uds_is_removed_after_the_application_changed_directory(start: Start, tmp_path: Path) -> None:
    files = {"moves.py": "import os, hello\nasync def app(*a):\n    os.chdir('/')\n    await hello.app(*a)\n"}
    process = start("moves:app", "--uds", "app.sock", "--lifespan", "off", files=files)
    process.expect("running on unix socket")
    assert get_uds(tmp_path / "app.sock").endswith(b"hello")
    process.send(signal.SIGTERM)
    process.wait()
    assert not (tmp_path / "app.sock").exists()


def test_stale_socket_file_is_replaced_and_keeps_its_mode(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    path.chmod(0o600)
    process = start("hello:app", "--uds", "app.sock")
    process.expect("running on unix socket")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert get_uds(path).endswith(b"hello")


def test_socket_file_in_use_is_left_alone(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        process = start("hello:app", "--uds", "app.sock")
        assert process.wait() == 3
        assert any(
            "cannot bind to unix socket 'app.sock': somebody listens on it" in line for line in process.err
        )
        assert path.exists()


def test_socket_file_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    first = binding.Listener(binding.bind(None, 0, path, None), lambda: None, removes_files=True)
    os.unlink(path)
    successor = binding.Listener(binding.bind(None, 0, path, None), lambda: None, removes_files=True)
    first.close()
    assert os.path.exists(path)
    successor.close()
    assert not os.path.exists(path)


def test_listener_closes_once(tmp_path: Path) -> None:
    stopped: list[int] = []
    listener = binding.Listener(
        binding.bind("127.0.0.1", 0, None, None), lambda: stopped.append(1), removes_files=True
    )
    assert listener.is_serving()
    listener.close()
    listener.close()
    assert (stopped, listener.sockets, listener.is_serving()) == ([1], (), False)


def test_ipv6(start: Start) -> None:
    process = start("hello:app", "--host", "::1", "--port", "0")
    port = int(process.expect(r"FasterAPI running on http://\[::1\]:(\d+) \(Press")[1])
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
        assert free.getsockname()[1] != port
    with socket.create_connection(("::1", port), timeout=20) as peer:
        peer.sendall(b"GET /six HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while peer.recv(65536):
            pass
    process.expect(r'^INFO:     (\[::1\]|::1):\d+ - "GET /six HTTP/1.1" 200 OK$', process.out)


def test_ipv6_leaves_the_port_to_ipv4() -> None:
    """As in asyncio, and whatever net.ipv6.bindv6only says."""
    (bound,) = binding.bind_host("::", 0)
    with bound, socket.socket() as other:
        other.bind(("0.0.0.0", bound.getsockname()[1]))


def test_a_name_stands_for_all_its_addresses() -> None:
    addresses = {row[4][0] for row in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    bound = binding.bind_host("localhost", 0)
    assert {listener.getsockname()[0] for listener in bound} == addresses
    for listener in bound:
        listener.close()


@pytest.mark.parametrize("host", [None, ""])
def test_no_host_stands_for_all_interfaces(host: str | None) -> None:
    bound = binding.bind_host(host, 0)
    assert {listener.getsockname()[0] for listener in bound} >= {"0.0.0.0"}
    for listener in bound:
        listener.close()


def test_one_address_in_use_frees_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.2", "127.0.0.1")
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
        with pytest.raises(OSError, match=r"bind on address \('127.0.0.1', \d+\): address already in use"):
            binding.bind_host("both", port)
        monkeypatch.undo()
        socket.create_server(("127.0.0.2", port)).close()


def test_an_address_that_this_machine_lacks_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("192.0.2.1", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
    (bound,) = binding.bind_host("both", 0)
    assert bound.getsockname()[0] == "127.0.0.1"
    bound.close()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found[:1])
    with pytest.raises(OSError, match=r"bind on address \('192.0.2.1', 0\): cannot assign"):
        binding.bind_host("one", 0)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_inherited_descriptor(family: int, start: Start, tmp_path: Path) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as bound:
        bound.bind(str(tmp_path / "x.sock") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        process = start("hello:app", "--fd", str(bound.fileno()), pass_fds=(bound.fileno(),))
        process.expect(r"^INFO:     FasterAPI running on socket .+ \(Press CTRL\+C to quit\)$")
        assert get_from(bound).endswith(b"hello")
        assert process.stop(signal.SIGTERM) == -signal.SIGTERM
        if family == socket.AF_UNIX:
            assert (tmp_path / "x.sock").exists()  # its maker removes it


def test_port_can_be_taken_again_at_once(start: Start) -> None:
    """SO_REUSEADDR: connections in TIME_WAIT do not keep the port."""
    first = start("hello:app", "--port", "0")
    port = first.port
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.recv(65536)
        first.send(signal.SIGINT)
        assert first.wait() == 0
        second = start("hello:app", "--port", str(port))
        assert second.port == port
        assert get(port) == (200, b"hello")
