"""The direction of dependency, from docs/design.md section 1: every ``#include`` of server/ and asgi/ is
held against the tables below. A new room, or a new third-party header, starts with a line here.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Each room and the rooms right below it; what those may use, it may use too.
BELOW = {
    "asgi": {"server/connection", "server/net", "server/sse"},
    "server/connection": {"server/http1", "server/http2", "server/websocket", "server/sse", "server/net"},
    "server/http1": {"server/base"},
    "server/http2": {"server/base"},
    "server/websocket": {"server/base"},
    "server/sse": {"server/base"},
    "server/net": {"server/tls"},
    "server/tls": {"server/base"},
    "server/base": set(),
}

# Fakes for unit tests: they may use every room of server/, and only tests may use them.
TESTING = "server/testing"

# Each third-party header, as a prefix, and the rooms or single files that may include it.
THIRD_PARTY = {
    "Python.h": {"asgi"},
    "benchmark/": set(),
    "fmt/": {"server/base/log.cc"},
    "isa-l/": {"server/websocket"},
    "llhttp.h": {"server/http1"},
    "nghttp2/": {"server/http2"},
    "openssl/": {"server/tls", "server/websocket/handshake.cc"},
    "spdlog/": {"server/base/log.cc"},
    "structmember.h": {"asgi"},
    "zlib.h": {"server/websocket"},
}
IN_TESTS = ("gtest/", "gmock/")

# The codecs see no socket, no clock and no thread. (<chrono> is allowed: a duration is a number.)
CODECS = {"server/http1", "server/http2", "server/websocket", "server/sse", "server/tls"}
CLOCKS_AND_THREADS = {
    "condition_variable", "ctime", "future", "mutex", "pthread.h", "semaphore", "shared_mutex", "stop_token",
    "sys/time.h", "thread", "time.h",
}  # fmt: skip
SOCKETS = ("arpa/", "netdb.h", "netinet/", "poll.h", "sys/epoll.h", "sys/socket.h", "sys/un.h")
SOCKET_ROOMS = {"server/net", "asgi"}
POSIX = (
    "dlfcn.h", "errno.h", "fcntl.h", "limits.h", "pthread.h", "sched.h", "signal.h", "sys/", "time.h", "unistd.h",
)  # fmt: skip
INTRINSICS = ("arm_neon.h", "emmintrin.h", "immintrin.h", "nmmintrin.h", "smmintrin.h", "tmmintrin.h")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def closure(room: str) -> set[str]:
    """Every room below a room."""
    return BELOW[room].union(*map(closure, BELOW[room]))


def room_of(path: str) -> str | None:
    """The room that a path such as ``server/http1/codec.h`` lies in, or None for one that has no room."""
    parts = path.split("/")
    room = "asgi" if parts[0] == "asgi" else "/".join(parts[:2])
    return room if room in BELOW or room == TESTING else None


def fault(path: str, quoted: bool, header: str, test_files: Container[str]) -> str | None:
    """What is wrong with one file's include of one header, or None."""
    room = room_of(path)
    if room is None:
        return "is in a folder that BELOW does not name"
    is_test = path in test_files
    if quoted:
        other = room_of(header)
        if other is None:
            return "a quoted header is one of a room, named from the root of the tree"
        if header in test_files or other == TESTING:
            return None if is_test else "only tests may use what is made for tests"
        allowed = set(BELOW) - {"asgi"} if room == TESTING else {room} | closure(room)
        return None if other in allowed else f"the arrow from {room} to {other} turns back"
    if header.startswith(IN_TESTS):
        return None if is_test else "only tests may use GoogleTest"
    for prefix, places in THIRD_PARTY.items():
        if header.startswith(prefix):
            return None if places & {room, path} else f"belongs to {', '.join(sorted(places)) or 'no room'}"
    if not is_test:
        if room in CODECS and header in CLOCKS_AND_THREADS:
            return "a codec sees no clock and no thread"
        if header.startswith(SOCKETS) and room not in SOCKET_ROOMS:
            return f"sockets belong to {', '.join(sorted(SOCKET_ROOMS))}"
        if room in CODECS and header.startswith(POSIX):
            return "a codec makes no system call"
    if "." not in header or header.startswith((*POSIX, *SOCKETS, *INTRINSICS)):
        return None
    return "is a third-party header that THIRD_PARTY does not name"


