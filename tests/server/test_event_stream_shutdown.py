"""Event streams when the server stops: ``on_shutdown``, and what the class ``SSE`` makes of it."""

import asyncio
import functools
import signal

import pytest
from support.events import END, HEAD
from support.wire import LAST_CHUNK

from fasterapi import open_event_stream


def ask(server, target):
    connection = server.connect()
    connection.request("GET", target)
    return connection


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
def test_the_callback_comes_once_by_the_loop_when_the_server_stops(events, loop):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        stopping = asyncio.Event()

        def called():
            self.tell("stopping")
            stopping.set()

        stream.on_shutdown(lambda: self.tell("replaced"))
        stream.on_shutdown(called)
        await send(HEAD)
        await stopping.wait()
        stream.on_shutdown(functools.partial(self.tell, "known already"))
        await stream.send("last")
        await send(END)

    served = events(handler, loop=loop)
    with served.begin() as connection:
        served.server.stop()
        assert connection.read_to_end() == b"c\r\ndata: last\n\n\r\n0\r\n\r\n"
    assert [served.hear(), served.hear()] == ["stopping", "known already"]
    assert served.told.empty()


def test_nobody_is_called_who_took_it_back_or_has_ended(events):
    async def handler(self, scope, receive, send):
        stream = open_event_stream(send)
        stream.on_shutdown(functools.partial(self.tell, "called"))
        await send(HEAD)
        if scope["path"] == "/ended":
            await send(END)
            return
        stream.on_shutdown(None)
        stream.on_disconnect(asyncio.current_task().cancel)
        await asyncio.sleep(3600)

    served = events(handler)
    with ask(served.server, "/ended") as ended, served.begin() as lasting:
        ended.response()
        lasting.close()
        served.server.stop()
    assert served.told.empty()


class TestGrace:
    """``shutdown_grace`` of the class."""

    def test_a_stream_that_has_some_comes_to_its_own_end(self, serve, tag):
        server = serve("apps.sse:app")
        patient = ask(server, f"/patient/one_by_one?tag={tag}")
        told = ask(server, f"/sleeps?tag={tag}-told")
        for number in range(50):
            server.probe.open(f"{tag}-{number}")
            assert patient.read_until(f"data: {number}\n\n".encode())
        told.read_until(b"data: hello\n\n")
        server.signal(signal.SIGTERM)
        told.read_to_end()
        for number in range(50, 100):
            server.probe.open(f"{tag}-{number}")
        rest = patient.read_to_end()
        assert (b"data: 99\n\n" in rest, rest[-5:]) == (True, LAST_CHUNK)
        assert server.wait() == -signal.SIGTERM
        assert server.probe.expect("ended", tag)["outcome"] is None

    def test_one_that_does_not_is_ended_behind_it(self, serve, tag):
        server = serve("apps.sse:app")
        hurried = ask(server, f"/hurried/sleeps?tag={tag}")
        hurried.read_until(b"data: hello\n\n")
        assert server.terminate() == -signal.SIGTERM
        assert hurried.read_to_end()[-5:] == LAST_CHUNK

    def test_a_stream_that_begins_when_the_server_stops_is_told_at_once(self, serve, tag):
        server = serve("apps.sse:app")
        late = ask(server, f"/late/sleeps?tag={tag}")
        server.probe.expect("waits", tag)
        told = ask(server, f"/sleeps?tag={tag}-told")
        told.read_until(b"data: hello\n\n")
        server.signal(signal.SIGTERM)
        told.read_to_end()
        server.probe.open(tag)
        assert late.read_to_end()[-5:] == LAST_CHUNK
        assert server.wait() == -signal.SIGTERM
