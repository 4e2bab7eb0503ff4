"""Applications that do what no application should: none of it may harm the server."""

from __future__ import annotations

import asyncio
import enum
import threading
from typing import Any

from apps.registry import Receive, Scope, Send

START = {"type": "http.response.start", "status": 200, "headers": []}


async def steps_itself(receive: Receive, send: Send) -> None:
    """Steps its own coroutine from inside."""
    task = asyncio.current_task()
    said = []
    for step in (lambda coroutine: coroutine.send(None), lambda coroutine: coroutine.throw(KeyError())):
        try:
            step(task.get_coro())
        except ValueError as error:
            said.append(str(error))
    await send(START)
    await send({"type": "http.response.body", "body": "|".join(said).encode()})


async def changes_headers(receive: Receive, send: Send) -> None:
    """The list of headers is emptied by one of its own items while it is read."""
    headers: list[Any] = [(b"x-%d" % number, b"v" * 100) for number in range(50)]

    class Evil:
        def __iter__(self) -> Any:
            headers.clear()
            return iter((b"x-evil", b"1"))

    headers.append(Evil())
    await send({**START, "headers": headers})
    await send({"type": "http.response.body", "body": b"changed"})


async def dying_body(receive: Receive, send: Send) -> None:
    """A body whose end sends more."""

    class Body(bytes):
        def __del__(self) -> None:
            send({"type": "http.response.body", "body": b"z" * 20_000, "more_body": True})

    await send(START)
    for _ in range(10):
        await send({"type": "http.response.body", "body": Body(b"y" * 50_000), "more_body": True})
    await send({"type": "http.response.body", "body": b"end"})


async def endless(receive: Receive, send: Send) -> None:
    """Never waits for anything but send()."""
    await send(START)
    while True:
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})


KEPT: dict[str, Any] = {}


async def keeps_send(receive: Receive, send: Send) -> None:
    """Leaves its send() to another request, which answers for it."""
    KEPT["send"], KEPT["answered"] = send, asyncio.Event()
    await KEPT["answered"].wait()
    await send({"type": "http.response.body", "body": b"kept"})


async def answers_another(receive: Receive, send: Send) -> None:
    """One of its headers starts the other's answer while it is read."""

    class Evil:
        def __iter__(self) -> Any:
            KEPT["send"]({**START, "headers": [(b"x-other", b"1"), (b"content-length", b"4")]})
            KEPT["answered"].set()
            return iter((b"x-evil", b"1"))

    headers = [(b"x-first", b"1"), Evil(), (b"content-length", b"5")]
    await send({**START, "headers": headers})
    await send({"type": "http.response.body", "body": b"other"})


async def drops_a_header(receive: Receive, send: Send) -> None:
    """A header's value that empties its pair while it is copied (PEP 688, from Python 3.12)."""

    class Evil(bytearray):
        def __buffer__(self, flags: int) -> memoryview:
            pair.clear()
            return memoryview(b"x-evil")

    pair: list[Any] = [Evil(b"x-evil"), b"A" * 40]
    await send({**START, "headers": [pair]})
    await send({"type": "http.response.body", "body": b"dropped"})


async def names_types_by_enum(receive: Receive, send: Send) -> None:
    """Message types that are of a subclass of str."""

    class Type(str, enum.Enum):
        START = "http.response.start"
        BODY = "http.response.body"

    await send({**START, "type": Type.START})
    await send({"type": Type.BODY, "body": b"named"})


async def answers_from_a_thread(receive: Receive, send: Send) -> None:
    """Steps send() where no loop runs, which ASGI does not foresee, and says nothing to the loop."""

    def answer() -> None:
        for message in (START, {"type": "http.response.body", "body": b"threaded"}):
            try:
                send(message).send(None)
            except StopIteration:
                pass

    await receive()
    threading.Timer(0.05, answer).start()
    await receive()


async def endless_without_a_body(receive: Receive, send: Send) -> None:
    """For HEAD: nothing of this is ever sent."""
    await endless(receive, send)


async def gives_up(receive: Receive, send: Send) -> None:
    """Long polling whose client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Emptying:
    """An item of a message that empties the message when it is read."""

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}

    def __iter__(self) -> Any:
        self.message.clear()
        return iter((b"name", b"value"))

    def __bool__(self) -> bool:
        self.message.clear()
        return True


async def empties_its_message(receive: Receive, send: Send) -> None:
    """Messages that come at the wrong time, and hold their types alone."""
    await receive()
    for state, kind, key in (
        ("connecting", "send", "compress"),
        ("connecting", "http.response.body", "more_body"),
        ("open", "accept", "headers"),
        ("open", "http.response.start", "headers"),
    ):
        if (state, kind) == ("open", "accept"):
            await send({"type": "websocket.accept"})
        item = Emptying()
        item.message |= {"type": "".join(["websocket", ".", kind]), "status": 200, "text": "x", "body": b"x"}
        item.message[key] = [item] if key == "headers" else item
        try:
            await send(item.message)
        except RuntimeError as error:
            said = str(error).partition(":")[0]
            KEPT.setdefault("said", []).append(said)
    await send({"type": "websocket.send", "text": "|".join(KEPT.pop("said"))})


PATHS = {
    f"/{application.__name__}": application
    for application in (
        steps_itself,
        changes_headers,
        dying_body,
        endless,
        keeps_send,
        answers_another,
        answers_from_a_thread,
        drops_a_header,
        endless_without_a_body,
        names_types_by_enum,
        gives_up,
    )
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await empties_its_message(receive, send)
        return
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    if scope["path"] in PATHS:
        await PATHS[scope["path"]](receive, send)
    else:
        await send(START)
        await send({"type": "http.response.body", "body": b"served"})
