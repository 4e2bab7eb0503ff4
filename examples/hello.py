"""A page that shows what served it, lists the other examples, and has the demos of WebSockets and events below it.

Plain ASGI, no framework; the demos are there if Starlette is.

    fasterapi run examples/hello.py
"""

from __future__ import annotations

import ast
import asyncio
import html
import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HERE = Path(__file__).resolve().parent
DEMOS = ("websocket_demo", "sse_demo")


def load_demos() -> dict[str, Any]:
    """The demos' applications by their paths; none without Starlette."""
    sys.path.append(str(HERE))
    try:
        return {f"/{name}": import_module(name).app for name in DEMOS}
    except ImportError:
        return {}


demos = load_demos()


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    prefix = "/" + scope["path"].split("/")[1]
    if scope["path"] in demos and scope["type"] == "http":
        await answer(
            send, 307, b"text/plain; charset=utf-8", b"", [(b"location", prefix[1:].encode() + b"/")]
        )
    elif prefix in demos:
        scope["root_path"] = scope.get("root_path", "") + prefix
        await demos[prefix](scope, receive, send)
    elif scope["type"] == "http":
        await respond(scope, send)


async def lifespan(receive: Receive, send: Send) -> None:
    async with AsyncExitStack() as stack:
        await receive()
        for demo in demos.values():
            await stack.enter_async_context(demo.router.lifespan_context(demo))
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def respond(scope: Message, send: Send) -> None:
    if scope["path"] == "/":
        await answer(send, 200, b"text/html; charset=utf-8", page(scope).encode())
    elif scope["path"] == "/facts.json":
        await answer(send, 200, b"application/json", json.dumps(facts(scope), indent=2).encode())
    else:
        there = ", ".join(["/", "/facts.json", *(f"{demo}/" for demo in demos)])
        await answer(send, 404, b"text/plain; charset=utf-8", f"Here are {there}\n".encode())


async def answer(
    send: Send, status: int, kind: bytes, body: bytes, more: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    headers = [
        *more,
        (b"content-type", kind),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def facts(scope: Message) -> dict[str, str]:
    """What an application can know of who serves it."""
    loop = type(asyncio.get_running_loop())
    host, port = scope.get("server") or ("", None)
    client = scope.get("client") or ("a Unix socket", None)
    return {
        "Event loop": f"{loop.__module__}.{loop.__qualname__}",
        "Python": f"{platform.python_version()} ({platform.python_implementation()}, {sys.platform})",
        "HTTP version": scope["http_version"],
        "ASGI": f"{scope['asgi']['version']}, HTTP specification {scope['asgi'].get('spec_version', '2.0')}",
        "Listening on": f"{host}:{port}" if port is not None else str(host),
        "Your address": f"{client[0]}:{client[1]}" if client[1] is not None else client[0],
        "Process": str(os.getpid()),
    }


def examples() -> list[tuple[str, str, str]]:
    """File, title and command of each other example, from its docstring."""
    found = []
    for file in sorted(HERE.glob("*.py")):
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        command = next((line.strip() for line in text.splitlines() if line.startswith("    ")), "")
        if command and file.name != Path(__file__).name:
            found.append((file.name, text.partition("\n")[0], command))
    return found


def port_of(command: str) -> str:
    words = command.split()
    return words[words.index("--port") + 1] if "--port" in words else "8000"


def link(name: str, command: str) -> str:
    """A demo is below this page; the script corrects the host of the others."""
    path = f"/{name.removesuffix('.py')}"
    if path in demos:
        return f'href="{path}/"'
    return f'data-port="{port_of(command)}" href="http://127.0.0.1:{port_of(command)}/"'


def page(scope: Message) -> str:
    rows = "\n".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in facts(scope).items()
    )
    cards = "\n".join(
        f'<a class="card" {link(name, command)}>'
        f"<strong>{html.escape(name)}</strong><span>{html.escape(title)}</span>"
        f"<code>{html.escape(command)}</code></a>"
        for name, title, command in examples()
    )
    return PAGE.replace("{rows}", rows).replace("{cards}", cards)


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fasterapi</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --text: #1b1f24; --dim: #667080;
          --line: #e2e6eb; --mark: #0b7a75; }
  @media (prefers-color-scheme: dark) {
    :root { --back: #12151a; --card: #1b2027; --text: #e6e9ee; --dim: #98a2b0; --line: #2b323c; --mark: #45c4bc; }
  }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.55 system-ui, sans-serif; }
  main { max-width: 46rem; margin: 0 auto; padding: 4rem 1.25rem; }
  h1 { margin: 0; font-size: 2.6rem; letter-spacing: -.03em; }
  h1 b { color: var(--mark); font-weight: inherit; }
  h2 { margin: 2.5rem 0 .75rem; font-size: .85rem; color: var(--dim); font-weight: 600;
       text-transform: uppercase; letter-spacing: .08em; }
  p { margin: .4rem 0 0; color: var(--dim); }
  table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line);
          border-radius: .6rem; overflow: hidden; }
  th, td { padding: .6rem 1rem; text-align: left; border-top: 1px solid var(--line); }
  tr:first-child > * { border-top: 0; }
  th { width: 11rem; color: var(--dim); font-weight: 500; }
  td, code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
  .card { display: block; margin: 0 0 .75rem; padding: 1rem; color: inherit; text-decoration: none;
          background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
  .card:hover { border-color: var(--mark); }
  .card span { display: block; color: var(--dim); }
  .card code { display: block; margin-top: .6rem; padding: .45rem .7rem; background: var(--back);
               border-radius: .35rem; }
</style>
</head>
<body>
<main>
  <h1>Hello from <b>fasterapi</b></h1>
  <p>This page is plain ASGI. Reload it, or ask for <a href="/facts.json"><code>/facts.json</code></a>.</p>

  <h2>What served it</h2>
  <table>
    <tr><th>Server header</th><td id="server">…</td></tr>
    {rows}
  </table>

  <h2>Other examples</h2>
  {cards}
  <p>The demos are served here too. Start another one with its command, then follow its link. In a checkout,
  <code>. .venv/bin/activate</code> comes first.</p>
</main>
<script>
  // Only the client sees the header that the server puts before the application's own.
  fetch("/facts.json").then((response) => {
    document.getElementById("server").textContent = response.headers.get("server") || "none (--no-server-header)";
  });
  for (const card of document.querySelectorAll(".card[data-port]")) {
    card.href = `${location.protocol}//${location.hostname}:${card.dataset.port}/`;
  }
</script>
</body>
</html>
"""
