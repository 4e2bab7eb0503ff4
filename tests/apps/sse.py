"""Handlers of event streams. ``/name`` is served as it is, ``/wrapped/name`` behind a middleware that
sees every message that is sent, as Starlette's do, ``/enclosed/name`` behind one that sees those received too."""

from __future__ import annotations

import asyncio
import enum
import math
import random
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from support import sse as shared
from support.probe import gate, say

from apps.registry import Message, Receive, Scope, Send, outcome
from fasterapi import SSE, SSEStream, sse_endpoint

GRACE = {"swallows_once": 0.2}
"""Seconds, for the one that waits until they are over; others have many, since the machine may be busy."""
HANDLERS: dict[str, Callable[[SSE], Awaitable[None]]] = {}


def handler(function: Callable[[SSE], Awaitable[None]]) -> Callable[[SSE], Awaitable[None]]:
    HANDLERS[function.__name__] = function  # type: ignore[attr-defined]
    return function


def tag(sse: SSE) -> str:
    return sse.query_params.get("tag", "")


async def attempt(awaitable: Awaitable[Any]) -> dict[str, Any] | None:
    try:
        await awaitable
    except Exception as error:
        return outcome(error)
    return None


@handler
async def random_events(sse: SSE) -> None:
    """The events of a seed."""
    for event in shared.random_events(**shared.arguments(sse)):
        await sse.send(**event)


@handler
async def sends(sse: SSE) -> None:
    """Each pair of a method's name and its arguments; says how the calls ended."""
    wanted = shared.arguments(sse)
    said = [await attempt(getattr(sse, name)(**given)) for name, given in wanted["calls"]]
    say("sent", wanted["tag"], outcomes=said, events=sse.events_sent, bytes=sse.bytes_sent)


@handler
async def values(sse: SSE) -> None:
    """JSON values of a seed, by send() and by send_json()."""
    source = random.Random(shared.arguments(sse)["seed"])
    for _ in range(50):
        await sse.send_json(shared.value(source))
    for _ in range(50):
        await sse.send({"value": shared.value(source)})


@handler
async def burst(sse: SSE) -> None:
    """A thousand sends at once."""
    await asyncio.gather(*(sse.send(str(number)) for number in range(1000)))


@handler
async def numbered(sse: SSE) -> None:
    """``count`` events, one after the other."""
    for number in range(shared.arguments(sse)["count"]):
        await sse.send(f"Event {number}", event_id=str(number))


@handler
async def one_by_one(sse: SSE) -> None:
    """Each event when the test has opened its gate."""
    await sse.start()
    for number in range(100):
        await gate(f"{tag(sse)}-{number}")
        await sse.send(str(number))


@handler
async def bad_values(sse: SSE) -> None:
    """What must be refused, each followed by a good event."""
    refused: list[Any] = [
        await attempt(sse.send("x", event="a\nb")),
        await attempt(sse.send("x", event="a\rb")),
        await attempt(sse.send("x", event_id="a\nb")),
        await attempt(sse.send("x", event_id="a\rb")),
        await attempt(sse.send("x", event_id="a\0b")),
        await attempt(sse.send("x", retry=-1)),
        await attempt(sse.send("x", retry=2**63)),
        await attempt(sse.send("\ud800")),
        await attempt(sse.send(b"bytes")),
        await attempt(sse.send(bytearray(b"bytes"))),
        await attempt(sse.send_text(b"bytes")),  # type: ignore[arg-type]
        await attempt(sse.send_text(None)),  # type: ignore[arg-type]
        await attempt(sse.send(object())),
        await attempt(sse.send_json({1, 2})),
        await attempt(sse.send("x", retry="5")),  # type: ignore[arg-type]
        await attempt(sse.send("x", event=["a"])),  # type: ignore[arg-type]
        await attempt(sse.send("x", event_id=["a"])),  # type: ignore[arg-type]
        await attempt(sse.send("x", event=5)),  # type: ignore[arg-type]
        await attempt(sse.send_comment(["a"])),  # type: ignore[arg-type]
    ]
    say("refused", tag(sse), outcomes=refused, events=sse.events_sent)
    await sse.send("still open")


class Kind(str, enum.Enum):
    PRICE = "price"


@handler
async def enumerations(sse: SSE) -> None:
    """Texts of a subclass of ``str`` that has its own idea of what it looks like."""
    await sse.send(Kind.PRICE, event=Kind.PRICE, event_id=Kind.PRICE)
    await sse.send_comment(Kind.PRICE)


