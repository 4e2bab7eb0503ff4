"""Tasks that an application leaves behind in receive() and send(): the end of its run ends their waiting."""

import asyncio
import queue

import pytest
from support.wire import TIMEOUT

HEAD = {"type": "http.response.start", "status": 200, "headers": []}
# More than the kernel takes for a client that does not read.
MUCH = bytes(1 << 24)
UPGRADE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]
WAYS = pytest.mark.parametrize("way", ["returns", "raises", "completes"])


class Served:
    """The application begins a response or WebSocket, leaves two tasks behind, and ends in one of the ways."""

    def __init__(self, in_process, way):
        self.way = way
        self.told = queue.Queue()
        self.tasks = set()
        self.server = in_process(self.app, lifespan="off")

    async def app(self, scope, receive, send):
        http = scope["type"] == "http"
        await receive()
        await send(HEAD if http else {"type": "websocket.accept"})
        data = {"type": "http.response.body", "body": MUCH, "more_body": True}
        self.leave_behind("send", send(data if http else {"type": "websocket.send", "bytes": MUCH}))
        self.leave_behind("receive", receive())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert self.told.empty()
        if self.way == "raises":
            raise LookupError("the application's own")
        if self.way == "completes":
            end = {"type": "http.response.body"} if http else {"type": "websocket.close"}
            self.leave_behind("end", send(end))

    def leave_behind(self, what, awaitable):
        async def wait():
            try:
                self.told.put((what, await awaitable))
            except Exception as error:
                self.told.put((what, type(error).__name__))

        self.tasks.add(asyncio.ensure_future(wait()))

    def hear(self):
        count = 3 if self.way == "completes" else 2
        return dict(self.told.get(timeout=TIMEOUT) for _ in range(count))


@pytest.fixture
def served(in_process, way):
    return Served(in_process, way)


@WAYS
def test_of_a_response(served, caplog):
    with served.server.connect(receive_buffer=1 << 16) as connection:
        connection.request("GET", "/")
        heard = served.hear()
        assert heard["receive"] == {"type": "http.disconnect"}
        assert heard["send"] in (None, "ClientDisconnected")
    caplog.clear()  # its tracebacks hold the application's frames


@WAYS
def test_of_a_websocket(served, caplog):
    with served.server.connect(receive_buffer=1 << 16) as connection:
        connection.request("GET", "/", UPGRADE)
        heard = served.hear()
        assert heard["receive"]["type"] == "websocket.disconnect"
        assert heard["send"] in (None, "ClientDisconnected")
    caplog.clear()  # its tracebacks hold the application's frames
