"""One application for each way a lifespan can go. All of them say what happens and answer every request."""

from __future__ import annotations

import asyncio
from typing import Any

from support.probe import gate, say

from apps.registry import App, Receive, Scope, Send, reply

LONG_STARTUP = 1.5


def answering(lifespan: App) -> App:
    """An application with this lifespan; ``/waits`` is answered when the gate ``answer`` opens."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(scope, receive, send)
            return
        say("request", path=scope["path"])
        if scope["path"] == "/waits":
            await gate("answer")
        await reply(send, "served")
        say("answered", path=scope["path"])

    return app


async def startup(receive: Receive, send: Send) -> None:
    message = await receive()
    say("startup", message=message)
    await send({"type": "lifespan.startup.complete"})
    say("startup-complete")


async def shutdown(receive: Receive, send: Send) -> None:
    message = await receive()
    say("shutdown", message=message)
    await send({"type": "lifespan.shutdown.complete"})


@answering
async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    values: dict[str, Any] = {key: value for key, value in scope.items() if key != "state"}
    say("scope", scope=values, is_dict=isinstance(scope, dict), state=scope.get("state"))
    await startup(receive, send)
    await shutdown(receive, send)


@answering
async def slow_startup(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    say("startup")
    await asyncio.sleep(LONG_STARTUP)
    say("startup-complete")
    await send({"type": "lifespan.startup.complete"})
    await shutdown(receive, send)


@answering
async def slow_shutdown(scope: Scope, receive: Receive, send: Send) -> None:
    await startup(receive, send)
    await receive()
    say("shutdown")
    await asyncio.sleep(1)
    say("shutdown-complete")
    await send({"type": "lifespan.shutdown.complete"})


@answering
async def raises_at_scope(scope: Scope, receive: Receive, send: Send) -> None:
    say("scope")
    raise RuntimeError("deliberate: no lifespan here")


@answering
async def raises_at_startup(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    say("startup", message=message)
    raise RuntimeError("deliberate: startup went wrong")


@answering
async def startup_failed(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "deliberate: the database is away"})


@answering
async def shutdown_failed(scope: Scope, receive: Receive, send: Send) -> None:
    await startup(receive, send)
    await receive()
    say("shutdown")
    await send({"type": "lifespan.shutdown.failed", "message": "deliberate: the cache did not flush"})


@answering
async def raises_at_shutdown(scope: Scope, receive: Receive, send: Send) -> None:
    await startup(receive, send)
    await receive()
    say("shutdown")
    raise RuntimeError("deliberate: shutdown went wrong")


@answering
async def returns_after_startup(scope: Scope, receive: Receive, send: Send) -> None:
    await startup(receive, send)


@answering
async def returns_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    say("scope")


@answering
async def hangs_at_shutdown(scope: Scope, receive: Receive, send: Send) -> None:
    await startup(receive, send)
    await receive()
    await asyncio.Event().wait()
