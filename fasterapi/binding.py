"""Listening sockets: bound here, handed to the native server by descriptor, closed here.

Raises ``OSError`` with a message that names the address; nothing is logged.
"""

import errno
import os
import socket
import stat
from collections.abc import Callable, Sequence


def bind(host: str | None, port: int, uds: str | None, fd: int | None) -> list[socket.socket]:
    """Sockets bound to the given place and not yet listening. ``fd`` goes before ``uds`` before ``host``."""
    if fd is not None:
        return [from_descriptor(fd)]
    if uds is not None:
        return [bind_path(uds)]
    return bind_host(host, port)


def from_descriptor(fd: int) -> socket.socket:
    """The inherited socket, whatever its family; the descriptor itself stays open."""
    try:
        copy = os.dup(fd)
        try:
            return socket.socket(fileno=copy)
        except OSError:
            os.close(copy)
            raise
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise OSError(error.errno, f"cannot listen on file descriptor {fd}: {reason}") from None


def bind_path(path: str) -> socket.socket:
    """Binds a Unix domain socket that every local user may connect to.

    A socket file that nobody listens on is replaced and its permissions are kept; one in use is refused.
    """
    mode = 0o666
    try:
        status = os.stat(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _path_error(error, path) from None
    else:
        if not stat.S_ISSOCK(status.st_mode):
            raise OSError(errno.EEXIST, f"cannot bind to unix socket {path!r}: the file is no socket")
        _refuse_listener(path)
        mode = stat.S_IMODE(status.st_mode)
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, mode)
    except OSError as error:
        listener.close()
        raise _path_error(error, path) from None
    return listener


def _refuse_listener(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A full backlog must not make us wait, and means that somebody listens.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            pass
        except OSError:
            return
    raise OSError(errno.EADDRINUSE, f"cannot bind to unix socket {path!r}: somebody listens on it")


def _path_error(error: OSError, path: str) -> OSError:
    # "AF_UNIX path too long" comes without a number.
    reason = os.strerror(error.errno) if error.errno else str(error)
    return OSError(error.errno or errno.ENAMETOOLONG, f"cannot bind to unix socket {path!r}: {reason}")


def bind_host(host: str | None, port: int) -> list[socket.socket]:
    """Binds every address that the host name stands for; none or an empty one stands for all interfaces."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        # UnicodeError: a label that is empty or too long for a host name.
        reason = error.strerror if isinstance(error, OSError) else "no host name"
        raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on host {host!r}: {reason}") from None
    bound: list[socket.socket] = []
    unavailable: OSError | None = None
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                bound.append(_bind_address(family, kind, protocol, address))
            except OSError as error:
                # A name such as localhost may stand for an IPv6 address on a machine without IPv6.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                unavailable = error
        if unavailable is not None and not bound:
            raise unavailable
    except OSError:
        for listener in bound:
            listener.close()
        raise
    return bound


def _bind_address(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # As asyncio does: "::" is IPv6 alone, and may share the port with an IPv4 server.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno or 0).lower()
        message = f"error while attempting to bind on address {address!r}: {reason}"
        raise OSError(error.errno, message) from None
    return listener


class Listener:
    """Some listening sockets, looked at through the face of ``asyncio.Server``."""

    def __init__(
        self, sockets: Sequence[socket.socket], stop: Callable[[], object], *, removes_files: bool
    ) -> None:
        self.sockets: tuple[socket.socket, ...] = tuple(sockets)
        self._stop = stop
        self._files = [_socket_file(listener) for listener in sockets] if removes_files else []

    def is_serving(self) -> bool:
        return bool(self.sockets)

    def close(self) -> None:
        """Stops listening and removes the socket files that are still ours. Idempotent."""
        if not self.sockets:
            return
        self._stop()
        for listener in self.sockets:
            listener.close()
        self.sockets = ()
        for path, identity in filter(None, self._files):
            if _identity(path) == identity:
                os.unlink(path)

    async def wait_closed(self) -> None:
        """Returns at once: closing is immediate."""


def _socket_file(listener: socket.socket) -> tuple[str, tuple[int, int]] | None:
    if listener.family != socket.AF_UNIX:
        return None
    name = listener.getsockname()
    # Bytes are an abstract name, which has no file.
    if not isinstance(name, str) or not name:
        return None
    path = os.path.abspath(name)
    identity = _identity(path)
    return None if identity is None else (path, identity)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
