"""What an event loop costs: CPU time per operation on asyncio's own loop, uvloop's, rloop's and ours.

Each sample is a process of its own, because loops leave threads and handlers behind; a round takes one
of every loop, one right after the other, beginning at another one each time. The figures are medians of the
rounds, the ratios medians of the rounds' ratios, with their quartiles. Samples run this file as a script, so that fasterapi is
the interpreter's and not this tree's.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from statistics import median, quantiles

FACTORIES = {
    "asyncio": "asyncio:SelectorEventLoop",
    "uvloop": "uvloop:new_event_loop",
    "rloop": "rloop:new_event_loop",
    "fasterapi": "fasterapi.loop:new_event_loop",
}
MESSAGE = b"x" * 1024
CONNECTIONS = 10

BARS = {"sleep(0)": 0.8, "future": 0.8, "task": 0.8, "call_soon": 0.8}
"""Our CPU time at most, as a share of uvloop's; 1 for all others."""

Loop = asyncio.AbstractEventLoop


# --- Operations: each performs `count` of them on the running loop -----------------------------


async def sleep_zero(loop: Loop, count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def future(loop: Loop, count: int) -> None:
    for _ in range(count):
        waited = loop.create_future()
        loop.call_soon(waited.set_result, None)
        await waited


async def task(loop: Loop, count: int) -> None:
    async def nothing() -> None:
        pass

    for _ in range(count):
        await loop.create_task(nothing())


def nothing() -> None:
    pass


async def call_soon(loop: Loop, count: int) -> None:
    for _ in range(count // 100):
        for _ in range(100):
            loop.call_soon(nothing)
        await asyncio.sleep(0)


async def timer_cancelled(loop: Loop, count: int) -> None:
    for _ in range(count // 100):
        timers = [loop.call_later(60 + i, nothing) for i in range(100)]
        for timer in timers:
            timer.cancel()
        await asyncio.sleep(0)


async def timer_run(loop: Loop, count: int) -> None:
    for _ in range(count // 100):
        done = loop.create_future()
        for i in range(100):
            loop.call_later(i * 1e-6, nothing)
        loop.call_later(2e-4, done.set_result, None)
        await done


async def timer_late(loop: Loop, count: int) -> None:
    """As above, with a wait that a loop of whole milliseconds cannot round to none."""
    for _ in range(count // 100):
        done = loop.create_future()
        for i in range(100):
            loop.call_later(i * 1e-6, nothing)
        loop.call_later(3e-3, done.set_result, None)
        await done


async def threadsafe(loop: Loop, count: int) -> None:
    """A thread calls, and waits until the loop has answered."""
    done = loop.create_future()

    def call() -> None:
        answered = threading.Semaphore(0)
        for _ in range(count):
            loop.call_soon_threadsafe(answered.release)
            answered.acquire()
        loop.call_soon_threadsafe(done.set_result, None)

    thread = threading.Thread(target=call)
    thread.start()
    await done
    thread.join()


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


async def echo_protocol(loop: Loop, count: int) -> None:
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    await _serve_client(server.sockets[0], count)
    server.close()


async def echo_streams(loop: Loop, count: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await _serve_client(server.sockets[0], count)
    server.close()


async def echo_sock(loop: Loop, count: int) -> None:
    async def serve(peer: socket.socket) -> None:
        with peer:
            while data := await loop.sock_recv(peer, 65536):
                await loop.sock_sendall(peer, data)

    async def accept(listener: socket.socket) -> None:
        served = []
        for _ in range(CONNECTIONS):
            peer, _ = await loop.sock_accept(listener)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            served.append(loop.create_task(serve(peer)))
        await asyncio.gather(*served)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        accepting = loop.create_task(accept(listener))
        await _serve_client(listener, count)
        await accepting


async def _serve_client(listener: socket.socket, count: int) -> None:
    """Until a client in another process has had its answers; its CPU time is not ours."""
    loop = asyncio.get_running_loop()
    command = [sys.executable, __file__, "--client", str(listener.getsockname()[1]), str(count)]
    await loop.run_in_executor(None, partial(subprocess.run, command, check=True))


def client(port: int, count: int) -> None:
    """A message on every connection, then an answer from every connection, until `count` were sent."""
    peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    for peer in peers:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.settimeout(30)
    for _ in range(count // CONNECTIONS):
        for peer in peers:
            peer.sendall(MESSAGE)
        for peer in peers:
            left = len(MESSAGE)
            while left:
                left -= len(peer.recv(left)) or sys.exit("the server closed the connection")
    for peer in peers:
        peer.close()


async def create_connection(loop: Loop, count: int) -> None:
    """Both ends on this loop: made, accepted, closed."""
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    for _ in range(count):
        closed = loop.create_future()

        class Client(asyncio.Protocol):
            def connection_lost(self, error: Exception | None, closed: asyncio.Future[None] = closed) -> None:
                closed.set_result(None)

        transport, _ = await loop.create_connection(Client, host, port)
        transport.close()
        await closed
    server.close()


async def run_program(loop: Loop, count: int) -> None:
    """The child's CPU time is not counted, the fork's is."""
    for _ in range(count):
        process = await asyncio.create_subprocess_exec("/bin/true")
        assert await process.wait() == 0


OPERATIONS: dict[str, tuple[Callable[[Loop, int], Awaitable[None]], int]] = {
    "sleep(0)": (sleep_zero, 50_000),
    "future": (future, 30_000),
    "task": (task, 30_000),
    "call_soon": (call_soon, 100_000),
    "call_later, cancelled": (timer_cancelled, 50_000),
    "call_later, run": (timer_run, 50_000),
    "call_later, run, a wait of 3 ms": (timer_late, 5_000),
    "call_soon_threadsafe": (threadsafe, 10_000),
    "echo by protocol": (echo_protocol, 20_000),
    "echo by streams": (echo_streams, 20_000),
    "echo by sock_*": (echo_sock, 20_000),
    "create_connection": (create_connection, 500),
    "subprocess": (run_program, 50),
}


# --- Samples ------------------------------------------------------------------------------------


def sample(factory: str, only: list[str]) -> dict[str, float]:
    """CPU seconds, user and system, for one of each operation, in this process."""
    module, _, name = factory.partition(":")
    loop = getattr(importlib.import_module(module), name)()
    asyncio.set_event_loop(loop)
    figures = {}
    for operation in only:
        function, count = OPERATIONS[operation]
        loop.run_until_complete(function(loop, max(count // 20, 100 if count > 1000 else 5)))  # warm
        before = time.process_time()
        loop.run_until_complete(function(loop, count))
        figures[operation] = (time.process_time() - before) / count
    loop.close()
    return figures


def measure(python: str, loops: list[str], only: list[str], rounds: int) -> dict[str, list[dict[str, float]]]:
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in loops}
    for turn in range(rounds):
        for name in loops[turn % len(loops) :] + loops[: turn % len(loops)]:
            print(f"round {turn + 1} of {rounds}: {name}", file=sys.stderr)
            command = [python, __file__, "--sample", FACTORIES[name], "--only", *only]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                raise SystemExit(f"benchmarks.loop: {name} cannot be measured with {python}")
            samples[name].append(json.loads(done.stdout))
    return samples


def report(samples: dict[str, list[dict[str, float]]], only: list[str]) -> list[str]:
    """Prints the table; the bars that are missed."""
    missed = []
    loops = list(samples)
    print("| µs of CPU time, user + system | " + " | ".join(loops) + " | fasterapi : uvloop | bar |")
    print("|---|" + "--:|" * (len(loops) + 2))
    for operation in only:
        figures = [f"{median(s[operation] for s in samples[name]) * 1e6:.2f}" for name in loops]
        ratio, bar = "", BARS.get(operation, 1.0)
        if "uvloop" in samples and "fasterapi" in samples:
            pairs = zip(samples["fasterapi"], samples["uvloop"], strict=True)
            values = [ours[operation] / theirs[operation] for ours, theirs in pairs]
            value = median(values)
            low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [value] * 3
            ratio = f"{value:.2f} ({low:.2f} to {high:.2f})"
            if value > bar:
                missed.append(operation)
                ratio = f"**{ratio}**"
        print(f"| {operation} | " + " | ".join(figures) + f" | {ratio} | {bar:g} |")
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the loops")
    parser.add_argument("--loops", nargs="+", default=list(FACTORIES), choices=FACTORIES)
    parser.add_argument("--only", nargs="+", default=list(OPERATIONS), choices=OPERATIONS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sample", help=argparse.SUPPRESS)
    parser.add_argument("--client", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        return client(*options.client)
    if options.sample:
        return print(json.dumps(sample(options.sample, options.only)))
    samples = measure(options.python, options.loops, options.only, options.rounds)
    version = subprocess.check_output([options.python, "--version"], text=True).strip()
    print(f"\n{version}, medians of {options.rounds} rounds\n")
    missed = report(samples, options.only)
    if {"fasterapi", "uvloop"} <= set(samples):
        print("\nBars missed: " + (", ".join(missed) or "none"))
    return None


if __name__ == "__main__":
    main()
