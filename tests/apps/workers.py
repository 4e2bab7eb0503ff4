"""An application of several worker processes: it tells its process, and fails where a file says so.

The folder in WORKERS_FOLDER holds at most one of ``broken`` (its import raises) and ``crash`` (its import
kills the process).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from support.probe import block, gate, say

from apps.registry import Receive, Scope, Send, reply

folder = Path(os.environ.get("WORKERS_FOLDER", "/nonexistent"))
if (folder / "broken").exists():
    raise RuntimeError("deliberate: this version of the application does not work")
if (folder / "crash").exists():
    os.kill(os.getpid(), signal.SIGKILL)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            say(phase)
            await send({"type": f"lifespan.{phase}.complete"})
        return
    if scope["path"] == "/waits":
        say("waits")
        await gate("answer")
    elif scope["path"] == "/blocks":
        say("blocks")
        block("answer")
    await reply(send, str(os.getpid()))
