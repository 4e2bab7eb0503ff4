"""Echoes the scope of every request, whatever its path. ``/hello`` greets."""

from __future__ import annotations

from apps.registry import SCENARIOS, Receive, Scope, Send
from apps.scenarios import lifespan


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    elif scope["path"] == "/hello":
        await SCENARIOS["hello"](scope, receive, send)
    else:
        await SCENARIOS["echo"](scope, receive, send)
