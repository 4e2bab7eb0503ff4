"""Fixtures of the tests of the loop used alone.

Every test that takes ``new_loop``, ``loop`` or ``run`` is run twice: on asyncio's own selector loop, which shows
that the test is right, and on fasterapi's.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fasterapi import _native
from fasterapi.loop import new_event_loop

HERE = Path(__file__).resolve().parent
LIMIT = 10.0  # seconds that one run of a loop may take


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.filterwarnings("error::ResourceWarning"))
            item.add_marker(pytest.mark.timeout(60))


@pytest.fixture(params=["asyncio", "fasterapi"])
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes a loop; who calls it closes the loop."""
    return asyncio.SelectorEventLoop if request.param == "asyncio" else new_event_loop


@pytest.fixture
def loop(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that the test runs itself."""
    loop = new_loop()
    yield loop
    loop.close()


@pytest.fixture
def forever() -> Callable[[asyncio.AbstractEventLoop], None]:
    """``forever(loop)`` is ``loop.run_forever()``, except that it fails when nothing stops the loop."""

    def forever(loop: asyncio.AbstractEventLoop) -> None:
        late: list[bool] = []

        def give_up() -> None:
            late.append(True)
            loop.stop()

        guard = loop.call_later(LIMIT, give_up)
        try:
            loop.run_forever()
        finally:
            guard.cancel()
        assert not late, f"nothing stopped the loop within {LIMIT} s"

    return forever


@pytest.fixture
def run(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Callable[..., Any]:
    """``run(main())`` is ``asyncio.run`` on a new loop, within a time limit."""

    def run(main: Awaitable[Any], *, debug: bool = False) -> Any:
        async def bounded() -> Any:
            return await asyncio.wait_for(main, LIMIT)

        if sys.version_info >= (3, 11):
            with asyncio.Runner(loop_factory=new_loop, debug=debug) as runner:
                return runner.run(bounded())
        loop = new_loop()
        try:
            asyncio.set_event_loop(loop)
            loop.set_debug(debug)
            return loop.run_until_complete(bounded())
        finally:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            asyncio.set_event_loop(None)
            loop.close()

    return run


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[logging.LogRecord]]:
    """What asyncio has logged so far. Without this fixture a test fails if asyncio logs an error."""
    caplog.set_level(logging.DEBUG, logger="asyncio")
    return lambda: [record for record in caplog.records if record.name == "asyncio"]


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No native object may outlive its test, and no error may go by unseen."""
    yield
    gc.collect()
    if "logged" not in request.fixturenames:
        records = [*caplog.get_records("call"), *caplog.records]
        errors = [r.getMessage() for r in records if r.name == "asyncio" and r.levelno >= logging.ERROR]
        assert not errors
    assert _native.live_objects() == {}


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets that do not block."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    yield left, right
    left.close()
    right.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    return certificate, key


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server and of a client that trusts it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate)
    client = ssl.create_default_context(cafile=str(certificate[0]))
    return server, client
