"""One application for most tests: ``/<scenario>/<argument>?<tag>``."""

from __future__ import annotations

import asyncio

from apps import bodies, disconnects, generic, streams, websockets  # noqa: F401 (they register their scenarios)
from apps.generic import LIFESPAN
from apps.registry import SCENARIOS, App, Receive, Scope, Send, reply

CALLS = 0


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    global CALLS
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    CALLS += 1
    name = scope["path"].split("/")[1]
    if name == "calls":
        await reply(send, str(CALLS))
    elif name in SCENARIOS:
        await SCENARIOS[name](scope, receive, send)
    else:
        await reply(send, f"no scenario {name!r}", 404)


def factory() -> App:
    return app


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    LIFESPAN["scope"] = {key: value for key, value in scope.items() if key != "state"}
    LIFESPAN["loop"] = id(asyncio.get_running_loop())
    LIFESPAN["state_given"] = type(scope.get("state")).__name__, dict(scope.get("state", {}))
    LIFESPAN["startup"] = await receive()
    if "state" in scope:
        scope["state"]["number"] = 42
        scope["state"]["shared"] = []
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
