"""The demos' WebSockets and streams of events, by real clients; their pages are used in ``conformance/browser/demos.py``."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import random
import re
import statistics
import string
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from fasterapi import sse_connect
from fasterapi.static import JAVASCRIPT

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TIMEOUT = 30


@pytest.fixture
def websocket_demo(shared):
    return shared("websocket_demo:app", "--app-dir", str(EXAMPLES))


@pytest.fixture
def sse_demo(shared):
    return shared("sse_demo:app", "--app-dir", str(EXAMPLES))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``examples/sse_demo.py``, for what takes thousands of samples, which are always the same."""
    monkeypatch.syspath_prepend(EXAMPLES)
    spec = importlib.util.spec_from_file_location("sse_demo", EXAMPLES / "sse_demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    random.seed(6)
    return module


def websocket(server, path: str) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{server.address[1]}{path}", proxy=None, open_timeout=TIMEOUT, max_queue=None
    )


def events(server, path: str, headers: dict[str, str] | None = None) -> Iterator[tuple[str, Any, str]]:
    """The events' names, values and ids."""
    url = f"http://127.0.0.1:{server.address[1]}{path}"
    with httpx.stream("GET", url, headers=headers, timeout=TIMEOUT, trust_env=False) as answer:
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "data" in fields:
                yield fields["event"], json.loads(fields["data"]), fields.get("id", "")
                fields = {}


def first(server, path: str, count: int) -> list[tuple[str, Any, str]]:
    return list(islice(events(server, path), count))


# --- WebSockets ---------------------------------------------------------------------------------


def test_echo(websocket_demo):
    with websocket(websocket_demo, "/ws/echo") as one:
        assert one.recv(TIMEOUT).startswith("Welcome")
        for _ in range(10):
            text = "".join(random.choices(string.printable, k=random.randint(10, 1000)))
            one.send(text)
            assert one.recv(TIMEOUT) == f"Echo: {text}"
        data = random.randbytes(1000)
        one.send(data)
        assert one.recv(TIMEOUT) == b"Echo: " + data


def test_chat(websocket_demo):
    with websocket(websocket_demo, "/ws/chat") as one:
        me = json.loads(one.recv(TIMEOUT))
        assert re.fullmatch("[a-zA-Z]{8}", me["username"])
        assert json.loads(one.recv(TIMEOUT)) == {"type": "joined", "username": me["username"]}
        with websocket(websocket_demo, "/ws/chat") as other:
            name = json.loads(other.recv(TIMEOUT))["username"]
            assert name != me["username"]
            other.recv(TIMEOUT)
            other.send("plain")
            one.send(json.dumps({"text": "in JSON"}))
            heard = [json.loads(other.recv(TIMEOUT)) for _ in range(2)]
        seen = [json.loads(one.recv(TIMEOUT)) for _ in range(4)]
    assert [each["type"] for each in seen] == ["joined", "message", "message", "left"]
    assert seen[0]["username"] == seen[3]["username"] == name
    assert heard == seen[1:3]
    assert {(each["username"], each["text"]) for each in heard} == {
        (name, "plain"),
        (me["username"], "in JSON"),
    }


def test_stream(websocket_demo, server_name):
    with websocket(websocket_demo, "/ws/stream") as one:
        *messages, last = one
    complete = json.loads(last)
    kinds: Counter[str] = Counter()
    for message in messages:
        if isinstance(message, bytes):
            kinds["binary"] += 1
            text: Any = message
        elif message.startswith("{"):
            kinds["json"] += 1
            text = json.loads(message)["text"]
        else:
            kinds["text"] += 1
            text = message
        assert 10 <= len(text) <= 100
    sizes = sum(len(message if isinstance(message, bytes) else message.encode()) for message in messages)
    assert len(messages) == 1000
    assert min(kinds.values()) > 200
    assert complete.pop("latency_ms") is not None or server_name == "uvicorn"
    assert complete == {
        "type": "complete",
        **kinds,
        "messages_sent": 1000,
        "bytes_sent": sizes,
        "pings": 10 if server_name == "fasterapi" else 0,
    }


@pytest.mark.parametrize("pace", ["abc", "nan", "inf"])
def test_a_pace_that_is_none_is_the_usual_one(websocket_demo, sse_demo, pace):
    with websocket(websocket_demo, f"/ws/stream?pace={pace}") as one:
        assert len(list(one)) == 1001
    assert len(first(sse_demo, f"/sse/stocks?pace={pace}", 2)) == 2


