"""Scenarios that suit many tests: echo a scope, follow a script, report on the surroundings."""

from __future__ import annotations

import ast
import asyncio
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from support.probe import gate, say

from apps.registry import Receive, Scope, Send, argument, header, outcome, read_body, reply, scenario, tag_of

LIFESPAN: dict[str, Any] = {}


@scenario
async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The scope, as a Python literal; its method in a header too, for HEAD."""
    await reply(send, repr(readable(scope)), headers=[(b"x-method", scope["method"].encode())])


@scenario
async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Greets; with a tag it tells the test too, which then has everything that was said before."""
    if scope["query_string"]:
        say("hello", tag_of(scope))
    await reply(send, "Hello, World!", headers=[(b"content-type", b"text/plain")])


@scenario
async def script(scope: Scope, receive: Receive, send: Send) -> None:
    """Does the steps in the header ``x-script`` and says how each ended.

    A dict is sent. "receive" receives once, "read" the whole body; "raise" raises; "strict" lets what
    send() raises pass through to the server from then on; "gate:x" waits for the test; "say:x" tells it.
    """
    tag = tag_of(scope)
    say("called", tag)
    outcomes: list[Any] = []
    strict = False
    for step in ast.literal_eval(unquote(header(scope, b"x-script").decode())):
        if step == "strict":
            strict = True
        elif step == "raise":
            raise RuntimeError(f"deliberate {tag}")
        elif step == "read":
            outcomes.append(await read_body(receive))
        elif step == "receive":
            outcomes.append(readable(await receive()))
        elif isinstance(step, str):
            verb, _, name = step.partition(":")
            if verb == "gate":
                await gate(f"{tag}.{name}")
            else:
                say(name, tag)
        else:
            try:
                await send(step)
                outcomes.append(None)
            except Exception as error:
                outcomes.append(outcome(error))
                if strict:
                    say("raising", tag, outcome=outcome(error))
                    raise
    say("script", tag, outcomes=outcomes)


@scenario
async def surroundings(scope: Scope, receive: Receive, send: Send) -> None:
    """Where and how the application runs."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    before = loop.time()
    await asyncio.sleep(0.01)
    report = {
        "loop": id(loop),
        "lifespan_loop": LIFESPAN.get("loop"),
        "main_thread": threading.current_thread() is threading.main_thread(),
        "task": isinstance(task, asyncio.Task) and task in asyncio.all_tasks(),
        "slept": loop.time() - before >= 0.009,
        "lifespan": LIFESPAN,
    }
    await reply(send, repr(report))


@scenario
async def arguments(*given: Any, **named: Any) -> None:
    """What the application was called with."""
    scope, receive, send = given
    report = {
        "count": len(given),
        "named": sorted(named),
        "scope_is_dict": isinstance(scope, dict),
        "types": value_types(scope, "scope"),
        "asgi_is_dict": isinstance(scope["asgi"], dict),
        "receive": value_types(await receive(), "event"),
    }
    await reply(send, repr(report))


def readable(value: Any) -> Any:
    """The same as literals, whatever types the server chose; without the application's own state."""
    if isinstance(value, Mapping):
        return {key: readable(item) for key, item in value.items() if key != "state"}
    if isinstance(value, (list, tuple)):
        return type(value)(readable(item) for item in value)
    if isinstance(value, int) and type(value) is not bool:
        return int(value)
    return value if isinstance(value, PLAIN) else repr(value)


PLAIN = (bytes, str, int, float, bool, type(None))


def value_types(value: Any, place: str) -> list[str]:
    """The places in ``value`` that hold what ASGI does not allow in a scope or an event."""
    if type(value) in PLAIN:
        return []
    if type(value) is dict:
        wrong = [f"{place}: key {key!r}" for key in value if type(key) is not str]
        for key, item in value.items():
            if (place, key) != ("scope", "state"):
                wrong += value_types(item, f"{place}[{key!r}]")
        return wrong
    if type(value) in (list, tuple):
        return [wrong for at, item in enumerate(value) for wrong in value_types(item, f"{place}[{at}]")]
    return [f"{place}: {type(value)}"]


@scenario
async def mutate(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what an earlier request left in the scope, then leaves as much as it can."""
    found = {
        "key": scope.get("left"),
        "path": scope["path"],
        "asgi": scope["asgi"].get("left"),
        "extensions": scope.get("extensions", {}).get("left"),
        "state": scope.get("state", {}).get("left"),
        "headers": [value for key, value in scope["headers"] if key == b"left"],
    }
    for place in (scope, scope["asgi"], scope.get("extensions", {}), scope.get("state", {})):
        try:
            place["left"] = {"by": "an earlier request"}
        except TypeError:
            pass  # it cannot be changed, which is as good
    if isinstance(scope["headers"], list):
        scope["headers"].append((b"left", b"by an earlier request"))
    scope["path"] = "/changed"
    await reply(send, repr(found))


@scenario
async def state(scope: Scope, receive: Receive, send: Send) -> None:
    """The lifespan's state as this request sees it; its list is shared, its keys are not."""
    await reply(send, repr(state_seen(scope["state"])))


def state_seen(state: dict[str, Any]) -> dict[str, Any]:
    """What a scope's ``state`` holds; it is changed afterwards."""
    seen = {"number": state["number"], "keys": sorted(state), "type": type(state).__name__}
    state["shared"].append(len(state["shared"]))
    seen["length"] = len(state["shared"])
    state["own"] = state["number"] = "changed"
    return seen


@scenario
async def waits(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers when the test opens the gate ``<tag>.go``."""
    say("called", tag_of(scope))
    await gate(tag_of(scope) + ".go")
    await reply(send, "waited")


@scenario
async def iterables(scope: Scope, receive: Receive, send: Send) -> None:
    """Response headers in every form that counts as an iterable of two-item iterables."""
    pairs = [(b"x-first", b"1"), (b"x-second", b"2"), (b"content-length", b"2")]
    form = scope["path"].rpartition("/")[2]
    headers: Any = {
        "tuple-of-lists": tuple([name, value] for name, value in pairs),
        "list-of-tuples": pairs,
        "list-of-lists": [[name, value] for name, value in pairs],
        "generator": ((name, value) for name, value in pairs),
        "generator-of-iterators": (iter(pair) for pair in pairs),
        "dict-items": dict(pairs).items(),
    }[form]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@scenario
async def cancelled_receive(scope: Scope, receive: Receive, send: Send) -> None:
    """Gives up waiting for the body, several times, then reads it."""
    given_up = 0
    for _ in range(3):
        try:
            await asyncio.wait_for(receive(), 0.02)
        except asyncio.TimeoutError:
            given_up += 1
    say("gave_up", tag_of(scope), times=given_up)
    await reply(send, await read_body(receive))


@scenario
async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    """Raises what the path names; not all of it is an ``Exception``."""
    kinds = {
        "SystemExit": SystemExit,
        "KeyboardInterrupt": KeyboardInterrupt,
        "BaseException": BaseException,
        "CancelledError": asyncio.CancelledError,
        "StopIteration": StopIteration,
        "ValueError": ValueError,
    }
    raise kinds[argument(scope)]("deliberate")
