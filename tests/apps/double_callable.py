"""Applications of ASGI 2, in the three forms of one: called with the scope, and what that gives with receive and send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from support.probe import say

from apps.registry import Receive, Scope, Send, read_body, reply


class Application:
    """A class: each scope has its instance."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        version = self.scope["asgi"]["version"]
        if self.scope["type"] == "lifespan":
            while True:
                message = await receive()
                say(message["type"], version=version)
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        body = await read_body(receive)
        path, query = self.scope["path"], self.scope["query_string"].decode()
        await reply(send, f"{self.scope['type']} {path} {query} {len(body)} {version}")


class Router:
    """An object that finds the application for a scope."""

    def __call__(self, scope: Scope) -> Application:
        return Application(scope)


router = Router()


def function(scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
    async def serve(receive: Receive, send: Send) -> None:
        await Application(scope)(receive, send)

    return serve


class WithoutLifespan(Application):
    """Refuses every scope that it does not know, as ASGI 2 wants it."""

    def __init__(self, scope: Scope) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"not served: {scope['type']}")
        super().__init__(scope)
