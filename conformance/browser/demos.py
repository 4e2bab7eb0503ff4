"""Chromium, headless, uses the pages of ``examples/websocket_demo.py`` and ``examples/sse_demo.py`` as somebody would: buttons, logs, plots.

Prints a line for each check and leaves pictures of the pages in ``build/conformance/browser``. The exit code is 1 if a check failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import httpx  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402
from support.server import DEFAULT_COMMAND, ServerProcess  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from conformance.browser.checks import Checks, add_arguments  # noqa: E402
from conformance.browser.devtools import Page, chromium  # noqa: E402

PICTURES = ROOT / "build" / "conformance" / "browser"
DRAWN = 200
"""Pixels of a canvas that count as a plot; its frame and grid alone have fewer in colour."""


def main() -> int:
    options = arguments()
    options.pictures.mkdir(parents=True, exist_ok=True)
    run = Run(options)
    run.websockets()
    run.events()
    print(f"pictures in {options.pictures}")
    return run.checks.report()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.browser.demos", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--server-command", default=DEFAULT_COMMAND, help="(default: %(default)s)")
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="(default: %(default)s)")
    return parser.parse_args()


class Panel:
    """One of a page's panels."""

    def __init__(self, page: Page, name: str) -> None:
        self._page = page
        self._element = f"document.getElementById('{name}')"

    def click(self, action: str) -> None:
        self._page.evaluate(f"{self._element}.querySelector('[data-action={action}]').click()")

    def tick(self, *values: str) -> None:
        """Its checkboxes of these values, or takes the ticks away."""
        for value in values:
            self._page.evaluate(f"{self._element}.querySelector('[value={value}]').click()")

    def wait(self, condition: str) -> None:
        """A condition of ``it``, the panel's data: its state and its counters."""
        self._page.wait(f"(it => {condition})({self._element}.dataset)")

    def count(self, name: str) -> int:
        return int(self._page.evaluate(f"{self._element}.dataset.{name}"))

    def wait_for_more(self, name: str, amount: int) -> None:
        self.wait(f"it.{name} >= {self.count(name) + amount}")

    def drawn(self) -> bool:
        """Whether each canvas has a line on it: pixels with a colour, not the grey of the grid."""
        pixels: list[int] = self._page.evaluate(
            f"[...{self._element}.querySelectorAll('canvas')].map((canvas) => {{"
            " const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);"
            " let count = 0; for (let at = 0; at < data.length; at += 4)"
            " if (data[at + 3] > 60 && Math.abs(data[at] - data[at + 2]) > 30) ++count; return count; })"
        )
        return min(pixels) > DRAWN

    def log(self) -> str:
        text: str = self._page.evaluate(f"{self._element}.querySelector('.log').innerText")
        return text