def test_benchmark(websocket_demo):
    with websocket(websocket_demo, "/ws/benchmark") as one:
        *messages, last = one
    complete = json.loads(last)
    assert len(messages) == complete["messages"] == 10_000
    assert sum(map(len, messages)) == complete["bytes"]
    assert (min(map(len, messages)), max(map(len, messages))) == (10, 1000)
    assert all(message.isalpha() for message in messages)
    assert complete["messages_per_second"] == pytest.approx(10_000 / complete["seconds"], rel=0.01)


# --- Events -------------------------------------------------------------------------------------


def test_times_can_be_read(sse_demo):
    seen = first(sse_demo, "/sse/time?pace=0.001", 60)
    now = datetime.now(timezone.utc).timestamp()
    readers = {
        "unix": lambda value: value / 1000,
        "iso": lambda value: datetime.fromisoformat(value).timestamp(),
        "human": lambda value: datetime.strptime(f"{value}+0000", "%d %B %Y %H:%M:%S UTC%z").timestamp(),
        "detailed": lambda value: datetime.strptime(value, "%A, %d %B %Y %H:%M:%S.%f %z").timestamp(),
    }
    assert {name for name, _, _ in seen} == {"time"}
    assert {value["format"] for _, value, _ in seen} == set(readers)
    for _, value, _ in seen:
        assert abs(readers[value["format"]](value["time"]) - now) < TIMEOUT


def test_metrics(sse_demo):
    seen = first(sse_demo, "/sse/metrics?pace=0.001", 300)
    values = [value for name, value, _ in seen if name == "metrics"]
    alerts = [(at, value) for at, (name, value, _) in enumerate(seen) if name == "alert"]
    assert all(0 <= each[metric] <= 100 for each in values for metric in ("cpu", "memory", "disk", "network"))
    assert alerts
    for at, alert in alerts:
        assert alert["value"] == seen[at - 1][1][alert["metric"]] >= 90


def test_stocks(sse_demo, module):
    seen = first(sse_demo, "/sse/stocks?pace=0.001", 102)
    assert [at for at, (name, _, _) in enumerate(seen) if name == "summary"] == [50, 101]
    prices = dict(module.SYMBOLS)
    for name, value, _ in seen[:50]:
        assert name == "stock"
        before = prices[value["symbol"]]
        assert value["price"] == pytest.approx(before * (1 + value["change_percent"] / 100), rel=1e-3)
        prices[value["symbol"]] = value["price"]
    assert seen[50][1] == {"updates": 50, "prices": prices}


def test_the_log_goes_on_behind_the_last_event_that_was_seen(sse_demo):
    url = f"http://127.0.0.1:{sse_demo.address[1]}/logs"
    stream = events(sse_demo, "/sse/logs")
    names, records, ids = zip(*islice(stream, 3), strict=True)
    stream.close()
    assert httpx.post(url, content="by hand", trust_env=False).json()["message"] == "by hand"
    later = events(sse_demo, "/sse/logs", {"Last-Event-ID": ids[0]})
    again = [next(later), next(later)]
    assert [each[2] for each in again] == list(ids[1:])
    while next(later)[1]["message"] != "by hand":
        pass
    later.close()
    for name, record in zip(names, records, strict=True):
        assert (name == "alert") == (record["level"] in ("ERROR", "CRITICAL"))


def test_an_event_that_the_history_has_forgotten_is_told(sse_demo):
    stream = events(sse_demo, "/sse/logs", {"Last-Event-ID": "never-1"})
    name, value, _ = next(stream)
    assert (name, "never-1" in value["reason"]) == ("gap", True)
    assert next(stream)[0] in ("log", "alert")
    stream.close()


def test_channels_are_added_and_dropped_and_one_is_of_bytes(sse_demo, module):
    url = f"http://127.0.0.1:{sse_demo.address[1]}/sse/channels/"

    async def read():
        async with (
            httpx.AsyncClient(trust_env=False) as client,
            sse_connect(f"{url}?channels=wave", client=client) as stream,
        ):
            told = json.loads((await anext(stream)).data)
            samples = struct.unpack("<128f", (await anext(stream)).data)
            change = {"id": told["id"], "add": list(module.SYMBOLS), "drop": ["wave"]}
            answer = await client.post(url, json=change)
            while (event := await anext(stream)).event == "wave":
                pass
            return (
                [told, answer.json(), json.loads(event.data)],
                samples,
                [await anext(stream) for _ in range(3)],
            )

    (begun, answer, changed), samples, prices = asyncio.run(asyncio.wait_for(read(), TIMEOUT))
    assert begun["channels"] == ["wave"]
    assert answer["channels"] == changed["channels"] == list(module.SYMBOLS)
    assert 0.1 < max(map(abs, samples)) <= 1
    assert [event.event for event in prices] == [json.loads(event.data)["symbol"] for event in prices]


