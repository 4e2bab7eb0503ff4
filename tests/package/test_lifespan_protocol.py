"""The lifespan protocol, application by application; rows L01 to L19 of the requirements."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from commandline import Process

Start = Callable[..., Process]

ANSWER = """
async def http(send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})
"""


def application(lifespan: str) -> dict[str, str]:
    """An application with this body for the lifespan scope."""
    body = "\n".join("        " + line for line in lifespan.strip().splitlines())
    return {
        "life.py": f"{ANSWER}\nasync def app(scope, receive, send):\n    if scope['type'] == 'lifespan':\n{body}\n"
        "        return\n    await http(send)\n"
    }


def serve(start: Start, lifespan: str, *options: str) -> Process:
    return start("life:app", "--port", "0", *options, files=application(lifespan))


UP = "await receive(); await send({'type': 'lifespan.startup.complete'})"
DOWN = "print((await receive())['type']); await send({'type': 'lifespan.shutdown.complete'})"
UNSUPPORTED = "INFO:     ASGI 'lifespan' protocol appears unsupported."
COMPLETE = "INFO:     Application startup complete."
FAILED = "ERROR:    Application startup failed. Exiting."
WAITING_DOWN = "INFO:     Waiting for application shutdown."
DOWN_COMPLETE = "INFO:     Application shutdown complete."
DOWN_FAILED = "ERROR:    Application shutdown failed. Exiting."


def test_l01_l02_scope_and_events(start: Start) -> None:
    look = "print(sorted(scope), scope['asgi'], scope['state'])\nprint((await receive()))\n"
    process = serve(start, look + "await send({'type': 'lifespan.startup.complete'})\n" + DOWN)
    assert process.stop() == 0
    assert process.out == [
        "['asgi', 'state', 'type'] {'version': '3.0', 'spec_version': '2.0'} {}",
        "{'type': 'lifespan.startup'}",
        "lifespan.shutdown",
    ]


def test_l03_nobody_is_served_before_the_startup_is_complete(start: Start) -> None:
    wait = "import asyncio, os\nawait receive()\nprint('waiting', flush=True)\n"
    wait += "while not os.path.exists('go'):\n    await asyncio.sleep(0.01)\n"
    process = serve(start, wait + "await send({'type': 'lifespan.startup.complete'})")
    process.expect("^waiting$", process.out)
    assert not any("running on" in line for line in process.err)
    (process.cwd / "go").touch()
    assert process.get() == (200, b"hello")


@pytest.mark.parametrize("when", ["raise ValueError", "await receive()\nraise ValueError"])
def test_l04_exception_means_unsupported(when: str, start: Start) -> None:
    process = serve(start, when)
    assert process.get() == (200, b"hello")
    assert process.stop() == 0
    assert process.err[1:4:2] == ["INFO:     Waiting for application startup.", COMPLETE]
    assert process.err[2] == UNSUPPORTED
    assert WAITING_DOWN not in process.err
    assert not any("Traceback" in line for line in process.err)


def test_l04_the_exception_is_shown_to_who_debugs(start: Start) -> None:
    process = serve(start, "raise ValueError('why')", "--log-level", "debug")
    assert process.stop() == 0
    assert "ValueError: why" in process.err


@pytest.mark.parametrize("then", ["return", "raise ValueError"])
def test_l05_startup_failed(then: str, start: Start) -> None:
    process = serve(
        start, f"await send({{'type': 'lifespan.startup.failed', 'message': 'no database'}})\n{then}"
    )
    assert process.wait() == 3
    assert process.err[2:] == ["ERROR:    no database", FAILED]


def test_l05_startup_failed_without_a_message(start: Start) -> None:
    process = serve(start, "await send({'type': 'lifespan.startup.failed'})")
    assert process.wait() == 3
    assert process.err[2:] == [FAILED]


def test_l06_shutdown_is_waited_for(start: Start) -> None:
    slow = f"import asyncio\n{UP}\nawait receive(); await asyncio.sleep(0.3); print('slept')\n"
    process = serve(start, slow + "await send({'type': 'lifespan.shutdown.complete'})")
    assert process.stop(signal.SIGTERM) == -signal.SIGTERM
    assert process.out == ["slept"]


def test_l07_shutdown_failed(start: Start) -> None:
    process = serve(
        start, f"{UP}\nawait receive()\nawait send({{'type': 'lifespan.shutdown.failed', 'message': 'lost'}})"
    )
    assert process.stop() == 0
    assert process.err[-4:-1] == [WAITING_DOWN, "ERROR:    lost", DOWN_FAILED]


def test_l11_return_after_startup(start: Start) -> None:
    process = serve(start, UP)
    assert process.get() == (200, b"hello")
    assert process.stop() == 0
    assert process.err[-3:-1] == [WAITING_DOWN, DOWN_COMPLETE]


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_l12_return_without_any_event(mode: str, start: Start) -> None:
    process = serve(start, "pass", "--lifespan", mode)
    assert process.get() == (200, b"hello")
    assert process.stop() == 0


def test_l17_exception_at_shutdown(start: Start) -> None:
    process = serve(start, f"{UP}\nawait receive()\nraise ValueError('late')")
    assert process.stop() == 0
    assert "ERROR:    Exception in 'lifespan' protocol" in process.err
    assert "ValueError: late" in process.err
    assert process.err[-2] == DOWN_FAILED


def test_exception_while_serving_is_reported_and_requests_go_on(start: Start) -> None:
    process = serve(start, f"import asyncio\n{UP}\nawait asyncio.sleep(0)\nraise ValueError('in between')")
    process.expect("ValueError: in between")
    assert process.get() == (200, b"hello")
    assert process.stop() == 0
    assert WAITING_DOWN not in process.err


def test_l18_off(start: Start) -> None:
    process = serve(start, "print('called')", "--lifespan", "off")
    assert process.get() == (200, b"hello")
    process.stop()
    assert "called" not in process.out


def test_l19_on_makes_an_exception_fatal(start: Start) -> None:
    process = serve(start, "raise ValueError('broken')", "--lifespan", "on")
    assert process.wait() == 3
    assert process.err[2] == "ERROR:    Exception in 'lifespan' protocol"
    assert process.err[-2:] == ["ValueError: broken", FAILED]


def test_exit_in_the_startup_is_a_failure(start: Start) -> None:
    """Not "unsupported", and not a traceback out of the loop."""
    process = serve(start, "import sys\nsys.exit('no licence')")
    assert process.wait() == 3
    assert process.err[2:] == ["ERROR:    Application called sys.exit(no licence) in its lifespan.", FAILED]


WRONG = {
    "unknown": ("await send({'type': 'lifespan.startup.done'})", "unexpected lifespan message"),
    "http": ("await send({'type': 'http.response.start', 'status': 200})", "unexpected lifespan message"),
    "twice": (
        f"{UP}\nawait send({{'type': 'lifespan.startup.complete'}})",
        "sent after the start-up had ended",
    ),
    "failed after complete": (
        f"{UP}\nawait send({{'type': 'lifespan.startup.failed'}})",
        "sent after the start-up",
    ),
    "shutdown too early": (
        f"{UP}\nawait send({{'type': 'lifespan.shutdown.complete'}})",
        "no shutdown was waiting",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_messages_raise_in_the_application(case: str, start: Start) -> None:
    code, message = WRONG[case]
    process = serve(start, code, "--lifespan", "on")
    process.expect(f"RuntimeError: .*{message}")


def test_starlette(start: Start) -> None:
    pytest.importorskip("starlette")
    files = {
        "web.py": """
        import contextlib, contextvars
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        var = contextvars.ContextVar("var")
        @contextlib.asynccontextmanager
        async def lifespan(app):
            var.set("set in lifespan")
            yield {"answer": 42}
            print("ended", flush=True)
        async def root(request):
            return PlainTextResponse(f"{request.state.answer} {var.get()}")
        app = Starlette(routes=[Route("/", root)], lifespan=lifespan)
        """
    }
    process = start("web", "--port", "0", files=files)
    assert process.get() == (200, b"42 set in lifespan")
    assert process.stop() == 0
    assert process.out[-1] == "ended"


def test_starlette_whose_startup_fails(start: Start) -> None:
    pytest.importorskip("starlette")
    files = {
        "web.py": """
        import contextlib
        from starlette.applications import Starlette
        @contextlib.asynccontextmanager
        async def lifespan(app):
            raise ValueError("no database")
            yield
        app = Starlette(lifespan=lifespan)
        """
    }
    process = start("web", "--port", "0", files=files)
    assert process.wait() == 3
    assert "ValueError: no database" in process.err
    assert process.err[-1] == FAILED
    assert sum("ValueError: no database" in line for line in process.err) == 1


def test_starlette_cancelled_in_its_startup_is_not_reported_as_failed(start: Start) -> None:
    pytest.importorskip("starlette")
    files = {
        "web.py": """
        import asyncio, contextlib
        from starlette.applications import Starlette
        @contextlib.asynccontextmanager
        async def lifespan(app):
            print("hanging", flush=True)
            await asyncio.sleep(3600)
            yield
        app = Starlette(lifespan=lifespan)
        """
    }
    process = start("web", "--port", "0", files=files)
    process.expect("^hanging$", process.out)
    process.send(signal.SIGINT)
    assert process.wait() == 0
    assert process.err[-1] == "INFO:     Application startup interrupted. Exiting."
    assert not any("Traceback" in line for line in process.err)
