"""WebSocket clients that others wrote, each in the same conversations: websockets (asyncio and threads), aiohttp,
picows, and wsproto over a bare socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import picows
import pytest
import websockets.asyncio.client
import websockets.exceptions
import websockets.sync.client
import wsproto
import wsproto.events
import wsproto.extensions
from support.websocket import script
from support.wire import TIMEOUT

MESSAGES = ["text é€🐍", b"\x00\xff bytes", "", b"", "x" * 70_000, os.urandom(1_000_000), "last"]
GOODBYE = (4000, "tschüß")
ACCEPT = {"type": "websocket.accept"}


@dataclass
class Conversation:
    """What a client has seen."""

    deflated: bool = False
    subprotocol: str | None = None
    received: list[str | bytes] = field(default_factory=list)
    code: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Plan:
    """What a client does: it offers, sends each message and awaits one for it, and says ``GOODBYE``.

    Without messages it receives until the server closes.
    """

    host: str
    port: int
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    deflate: bool = True
    messages: tuple[str | bytes, ...] = ()

    @property
    def url(self) -> str:
        return f"ws://{self.host}:{self.port}{self.target}"

    @property
    def for_websockets(self) -> dict[str, Any]:
        """What both clients of that library take."""
        return {
            "additional_headers": self.headers,
            "subprotocols": self.subprotocols or None,
            "compression": "deflate" if self.deflate else None,
            "proxy": None,
        }


async def by_websockets(plan: Plan) -> Conversation:
    async with websockets.asyncio.client.connect(plan.url, **plan.for_websockets) as client:
        seen = Conversation(bool(client.protocol.extensions), client.subprotocol)
        for message in plan.messages:
            await client.send(message)
            seen.received.append(await client.recv())
        if plan.messages:
            await client.close(*GOODBYE)
        else:
            with contextlib.suppress(
                websockets.exceptions.ConnectionClosedError
            ):  # by another code than 1000
                while True:
                    seen.received.append(await client.recv())
        await client.wait_closed()
        seen.code, seen.reason = client.close_code, client.close_reason
        return seen


def by_websockets_in_threads(plan: Plan) -> Conversation:
    with websockets.sync.client.connect(plan.url, **plan.for_websockets) as client:
        seen = Conversation(bool(client.protocol.extensions), client.subprotocol)
        for message in plan.messages:
            client.send(message)
            seen.received.append(client.recv(timeout=TIMEOUT))
        if plan.messages:
            client.close(*GOODBYE)
        else:
            with contextlib.suppress(websockets.exceptions.ConnectionClosedError):
                while True:
                    seen.received.append(client.recv(timeout=TIMEOUT))
        seen.code, seen.reason = client.protocol.close_code, client.protocol.close_reason
        return seen


async def by_aiohttp(plan: Plan) -> Conversation:
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.ws_connect(
            plan.url, headers=plan.headers, protocols=plan.subprotocols, compress=15 if plan.deflate else 0
        ) as client,
    ):
        seen = Conversation(bool(client.compress), client.protocol)
        for sent in plan.messages:
            if isinstance(sent, str):
                await client.send_str(sent)
            else:
                await client.send_bytes(sent)
            seen.received.append((await client.receive()).data)
        if plan.messages:
            await client.close(code=GOODBYE[0], message=GOODBYE[1].encode())
            seen.code, seen.reason = client.close_code, GOODBYE[1]
            return seen
        while (message := await client.receive()).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            seen.received.append(message.data)
        assert message.type == aiohttp.WSMsgType.CLOSE, message
        seen.code, seen.reason = message.data, message.extra
        return seen


class PicowsListener(picows.WSListener):
    def __init__(self) -> None:
        self.frames: asyncio.Queue[tuple[picows.WSMsgType, bytes, Any, Any]] = asyncio.Queue()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        closing = frame.msg_type == picows.WSMsgType.CLOSE
        told = (frame.get_close_code(), frame.get_close_message()) if closing else (None, None)
        self.frames.put_nowait((frame.msg_type, frame.get_payload_as_bytes(), *told))
        if closing:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


async def by_picows(plan: Plan) -> Conversation:
    """It knows no extensions; a subprotocol is a header like others."""
    headers = list(plan.headers)
    if plan.subprotocols:
        headers.append(("Sec-WebSocket-Protocol", ", ".join(plan.subprotocols)))
    transport, listener = await picows.ws_connect(
        PicowsListener, plan.url, extra_headers=headers, use_aiofastnet=False
    )
    assert isinstance(listener, PicowsListener)
    seen = Conversation(False, transport.response.headers.get("Sec-WebSocket-Protocol"))
    for message in plan.messages:
        if isinstance(message, str):
            transport.send(picows.WSMsgType.TEXT, message.encode())
        else:
            transport.send(picows.WSMsgType.BINARY, message)
        kind, data, _, _ = await listener.frames.get()
        seen.received.append(data.decode() if kind == picows.WSMsgType.TEXT else data)
    if plan.messages:
        transport.send_close(GOODBYE[0], GOODBYE[1].encode())
    while (frame := await listener.frames.get())[0] != picows.WSMsgType.CLOSE:
        seen.received.append(frame[1].decode() if frame[0] == picows.WSMsgType.TEXT else frame[1])
    await transport.wait_disconnected()
    seen.code, seen.reason = int(frame[2]), (frame[3] or b"").decode()
    return seen


class WsprotoClient:
    """wsproto knows the protocol, this the socket."""

    def __init__(self, plan: Plan) -> None:
        self.socket = socket.create_connection((plan.host, plan.port), timeout=TIMEOUT)
        self.protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self.waiting: list[wsproto.events.Event] = []
        self.deflate = wsproto.extensions.PerMessageDeflate()
        self.send(
            wsproto.events.Request(
                host=f"{plan.host}:{plan.port}",
                target=plan.target,
                extensions=[self.deflate] if plan.deflate else [],
                subprotocols=list(plan.subprotocols),
                extra_headers=[(name.encode(), value.encode()) for name, value in plan.headers],
            )
        )

    def send(self, event: wsproto.events.Event) -> None:
        self.socket.sendall(self.protocol.send(event))

    def next(self) -> wsproto.events.Event:
        while not self.waiting:
            data = self.socket.recv(1 << 16)
            self.protocol.receive_data(data or None)
            self.waiting = list(self.protocol.events())
        return self.waiting.pop(0)

    def message(self) -> str | bytes | wsproto.events.CloseConnection:
        """A whole message, of as many events as it takes, or the close."""
        parts: list[Any] = []
        while True:
            event = self.next()
            if isinstance(event, wsproto.events.Ping):
                self.send(event.response())
            elif isinstance(event, wsproto.events.CloseConnection):
                return event
            else:
                assert isinstance(event, wsproto.events.Message), event
                parts.append(event.data)
                if event.message_finished:
                    return type(parts[0])().join(parts)  # type: ignore[no-any-return]


def by_wsproto(plan: Plan) -> Conversation:
    client = WsprotoClient(plan)
    with client.socket:
        accepted = client.next()
        assert isinstance(accepted, wsproto.events.AcceptConnection), accepted
        seen = Conversation(bool(accepted.extensions), accepted.subprotocol)
        for message in plan.messages:
            kind = wsproto.events.TextMessage if isinstance(message, str) else wsproto.events.BytesMessage
            client.send(kind(data=message))
            answer = client.message()
            assert not isinstance(answer, wsproto.events.CloseConnection), answer
            seen.received.append(answer)
        if plan.messages:
            client.send(wsproto.events.CloseConnection(*GOODBYE))
        while not isinstance(answer := client.message(), wsproto.events.CloseConnection):
            seen.received.append(answer)
        if not plan.messages:
            client.send(answer.response())
        assert client.socket.recv(1) == b"", "the server has not ended the connection"
        seen.code, seen.reason = answer.code, answer.reason
        return seen


CLIENTS = [by_websockets, by_websockets_in_threads, by_aiohttp, by_picows, by_wsproto]


@pytest.fixture(params=CLIENTS, ids=lambda client: client.__name__.removeprefix("by_"))
def client(request):
    """A client as a function of its plan."""

    def run(plan):
        if asyncio.iscoroutinefunction(request.param):
            return asyncio.run(asyncio.wait_for(request.param(plan), TIMEOUT * 3))
        return request.param(plan)

    run.deflates = request.param is not by_picows
    return run


@pytest.mark.parametrize("deflate", [True, False], ids=["deflate", "plain"])
def test_messages_come_back_and_the_close_arrives(server, tag, client, deflate):
    host, port = server.address
    seen = client(Plan(host, port, f"/websocket_echo?{tag}", deflate=deflate, messages=tuple(MESSAGES * 2)))
    assert seen.received == MESSAGES * 2
    assert seen.deflated is (deflate and client.deflates)
    assert seen.code == GOODBYE[0]
    left = server.probe.expect("left", tag)["message"]
    assert left == {"type": "websocket.disconnect", "code": GOODBYE[0], "reason": GOODBYE[1]}


@pytest.mark.parametrize("deflate", [True, False], ids=["deflate", "plain"])
def test_server_speaks_and_closes(server, tag, client, deflate):
    host, port = server.address
    said = ["one", b"two", "three é"]
    steps = [
        "receive",
        {**ACCEPT, "subprotocol": "chat"},
        *({"type": "websocket.send", "text" if isinstance(m, str) else "bytes": m} for m in said),
        {"type": "websocket.close", "code": 4001, "reason": "enough é"},
        "receive",
    ]
    plan = Plan(
        host, port, f"/script?{tag}", (script(*steps),), subprotocols=("other", "chat"), deflate=deflate
    )
    seen = client(plan)
    assert seen.subprotocol == "chat"
    assert seen.received == said
    assert (seen.code, seen.reason) == (4001, "enough é")
    assert server.probe.expect("script", tag)["outcomes"][-1]["type"] == "websocket.disconnect"


def test_many_clients_at_once(server, tag):
    """A hundred of ``websockets`` in one loop, each with its own words."""
    host, port = server.address

    async def talk(number: int) -> Conversation:
        words = tuple(f"{number}.{word}" for word in range(10))
        return await by_websockets(Plan(host, port, f"/websocket_echo?{tag}{number}", messages=words))

    async def all_of_them() -> list[Conversation]:
        return await asyncio.wait_for(asyncio.gather(*(talk(number) for number in range(100))), TIMEOUT * 3)

    for number, seen in enumerate(asyncio.run(all_of_them())):
        assert seen.received == [f"{number}.{word}" for word in range(10)]


def test_pings_of_a_client_are_answered(server):
    """``websockets`` compares the payload of the answer, and measures its latency by it."""
    host, port = server.address

    async def ping() -> float:
        async with websockets.asyncio.client.connect(
            f"ws://{host}:{port}/websocket_echo", proxy=None
        ) as client:
            return await asyncio.wait_for(await client.ping(b"payload"), TIMEOUT)

    assert asyncio.run(ping()) > 0


def test_refusals_are_understood(server, tag):
    host, port = server.address
    steps = [
        "receive",
        {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"no")]},
        {"type": "websocket.http.response.body", "body": b"not here"},
    ]
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        by_websockets_in_threads(Plan(host, port, f"/script?{tag}", (script(*steps),)))
    answer = refused.value.response
    assert (answer.status_code, answer.headers["x-why"], answer.body) == (401, "no", b"not here")
