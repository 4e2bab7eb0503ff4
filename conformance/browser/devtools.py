"""Chromium, headless, driven from outside by its DevTools protocol: pages that know nothing of being tested.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from benchmarks.process import stop

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--window-size=1100,1020",
    # It reaches this machine and nobody else.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
START_LIMIT = 60.0
"""Seconds."""


def find(browser: str) -> str:
    program = shutil.which(browser)
    if program is None:
        raise SystemExit(f"there is no {browser!r} here; scripts/bootstrap browser installs Debian's")
    return program


class Page:
    """One tab. Its methods raise TimeoutError when the browser does not answer in ``patience`` seconds."""

    def __init__(self, connection: ClientConnection, patience: float) -> None:
        self._connection = connection
        self._patience = patience
        self._numbers = itertools.count(1)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.recv(self._patience))
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression, or of the promise that it is."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until the expression is true."""
        self.evaluate(
            "new Promise((done) => { const look = () => {"
            f" if ({condition}) done(true); else setTimeout(look, 20); }}; look(); }})"
        )

    def picture(self, path: Path) -> None:
        """The whole page, however high."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        answer = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip={**size, "scale": 1}
        )
        path.write_bytes(base64.b64decode(answer["data"]))


@contextlib.contextmanager
def chromium(browser: str, patience: float) -> Iterator[Page]:
    """A browser with one empty page."""
    # It still writes into its folders while it ends.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process = subprocess.Popen(
            [
                find(browser),
                *OPTIONS,
                "--remote-debugging-port=0",
                f"--user-data-dir={home}/data",
                "about:blank",
            ],
            env={**os.environ, "HOME": home},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            with connect(_first_page(process), proxy=None, max_size=None, ping_interval=None) as connection:
                yield Page(connection, patience)
        finally:
            stop(process)


def _first_page(process: subprocess.Popen[str]) -> str:
    for line in process.stderr:
        if line.startswith("DevTools listening on ws://"):
            address = line.split()[-1].split("/")[2]
            break
    else:
        raise SystemExit("the browser has not started")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{address}/json/list", timeout=START_LIMIT) as answer:
        pages = json.load(answer)
    url: str = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
    return url