def test_a_channel_that_there_is_not_is_refused(sse_demo):
    answer = sse_demo.get("/sse/channels/?channels=AAPL,secret")
    assert (answer.status, b"secret" in answer.body) == (400, True)


def test_the_log_has_the_levels_in_their_proportions(module):
    records = [module.log_record() for _ in range(10_000)]
    levels = Counter(record["level"] for record in records)
    for level, percent in {"DEBUG": 20, "INFO": 50, "WARNING": 20, "ERROR": 8, "CRITICAL": 2}.items():
        assert levels[level] / 100 == pytest.approx(percent, abs=1.5)
    assert len({record["component"] for record in records}) == 11


def test_metrics_jump_once_in_twenty_times(module):
    machine = module.Metrics()
    spikes = sum(machine.step()[1] is not None for _ in range(10_000))
    assert spikes / 100 == pytest.approx(5, abs=0.7)


def test_prices_move_by_half_a_percent_and_at_times_by_two(module):
    market = module.Market()
    steps = [market.step() for _ in range(20_000)]
    expected = 100 * (0.9 * 0.005**2 + 0.1 * 0.02**2) ** 0.5
    assert statistics.pstdev(step["change_percent"] for step in steps) == pytest.approx(expected, rel=0.05)
    assert len({step["symbol"] for step in steps}) == 8


# --- Both ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("demo", ["websocket_demo", "sse_demo"])
def test_the_page_and_all_that_it_needs_are_served(demo, shared):
    server = shared(f"{demo}:app", "--app-dir", str(EXAMPLES))
    page = server.get("/").body.decode()
    assert (EXAMPLES / "pages" / f"{demo}.html").read_text() == page
    needed = re.findall(r'(?:href=|from )"([^"]+)"', page)
    assert {"pages/demo.css", "./pages/demo.js"} <= set(needed)
    for path in needed:
        if not path.startswith("data:"):
            assert ":" not in path
            assert server.get(f"/{path.removeprefix('./')}").status == 200


def test_the_script_of_the_package_is_served(sse_demo):
    answer = sse_demo.get("/fasterapi.js")
    assert answer.header("content-type") == b"text/javascript; charset=utf-8"
    assert answer.body == JAVASCRIPT.read_bytes()


def test_the_first_example_has_both_below_it(shared):
    server = shared("hello:app", "--app-dir", str(EXAMPLES))
    page = server.get("/").body.decode()
    for demo in ("websocket_demo", "sse_demo"):
        assert f'href="/{demo}/"' in page
        assert server.get(f"/{demo}/").body == (EXAMPLES / "pages" / f"{demo}.html").read_bytes()
        assert server.get(f"/{demo}/pages/demo.js").status == 200
        without_slash = server.get(f"/{demo}")
        assert (without_slash.status, without_slash.header("location")) == (307, f"{demo}/".encode())
    with websocket(server, "/websocket_demo/ws/chat") as one:
        one.recv(TIMEOUT)
        assert json.loads(one.recv(TIMEOUT))["type"] == "joined"
    assert len(first(server, "/sse_demo/sse/logs", 2)) == 2
    nowhere = server.get("/nowhere")
    assert (nowhere.status, nowhere.body) == (404, b"Here are /, /facts.json, /websocket_demo/, /sse_demo/\n")


@pytest.mark.parametrize("demo", ["websocket_demo", "sse_demo"])
def test_one_command_runs_it(demo):
    environment = {**os.environ, "PORT": "0"}
    environment.pop("PYTHONSAFEPATH", None)  # of scripts/test; a script finds what lies beside it
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{demo}.py")],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            address = next(
                re.search(r"http://\S+", line)[0] for line in process.stderr if "running on" in line
            )
            assert "./pages/demo.js" in httpx.get(address, trust_env=False, timeout=TIMEOUT).text
        finally:
            process.terminate()
            process.stderr.read()
