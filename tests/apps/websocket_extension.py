"""What a client asks of the extension ``fasterapi.websocket``, by texts of JSON: ``[method, arguments…]``."""

from __future__ import annotations

import json
from typing import Any


async def call(socket: Any, method: str, *arguments: Any) -> Any:
    if method == "ping":
        payload, *others = [argument.encode() for argument in arguments]
        waiting = [socket.ping(payload), *(socket.ping(other) for other in others)]
        return [await each for each in waiting]
    if method == "ping_given_up":
        return socket.ping(arguments[0].encode()).cancel()
    if method == "publish":
        topic, kind, data = arguments
        return socket.publish(topic, **{kind: data if kind == "text" else data.encode()})
    if method == "pong":
        return socket.pong(arguments[0].encode())
    if method == "pong_events":
        socket.pong_events = arguments[0]
        return socket.pong_events
    return getattr(socket, method)(*arguments)


async def echo(socket: Any, *compress: Any) -> None:
    assert socket.close_code is None
    assert socket.close_reason == ""
    while (data := await socket.receive_data()) != "over":
        if isinstance(data, str):
            await socket.send_text(data, *compress)
        else:
            await socket.send_bytes(bytearray(data), *compress)
    for send, wrong in ((socket.send_text, b"x"), (socket.send_bytes, "x"), (socket.send_text, "\ud800")):
        try:
            await send(wrong)
        except (TypeError, ValueError) as error:
            await socket.send_text(type(error).__name__)


async def refusals(socket: Any) -> list[str]:
    calls = {
        "send_text": lambda: socket.send_text("early"),
        "send_bytes": lambda: socket.send_bytes(b"early"),
        "receive_data": socket.receive_data,
    }
    told = []
    for name, begin in calls.items():
        try:
            await begin()
        except RuntimeError as error:
            told.append(f"{name}: {error}")
    return told


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        return
    socket = scope["extensions"]["fasterapi.websocket"]["socket"]
    early = await refusals(socket) if scope["path"] == "/early" else []
    await receive()
    await send({"type": "websocket.accept"})
    if early:
        await socket.send_text(json.dumps(early))
    waiting: list[Any] = []
    while (event := await receive())["type"] != "websocket.disconnect":
        if event["type"] == "fasterapi.websocket.pong":
            await send({"type": "websocket.send", "bytes": event["bytes"]})
            continue
        method, *arguments = json.loads(event["text"])
        if method == "ping_later":
            waiting.append(socket.ping())
            continue
        if method == "echo":  # by the calls without dictionaries, until "over"
            assert send.__self__ is socket
            assert receive.__self__ is socket
            await echo(socket, *arguments)
            continue
        if method == "plain":
            await send({"type": "websocket.send", "text": arguments[0], "compress": False})
            continue
        try:
            answer = await call(socket, method, *arguments)
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        await send({"type": "websocket.send", "text": json.dumps(answer)})
    for future in waiting:
        try:
            await future
        except OSError as error:
            print(f"ping: {error}", flush=True)
    print(
        f"closed: {socket.close_code} {socket.close_reason} {socket.statistics()['messages_received']}",
        flush=True,
    )
    try:
        await socket.receive_data()
    except OSError as error:
        print(f"receive_data: {error}", flush=True)
    try:
        await socket.send_text("late")
    except OSError as error:
        print(f"send_text: {error}", flush=True)
