"""Scenarios about the request's body."""

from __future__ import annotations

import hashlib

from support.probe import gate, say

from apps.registry import Receive, Scope, Send, read_body, reply, scenario, tag_of


@scenario
async def events(scope: Scope, receive: Receive, send: Send) -> None:
    """Says every event, whole; answers with what it received."""
    tag = tag_of(scope)
    received = []
    while True:
        message = await receive()
        say("received", tag, message=message)
        received.append(message)
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    await reply(send, b"".join(message.get("body", b"") for message in received))


@scenario
async def digest(scope: Scope, receive: Receive, send: Send) -> None:
    """Size and SHA-256 of the body, the events' more_body flags, and the longest event."""
    hashed = hashlib.sha256()
    size, longest, flags = 0, 0, []
    while True:
        message = await receive()
        hashed.update(message.get("body", b""))
        size += len(message.get("body", b""))
        longest = max(longest, len(message.get("body", b"")))
        flags.append(message.get("more_body", False))
        if message["type"] != "http.request" or not flags[-1]:
            break
    await reply(send, repr({"size": size, "sha256": hashed.hexdigest(), "flags": flags, "longest": longest}))


@scenario
async def echo_body(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, await read_body(receive))


@scenario
async def ignores_body(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers at once without reading."""
    say("called", tag_of(scope))
    await reply(send, "not read")


@scenario
async def never_reads(scope: Scope, receive: Receive, send: Send) -> None:
    """Does not receive until the gate ``<tag>.go`` opens; then answers without reading."""
    say("called", tag_of(scope))
    await gate(tag_of(scope) + ".go")
    await reply(send, "never read")


@scenario
async def reads_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Does not receive until the gate ``<tag>.go`` opens; then reads all."""
    say("called", tag_of(scope))
    await gate(tag_of(scope) + ".go")
    await reply(send, str(len(await read_body(receive))))


@scenario
async def reads_first_event(scope: Scope, receive: Receive, send: Send) -> None:
    """Receives one event and answers."""
    message = await receive()
    say("received", tag_of(scope), message=message)
    await reply(send, "first event")


@scenario
async def relay(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends each part of the body back as it comes, without a Content-Length."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})