def faults(root: Path) -> Iterator[str]:
    """Every wrong include below a tree's server/ and asgi/, as ``file: header: reason``."""
    files = [file for folder in ("server", "asgi") for file in sorted((root / folder).rglob("*"))]
    includes = {
        file.relative_to(root).as_posix(): INCLUDE.findall(file.read_text(encoding="utf-8"))
        for file in files
        if file.suffix in {".h", ".cc", ".c", ".cpp", ".hpp"}
    }
    # A room's own helpers for its tests are headers that include GoogleTest.
    test_files = {
        path
        for path, found in includes.items()
        if path.endswith("_test.cc")
        or room_of(path) == TESTING
        or (path.endswith(".h") and any(header.startswith(IN_TESTS) for _, header in found))
    }
    for path, found in includes.items():
        for mark, header in found:
            if wrong := fault(path, mark == '"', header, test_files):
                yield f"{path}: {header}: {wrong}"


def test_every_include_follows_the_design() -> None:
    assert list(faults(ROOT)) == []


def test_the_tree_is_read() -> None:
    read = sum(
        1 for path in (ROOT / "server").rglob("*.cc") if INCLUDE.search(path.read_text(encoding="utf-8"))
    )
    assert read > 10


def test_no_room_is_above_itself() -> None:
    for room in BELOW:
        assert room not in closure(room)


WRONG = [
    ("server/base/uri.cc", '#include "server/http1/codec.h"', "turns back"),
    ("server/http1/codec.h", '#include "server/connection/exchange.h"', "turns back"),
    ("server/http1/codec.cc", '#include "server/http2/codec.h"', "turns back"),
    ("server/net/loop.cc", '#include "asgi/loop.h"', "turns back"),
    ("server/tls/session.cc", '#include "server/net/stream.h"', "turns back"),
    ("server/http1/codec.cc", '#include "codec.h"', "from the root"),
    ("server/connection/server.cc", '#include "server/testing/fake_stream.h"', "only tests"),
    ("server/testing/fake_stream.h", '#include "asgi/loop.h"', "turns back"),
    ("server/attic/old.cc", "#include <string>", "BELOW"),
    ("server/connection/server.cc", "#  include <llhttp.h>", "belongs to server/http1"),
    ("server/net/loop.cc", "#include <Python.h>", "belongs to asgi"),
    ("server/base/uri.h", "#include <spdlog/spdlog.h>", "belongs to server/base/log.cc"),
    ("server/websocket/frames.cc", "#include <openssl/sha.h>", "belongs to"),
    ("asgi/scope.cc", "#include <zlib.h>", "belongs to server/websocket"),
    ("server/net/loop.cc", "#include <uv.h>", "THIRD_PARTY"),
    ("asgi/scope.cc", "#include <gtest/gtest.h>", "only tests"),
    ("server/http1/codec.cc", "#include <thread>", "no clock and no thread"),
    ("server/sse/encoder.cc", "#include <sys/socket.h>", "sockets belong"),
    ("server/http1/codec.cc", "#include <unistd.h>", "no system call"),
    ("server/http1/codec.cc", "#include <boost/asio.hpp>", "THIRD_PARTY"),
]

RIGHT = [
    ("asgi/application.cc", '#include "server/base/message.h"'),
    ("server/connection/server.cc", '#include "server/net/listener.h"'),
    ("server/connection/server_test.cc", '#include "server/testing/fake_stream.h"'),
    ("server/connection/server_test.cc", "#include <gmock/gmock.h>"),
    ("server/testing/fake_stream.h", '#include "server/net/stream.h"'),
    ("server/websocket/handshake.cc", "#include <openssl/sha.h>"),
    ("server/websocket/frames.cc", "#include <immintrin.h>"),
    ("server/net/listener.cc", "#include <sys/socket.h>"),
    ("server/http1/codec.cc", "#include <chrono>"),
]


def test_a_helper_of_tests_is_for_tests(tmp_path: Path) -> None:
    write(tmp_path, "server/http1/transcript.h", "#include <gtest/gtest.h>")
    write(tmp_path, "server/http1/codec_test.cc", '#include "server/http1/transcript.h"')
    assert list(faults(tmp_path)) == []
    write(tmp_path, "server/http1/codec.cc", '#include "server/http1/transcript.h"')
    [found] = faults(tmp_path)
    assert found.startswith("server/http1/codec.cc: server/http1/transcript.h: only tests")


def write(root: Path, path: str, line: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(f"// A file.\n#pragma once\n\n{line}\n\nint x;\n", encoding="utf-8")


@pytest.mark.parametrize(("path", "line", "reason"), WRONG)
def test_a_wrong_include_is_found(tmp_path: Path, path: str, line: str, reason: str) -> None:
    write(tmp_path, path, line)
    [found] = faults(tmp_path)
    assert found.startswith(path)
    assert reason in found


@pytest.mark.parametrize(("path", "line"), RIGHT)
def test_a_right_include_is_let_through(tmp_path: Path, path: str, line: str) -> None:
    write(tmp_path, path, line)
    assert list(faults(tmp_path)) == []
