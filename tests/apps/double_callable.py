"""An application of ASGI 2: called with the scope, its instance with receive and send."""

from __future__ import annotations

from apps.registry import Receive, Scope, Send, reply


class Application:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        if self.scope["type"] != "http":
            raise RuntimeError(f"not served: {self.scope['type']}")
        await receive()
        await reply(send, f"{self.scope['type']} {self.scope['path']} {self.scope['query_string'].decode()}")
