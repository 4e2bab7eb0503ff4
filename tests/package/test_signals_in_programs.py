"""How a server ends that a program has started: signals are the program's again, and its own ways of handling them are kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from commandline import Process, loop_or_skip

Start = Callable[..., Process]


def test_replaced_handle_exit_is_called_and_finds_the_server(start: Start) -> None:
    """What sse-starlette does to uvicorn, both ways."""
    script = """
    import signal, fasterapi
    from hello import app
    original = fasterapi.Server.handle_exit
    def handle_exit(self, sig, frame):
        found = signal.getsignal(signal.SIGTERM).__self__
        print("handler", found is self, found.should_exit, flush=True)
        original(self, sig, frame)
        print("after", found.should_exit, flush=True)
    fasterapi.Server.handle_exit = handle_exit
    fasterapi.run(app, port=0, access_log=False)
    """
    process = start(script=script)
    assert process.stop() == 0
    assert process.out == ["handler True False", "after True"]


@pytest.mark.parametrize("loop", ["auto", "asyncio", "uvloop"])
def test_signals_of_an_embedded_server_reach_the_program(loop: str, start: Start) -> None:
    loop_or_skip(loop)
    script = f"""
    import asyncio, fasterapi
    from hello import app
    async def main():
        await fasterapi.Server(fasterapi.Config(app, port=0)).serve()
        print("not reached", flush=True)
    factory = fasterapi.Config(app, loop={loop!r}).get_loop_factory()
    loop = factory()
    try:
        loop.run_until_complete(main())
    except KeyboardInterrupt:
        print("KeyboardInterrupt", flush=True)
    """
    process = start(script=script)
    assert process.stop() == 0
    assert process.out == ["KeyboardInterrupt"]
    assert process.err[-1].startswith("INFO:     Finished server process")


def test_server_run_raises_the_interrupt(start: Start) -> None:
    script = """
    import fasterapi
    from hello import app
    try:
        fasterapi.Server(fasterapi.Config(app, port=0)).run()
    except KeyboardInterrupt:
        print("KeyboardInterrupt", flush=True)
    """
    process = start(script=script)
    assert process.stop() == 0
    assert process.out == ["KeyboardInterrupt"]


def test_run_returns_after_the_interrupt(start: Start) -> None:
    script = "import fasterapi, hello\nfasterapi.run(hello.app, port=0)\nprint('returned', flush=True)"
    process = start(script=script)
    assert process.stop() == 0
    assert process.out == ["returned"]