@handler
async def bad_intervals(sse: SSE) -> None:
    refused = []
    for interval in (0, -1, math.nan, math.inf, 1e300):
        try:
            sse.set_keep_alive(interval)
        except ValueError as error:
            refused.append(str(error))
    say("refused", tag(sse), count=len(refused))
    await sse.send("end")


@handler
async def pings(sse: SSE) -> None:
    for _ in range(10):
        await sse.ping()
    await sse.send_comment("one\ntwo")
    await sse.send_comment("")
    await sse.send("end")


@handler
async def silent(sse: SSE) -> None:
    """An SSEStream in which nothing is sent until the test says so."""
    async with SSEStream(sse, keep_alive_interval=0.02) as same:
        say("started", tag(sse), same=same is sse)
        await gate(tag(sse))
        await sse.send("end")
    say("closed", tag(sse), open=sse.is_open)


@handler
async def silent_at_first(sse: SSE) -> None:
    """Nothing starts the response but the first ping."""
    sse.set_keep_alive(0.02)
    await gate(tag(sse))
    say("refused", tag(sse), outcome=await attempt(sse.refuse(403, "too late")))
    await sse.send("end")


@handler
async def refused_late(sse: SSE) -> None:
    """Refused before the first ping, while the answer is slow; a send meanwhile is too late."""
    sse.set_keep_alive(3600)
    await gate(tag(sse))
    late, _ = await asyncio.gather(attempt(sse.refuse(403, "no")), attempt(sse.send("too late")))
    say("refused", tag(sse), outcome=late)


@handler
async def kept_alive(sse: SSE) -> None:
    """The coroutine keep_alive(), beside a handler that is silent."""
    keeper = asyncio.ensure_future(sse.keep_alive(0.02))
    await gate(tag(sse))
    await sse.close()
    await keeper
    say("kept", tag(sse))


@handler
async def life(sse: SSE) -> None:
    """Twice of everything that may be done once, and what is refused after the close."""
    states = [sse.is_open]
    await sse.start()
    await sse.start()
    await sse.send("one")
    states.append(sse.is_open)
    await sse.close()
    await sse.close()
    states.append(sse.is_open)
    after = [
        await attempt(sse.send("late")),
        await attempt(sse.send_json({})),
        await attempt(sse.send_text("late")),
        await attempt(sse.send_comment("late")),
        await attempt(sse.ping()),
        await attempt(sse.start()),
        await attempt(sse.stop()),
    ]
    say("lived", tag(sse), states=states, after=after, left=sse.client_left, id=sse.connection_id)


@handler
async def body_fails(sse: SSE) -> None:
    """The body of an SSEStream fails, and so does its closing."""

    async def fails() -> None:
        raise RuntimeError("closing failed")

    sse.close = fails  # type: ignore[method-assign]
    try:
        async with SSEStream(sse):
            raise LookupError("the body failed")
    except LookupError as error:
        say("won", tag(sse), text=str(error))
    del sse.close  # type: ignore[method-assign]


@handler
async def nothing(sse: SSE) -> None:
    """Returns without an event."""


@handler
async def stopped(sse: SSE) -> None:
    await sse.stop()
    say("stopped", tag(sse), open=sse.is_open)


@handler
async def stopped_late(sse: SSE) -> None:
    await sse.start()
    say("refused", tag(sse), outcome=await attempt(sse.stop()))


@handler
async def fails_first(sse: SSE) -> None:
    raise LookupError("before the first event")


@handler
async def fails_later(sse: SSE) -> None:
    await sse.send("one")
    raise LookupError("after the first event")


@handler
async def request(sse: SSE) -> None:
    await sse.send_json([sse.last_event_id, dict(sse.query_params), sse.headers["x-test"], sse.path_params])


@handler
async def resumed(sse: SSE) -> None:
    """Three events after the client's last one, then the end; no more after the twelfth."""
    last = int(sse.last_event_id or 0)
    if last == 12:
        await sse.stop()
        return
    for number in range(last + 1, last + 4):
        await sse.send(str(number), event_id=str(number), retry=0)


@handler
async def binary(sse: SSE) -> None:
    """Bytes of a seed, as bytes, bytearray and memoryview; then text."""
    source = random.Random(shared.arguments(sse)["seed"])
    for kind in (bytes, bytearray, memoryview):
        await sse.send_binary(kind(source.randbytes(source.randrange(70_000))), event="blob", event_id="b")
    await sse.send_binary(b"")
    await sse.send("text")


