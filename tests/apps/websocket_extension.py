"""What a client asks of the extension ``fasterapi.websocket``, by texts of JSON: ``[method, arguments…]``."""

from __future__ import annotations

import json
from typing import Any


async def call(socket: Any, method: str, *arguments: Any) -> Any:
    if method == "ping":
        payload, *others = [argument.encode() for argument in arguments]
        waiting = [socket.ping(payload), *(socket.ping(other) for other in others)]
        return [await each for each in waiting]
    if method == "publish":
        topic, kind, data = arguments
        return socket.publish(topic, **{kind: data if kind == "text" else data.encode()})
    if method == "pong_events":
        socket.pong_events = arguments[0]
        return socket.pong_events
    return getattr(socket, method)(*arguments)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        return
    socket = scope["extensions"]["fasterapi.websocket"]["socket"]
    await receive()
    await send({"type": "websocket.accept"})
    waiting: list[Any] = []
    while (event := await receive())["type"] != "websocket.disconnect":
        if event["type"] == "fasterapi.websocket.pong":
            await send({"type": "websocket.send", "bytes": event["bytes"]})
            continue
        method, *arguments = json.loads(event["text"])
        if method == "ping_later":
            waiting.append(socket.ping())
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
    try:
        socket.statistics()
    except OSError as error:
        print(f"statistics: {error}", flush=True)
