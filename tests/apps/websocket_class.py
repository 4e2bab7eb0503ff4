"""What ``fasterapi.WebSocket`` is tested with: handlers by path, as a user writes them.

``/script`` and ``/explicit`` (where nothing accepts by itself) perform the steps in the query, Python literals
``[method, arguments, keywords]``, and say how each went. Under ``/wrapped`` a middleware stands before them, as
frameworks put one there. GET answers on every path.
"""

from __future__ import annotations

import ast
import asyncio
import enum
import random
import struct
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from support.probe import gate, say

from fasterapi import ConnectionManager, WebSocket, WebSocketDisconnect, websocket_endpoint

ROUTES: dict[str, Any] = {}


def route(handler: Any) -> Any:
    ROUTES["/" + handler.__name__] = websocket_endpoint(handler)
    return handler


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        body = f"GET {scope['path']}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-is", b"http")]})
        await send({"type": "http.response.body", "body": body})
    if scope["type"] != "websocket":
        return
    path = scope["path"]
    if path.startswith("/wrapped"):
        path, (receive, send) = path[len("/wrapped") :], wrapped(receive, send)
    if path == "/explicit":
        await script(WebSocket(scope, receive, send))
        return
    await ROUTES["/" + path.split("/")[1]](
        {**scope, "path_params": {"rest": path.split("/")[2:]}}, receive, send
    )


def wrapped(receive: Any, send: Any) -> tuple[Any, Any]:
    async def receive_one() -> Any:
        return await receive()

    async def send_one(message: Any) -> None:
        await send(message)

    return receive_one, send_one


# --- Steps ---------------------------------------------------------------------------------------


async def perform(ws: WebSocket, step: list[Any]) -> Any:
    method, arguments, keywords = (*step, *([], {})[len(step) - 1 :])
    try:
        if method == "gate":
            return await gate(*arguments)
        if method == "say":
            return say(*arguments)
        if method == "together":
            return await asyncio.gather(*(perform(ws, each) for each in arguments))
        if method == "cancelled":
            task = asyncio.ensure_future(perform(ws, arguments[0]))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return task.cancel()
        if method == "list":
            return [message async for message in getattr(ws, arguments[0])()]
        if method == "get":
            values = [plain(getattr(ws, name)) for name in arguments]
            return values if len(values) > 1 else values[0]
        if method == "raise":
            raise LookupError(*arguments)
        return await getattr(ws, method)(*arguments, **keywords)
    except Exception as error:
        if method == "raise":
            raise
        return f"{type(error).__name__}: {error}"


def plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Mapping):
        return dict(value)
    return tuple(value) if isinstance(value, tuple) else value


@route
async def script(ws: WebSocket) -> None:
    steps, _, tag = unquote(ws.scope["query_string"].decode()).rpartition("&")
    outcomes = []
    try:
        for step in ast.literal_eval(steps):
            outcomes.append(await perform(ws, step))
    finally:
        say("outcomes", tag, outcomes=ast.literal_eval(repr(outcomes)))


# --- Handlers ------------------------------------------------------------------------------------


@route
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@route
async def upper(ws: WebSocket) -> None:
    async for text in ws.iter_text():
        await ws.send_text(text.upper())


@route
async def reverse(ws: WebSocket) -> None:
    async for data in ws.iter_bytes():
        await ws.send_binary(data[::-1])


@route
async def json_echo(ws: WebSocket) -> None:
    async for value in ws.iter_json():
        await ws.send_json({"echo": value})


@route
async def push(ws: WebSocket) -> None:
    """As many messages of a kind as are asked for."""
    asked = await ws.receive_json()
    source = random.Random(asked["seed"])
    for _ in range(asked["count"]):
        await ws.send(random_message(source, asked["kind"]))
    await ws.send_json([ws.messages_sent, ws.bytes_sent, ws.messages_received, ws.bytes_received])


def random_message(source: random.Random, kind: str) -> Any:
    if kind == "binary":
        return source.randbytes(source.randint(10, 100))
    text = "".join(source.choices("abc äöü 漢字😀", k=source.randint(10, 100)))
    return text if kind == "text" else {"text": text, "numbers": [source.random() for _ in range(3)]}


@route
async def concurrent(ws: WebSocket) -> None:
    """Sends that are made at the same time, the first of them accepting; each kind in the order of the calls."""
    await asyncio.gather(
        *(
            ws.send_text(f"text {number}") if number % 2 else ws.send_bytes(b"%d" % number)
            for number in range(100)
        )
    )


@route
async def client_id(ws: WebSocket) -> None:
    """``/client_id/<name>``, as in FastAPI's documentation."""
    await ws.accept()
    name = ws.path_params["rest"][0]
    await ws.send_json({"message": "Connected", "client_id": name})
    try:
        while True:
            await ws.send_json({"echo": await ws.receive_json(), "from": name})
    except WebSocketDisconnect as end:
        say("left", name, code=end.code, reason=end.reason)


@route
async def commands(ws: WebSocket) -> None:
    counter = 0
    async for command in ws.iter_json():
        match = {"add": 1, "subtract": -1}.get(command["command"])
        if match is not None:
            counter += match * command.get("by", 1)
            await ws.send_json({"counter": counter})
        elif command["command"] == "close":
            await ws.close(1000, "as you wish")
        else:
            await ws.send_json({"error": f"unknown command: {command['command']}"})


@route
async def length_prefix(ws: WebSocket) -> None:
    async for data in ws.iter_bytes():
        await ws.send_bytes(struct.pack("!I", len(data)) + data)


room = ConnectionManager()


@route
async def chat(ws: WebSocket) -> None:
    await room.connect(ws)
    name = ws.path_params["rest"][0]
    await room.broadcast_json({"joined": name, "members": len(room)})
    try:
        async for text in ws.iter_text():
            await room.broadcast(f"{name}: {text}")
    finally:
        room.disconnect(ws)
        await room.broadcast_json({"left": name, "members": len(room)})


@route
async def leaving(ws: WebSocket) -> None:
    """Is in the room until its first message; says everything back."""
    await room.connect(ws)
    await ws.send("in the room")
    async for text in ws.iter_text():
        room.disconnect(ws)
        await ws.send(text)


@route
async def returning(ws: WebSocket) -> None:
    await ws.send("bye")


@route
async def doing_nothing(ws: WebSocket) -> None:
    pass


FLOODS: dict[str, Any] = {
    "send": {"text": "x" * 100_000},
    "send_text": "x" * 100_000,
    "send_bytes": bytes(100_000),
    "send_json": ["x" * 100_000],
    "send_personal_message": "x" * 100_000,
    "send_personal_json": ["x" * 100_000],
}


@route
async def flooding(ws: WebSocket) -> None:
    """``/flooding/<method>/<tag>`` calls it until that fails; ``/flooding/close/<tag>`` closes while another task does."""
    method, tag = ws.path_params["rest"]
    members = ConnectionManager()
    await members.connect(ws)
    flood = asyncio.ensure_future(_flood(ws, members, "send_bytes" if method == "close" else method))
    if method == "close":
        await gate(tag)
        await ws.close()
    error = await flood
    code = getattr(error, "code", None)
    say("flood over", tag, error=type(error).__name__, code=code, open=ws.is_open)


async def _flood(ws: WebSocket, members: ConnectionManager, method: str) -> Exception:
    try:
        while True:
            if method.startswith("send_personal"):
                await getattr(members, method)(FLOODS[method], ws)
            else:
                await getattr(ws, method)(FLOODS[method])
    except RuntimeError as error:
        return error