class Run:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.checks = Checks()

    def serve(self, example: str, port: int = 0, **env: str) -> ServerProcess:
        server = ServerProcess(
            self._options.server_command, str(ROOT / "examples" / example), ("--port", str(port)), env
        )
        server.wait_until_running()
        return server

    def picture(self, page: Page, name: str) -> None:
        page.evaluate("scrollTo(0, 0)")
        page.picture(self._options.pictures / f"{name}.png")

    # --- WebSockets --------------------------------------------------------------------------

    def websockets(self) -> None:
        server = self.serve("websocket_demo.py", DEMO_BROADCAST="memory://")
        try:
            with chromium(self._options.browser, self._options.patience) as page:
                page.open(f"http://127.0.0.1:{server.address[1]}/")
                self.checks.run("echo: text, bytes and a hundred messages come back", lambda: self.echo(page))
                self.checks.run(
                    "chat: another client's words arrive, and the page's there",
                    lambda: self.chat(page, server),
                )
                self.checks.run(
                    "stream: a thousand messages of three kinds, counted", lambda: self.stream(page)
                )
                self.checks.run("benchmark: ten thousand messages", lambda: self.benchmark(page))
                self.checks.run(
                    "the four plots are drawn", lambda: plots(page, "echo", "chat", "stream", "benchmark")
                )
                self.picture(page, "websocket_demo")
                self.checks.run("disconnected, and connected again", lambda: self.again(page))
                server.kill()
                self.checks.run("the page sees that the server has gone", lambda: self.gone(page))
        finally:
            server.kill()

    @staticmethod
    def echo(page: Page) -> bool:
        panel = Panel(page, "echo")
        panel.click("connect")
        panel.wait("it.state === 'open' && it.received === '1'")
        panel.click("text")
        panel.click("binary")
        panel.click("many")
        panel.wait("it.received === '103' && it.sent === '102'")
        text = panel.log()
        return (
            "Echo: Hello, WebSocket!" in text
            and "22 bytes: 69 99 104 111 58 32" in text
            and "Echo: message 100" in text
        )

    @staticmethod
    def chat(page: Page, server: ServerProcess) -> bool:
        panel = Panel(page, "chat")
        panel.click("connect")
        panel.wait("it.state === 'open' && it.name")
        with connect(f"ws://127.0.0.1:{server.address[1]}/ws/chat", proxy=None) as other:
            name = json.loads(other.recv(20))["username"]
            other.recv(20)
            other.send("hello from a shell")
            panel.wait("it.received === '4'")
            panel.click("text")
            heard = [json.loads(other.recv(20)) for _ in range(2)]
        panel.wait("it.received === '6'")
        said = panel.log()
        return (
            f"{name}: hello from a shell" in said
            and f"{name}: left" in said
            and heard[1]["text"] == "Hello, everybody!"
        )

    @staticmethod
    def stream(page: Page) -> bool:
        panel = Panel(page, "stream")
        panel.click("connect")
        panel.wait("Number(it.text) + Number(it.json) + Number(it.binary) === 1000 && it.state === 'closed'")
        return '"messages_sent":1000' in panel.log()

    @staticmethod
    def benchmark(page: Page) -> bool:
        panel = Panel(page, "benchmark")
        for run in (1, 2, 3):
            panel.click("connect")
            panel.wait(f"it.received === '10000' && it.runs === '{run}' && it.state === 'closed'")
        return "benchmark_complete" in panel.log()

    @staticmethod
    def again(page: Page) -> bool:
        panel = Panel(page, "echo")
        panel.click("disconnect")
        panel.wait("it.state === 'closed'")
        panel.click("text")
        panel.click("connect")
        panel.wait("it.state === 'open' && it.received === '104'")
        panel.click("text")
        panel.wait("it.received === '105' && it.sent === '103'")
        return "closed: 1000" in panel.log() and "not connected" in panel.log()

    @staticmethod
    def gone(page: Page) -> bool:
        panel = Panel(page, "echo")
        panel.wait("it.state === 'closed'")
        return "closed: 1006" in panel.log()

    # --- Events ------------------------------------------------------------------------------

    def events(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            redis = RedisServer(Path(directory))
            redis.start()
            try:
                self.events_with(redis)
            finally:
                redis.stop()

    def events_with(self, redis: RedisServer) -> None:
        servers = [self.serve("sse_demo.py", DEMO_HISTORY=redis.url)]
        port = int(servers[0].address[1])
        try:
            with chromium(self._options.browser, self._options.patience) as page:
                page.open(f"http://127.0.0.1:{port}/")
                self.checks.run("each stream's events arrive", lambda: self.each_stream(page))
                self.checks.run(
                    "channels are added and dropped over one connection", lambda: self.channels(page)
                )
                self.checks.run(
                    "all plots are drawn, one from binary events",
                    lambda: plots(page, "time", "metrics", "stocks", "logs", "channels"),
                )
                self.checks.run("what the page posts comes back as an event", lambda: self.by_hand(page))
                self.picture(page, "sse_demo")
                self.checks.run("a channel of binary events is dropped", lambda: self.drop_waves(page))
                self.checks.run(
                    "disconnected, nothing comes; connected again, it does", lambda: self.leave(page)
                )

                def restart() -> bool:
                    # Another one goes on writing the log meanwhile.
                    servers.insert(0, self.serve("sse_demo.py", DEMO_HISTORY=redis.url))
                    servers[-1].kill()
                    ids_since(servers[0].address[1], "0-0", len(page.evaluate("logIds")) + 20)
                    servers.append(self.serve("sse_demo.py", port, DEMO_HISTORY=redis.url))
                    return self.reconnected(page, port)

                self.checks.run("the server is restarted, and no event of the log is missing", restart)
                self.checks.run("nor has a channel come or gone", lambda: self.channels_kept(page))
        finally:
            for server in servers:
                server.kill()

    @staticmethod
    def each_stream(page: Page) -> bool:
        for name in ("time", "metrics", "stocks", "logs"):
            Panel(page, name).click("connect")
        for name, events in (("time", 8), ("metrics", 8), ("stocks", 40), ("logs", 20)):
            Panel(page, name).wait(f"it.state === 'open' && it.events >= {events}")
        return "AAPL" in Panel(page, "stocks").log() or "TSLA" in Panel(page, "stocks").log()

    @staticmethod
    def channels(page: Page) -> bool:
        panel = Panel(page, "channels")
        panel.click("connect")
        panel.wait("it.channels === 'AAPL MSFT wave' && it.bytes >= 512 * 10")
        panel.tick("AAPL", "MSFT", "TSLA", "GOOG")
        panel.wait("it.channels === 'wave TSLA GOOG'")
        panel.wait_for_more("bytes", 512 * 30)
        return symbols(panel, "channels: wave TSLA GOOG") <= {"TSLA", "GOOG"}

    @staticmethod
    def drop_waves(page: Page) -> bool:
        panel = Panel(page, "channels")
        panel.tick("wave")
        panel.wait("it.channels === 'TSLA GOOG'")
        before = panel.count("bytes")
        panel.wait_for_more("events", 3)
        return panel.count("bytes") == before

    @staticmethod
    def channels_kept(page: Page) -> bool:
        panel = Panel(page, "channels")
        panel.wait("it.reconnects === '1' && it.state === 'open' && !it.gaps")
        panel.wait_for_more("events", 10)
        return symbols(panel, "connected again\nchannels: TSLA GOOG") <= {"TSLA", "GOOG"}

    @staticmethod
    def by_hand(page: Page) -> bool:
        panel = Panel(page, "logs")
        panel.click("send")
        page.wait(
            "document.getElementById('logs').querySelector('.log').innerText.includes('written by hand')"
        )
        return True

    @staticmethod
    def leave(page: Page) -> bool:
        panel = Panel(page, "stocks")
        panel.click("disconnect")
        panel.wait("it.state === 'closed'")
        before = panel.count("events")
        time.sleep(1)
        after = panel.count("events")
        panel.click("connect")
        panel.wait_for_more("events", 1)
        return before == after

    @staticmethod
    def reconnected(page: Page, port: int) -> bool:
        """What the page saw is what a client sees that asks for everything since the page's first event."""
        panel = Panel(page, "logs")
        panel.wait("it.reconnects === '1' && it.state === 'open' && !it.gaps")
        seen = len(page.evaluate("logIds"))
        page.wait(f"logIds.length > {seen} + 10")
        panel.click("disconnect")
        ids = page.evaluate("logIds")
        return ids == ids_since(port, ids[0], len(ids))


def ids_since(port: int, first: str, count: int) -> list[str]:
    """The first ids from that one on, which the server has in its history."""
    ids = [first]
    url = f"http://127.0.0.1:{port}/sse/logs"
    with httpx.stream("GET", url, headers={"Last-Event-ID": first}, trust_env=False) as answer:
        for line in answer.iter_lines():
            if line.startswith("id: "):
                ids.append(line.removeprefix("id: "))
            if len(ids) >= count:
                break
    return ids


def symbols(panel: Panel, since: str) -> set[str]:
    """Whose prices are in the log behind that text."""
    _, found, later = panel.log().rpartition(since)
    assert found, f"no {since!r} in the log"
    seen = {line.partition(" ")[0] for line in later.split("\n") if line}
    assert seen, "no prices"
    return seen


def plots(page: Page, *names: str) -> bool:
    blank = [name for name in names if not Panel(page, name).drawn()]
    if blank:
        print(f"        blank: {', '.join(blank)}")
    return not blank


if __name__ == "__main__":
    sys.exit(main())
