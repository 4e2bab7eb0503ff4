"""The raw ASGI applications of the WebSocket rows; as in apps.py, complete and correct, and nothing more."""

from typing import Any

from apps import PUSHED, Message, Receive, Scope, Send, hello


def _sent_back(message: Message) -> Message:
    """The message to send that has the data of a received one; what a message lacks may be absent or None."""
    if message.get("text") is not None:
        return {"type": "websocket.send", "text": message["text"]}
    return {"type": "websocket.send", "bytes": message["bytes"]}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Each message comes back."""
    if scope["type"] != "websocket":
        await hello(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send(_sent_back(message))


async def push(scope: Scope, receive: Receive, send: Send) -> None:
    """Each message comes back 10,000 times, by a send() each."""
    if scope["type"] != "websocket":
        await hello(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        for _ in range(PUSHED):
            await send(_sent_back(message))


class FanOut:
    """Each message goes to every connection: by a topic where the server has some, else by a send() each."""

    def __init__(self) -> None:
        self.receivers: set[Send] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await hello(scope, receive, send)
            return
        await receive()
        if extension := scope.get("extensions", {}).get("fasterapi.websocket"):
            await self._by_topic(extension["socket"], receive, send)
            return
        self.receivers.add(send)
        try:
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                for each in list(self.receivers):
                    await each(_sent_back(message))
        finally:
            self.receivers.discard(send)

    async def _by_topic(self, socket: Any, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        socket.subscribe("all")
        while (message := await receive())["type"] == "websocket.receive":
            socket.publish("all", text=message.get("text"), bytes=message.get("bytes"))


fanout = FanOut()