@handler
async def accompanied(sse: SSE) -> None:
    """Says what runs beside a handler whose stream is kept alive."""
    async with SSEStream(sse, keep_alive_interval=0.02):
        await gate(tag(sse))
        say("beside", tag(sse), running=_running())


# --- Clients that leave --------------------------------------------------------------------------


@handler
async def sleeps(sse: SSE) -> None:
    await sse.send("hello")
    await asyncio.sleep(3600)


@handler
async def sleeps_before(sse: SSE) -> None:
    """Before the response has started."""
    say("hello", tag(sse))
    await asyncio.sleep(3600)


@handler
async def waits_on_queue(sse: SSE) -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()
    async with SSEStream(sse, keep_alive_interval=0.02):
        await sse.send("hello")
        try:
            await queue.get()
        finally:
            await asyncio.sleep(0.01)
            say("cleaned", tag(sse), after=await attempt(sse.send("late")))


@handler
async def keeps_sending(sse: SSE) -> None:
    """Waits in send(): the client does not read."""
    await sse.send("hello")
    while True:
        await sse.send("x" * 65536)


@handler
async def keep_sending(sse: SSE) -> None:
    """Several tasks that wait in send()."""
    await sse.send("hello")

    async def one() -> None:
        while True:
            await sse.send("x" * 65536)

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        group.start_soon(one)


@handler
async def swallows_once(sse: SSE) -> None:
    await sse.send("hello")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        say("swallowed", tag(sse))
    await asyncio.sleep(3600)


@handler
async def cancelled_by_others(sse: SSE) -> None:
    """The handler's own cancellation, while the client is there."""
    await sse.send("hello")
    task = asyncio.current_task()
    asyncio.get_running_loop().call_soon(task.cancel)
    await asyncio.sleep(3600)


@handler
async def cancelled_by_both(sse: SSE) -> None:
    """By its client's leaving, and then by somebody else."""
    await sse.send("hello")
    task = asyncio.current_task()
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.sleep(3600)


@handler
async def cleans_up(sse: SSE) -> None:
    """Cancelled by somebody else; the client leaves while it cleans up."""
    await sse.send("hello")
    task = asyncio.current_task()
    asyncio.get_running_loop().call_soon(task.cancel)
    try:
        await asyncio.sleep(3600)
    finally:
        say("cleaning", tag(sse))
        while not sse.client_left:  # noqa: ASYNC110 (nobody is told but the task)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        say("cleaned", tag(sse))


PATIENCE = {"patient": 60.0, "hurried": 0.05}


async def _route(scope: Scope, receive: Receive, send: Send) -> None:
    where, _, name = scope["path"].rpartition("/")
    grace = GRACE.get(name, 30.0)
    if where == "/enclosed":

        async def received() -> Message:
            return await receive()

        async def sent(message: Message) -> None:
            await send(message)

        await sse_endpoint(HANDLERS[name], grace=grace)(scope, received, sent)
        return
    if (patience := PATIENCE.get(where[1:])) is not None:
        await sse_endpoint(HANDLERS[name], shutdown_grace=patience)(scope, receive, send)
        return
    if where == "/late":
        told = scope["query_string"].decode().partition("tag=")[2]
        say("waits", told)
        await gate(told)
    if scope["path"].startswith("/wrapped/"):
        count = 0

        async def seen(message: Message) -> None:
            nonlocal count
            count += 1
            if count % 3 == 2:  # messages that were not kept in order would pass each other here
                await asyncio.sleep(0)
            await send(message)

        await sse_endpoint(HANDLERS[name], grace=grace)(scope, receive, seen)
        return
    await sse_endpoint(HANDLERS[name], grace=grace)(scope, receive, send)


def _running() -> set[str]:
    """Tasks of the package's."""
    names = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
    return {name for name in names if name.startswith("PlainEventStream.")}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Says how each call of the endpoint ended, and what it left running."""
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    told = dict(pair.split("=", 1) for pair in scope["query_string"].decode().split("&") if "=" in pair)
    task = asyncio.current_task()
    try:
        await _route(scope, receive, send)
    except BaseException as error:
        say("ended", told.get("tag", ""), outcome=outcome(error), running=_running())
        raise
    cancelling = getattr(task, "cancelling", lambda: 0)()
    say("ended", told.get("tag", ""), outcome=None, running=_running(), cancelling=cancelling)
