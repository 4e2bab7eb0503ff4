"""add_reader and add_writer."""

from __future__ import annotations

import asyncio
import contextvars
import os
import socket

import pytest

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


@pytest.fixture
def pipe():
    """``reader, writer`` of a pipe; the test may close them."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


@pytest.fixture
def turns(forever):
    """``turns(loop)`` lets the loop poll a few times."""

    def turns(loop, count=4):
        def step(left):
            if left == 0:
                loop.stop()
            else:
                loop.call_soon(step, left - 1)

        loop.call_soon(step, count)
        forever(loop)

    return turns


def fill(sock):
    """Sends until the other side's buffer is full."""
    sent = 0
    try:
        while True:
            sent += sock.send(b"x" * 65536)
    except BlockingIOError:
        return sent


def test_a_reader_is_called_while_there_is_something_to_read(loop, forever, pipe):
    reader, writer = pipe
    got = []

    def readable(*arguments):
        got.append((arguments, os.read(reader, 1)))
        if len(got) == 3:
            loop.stop()

    assert loop.add_reader(reader, readable, 1, "two") is None
    os.write(writer, b"abc")
    forever(loop)
    assert got == [((1, "two"), b"a"), ((1, "two"), b"b"), ((1, "two"), b"c")]
    assert loop.remove_reader(reader) is True
    assert loop.remove_reader(reader) is False


def test_a_reader_is_not_called_for_nothing(loop, turns, pipe):
    called = []
    loop.add_reader(pipe[0], called.append, 1)
    turns(loop)
    assert called == []
    loop.remove_reader(pipe[0])


def test_a_blocked_loop_wakes_for_what_another_thread_writes(run, pair):
    left, right = pair

    async def main():
        loop = asyncio.get_running_loop()
        for number in range(200):
            arrived = loop.create_future()
            loop.add_reader(left, lambda arrived=arrived: arrived.done() or arrived.set_result(left.recv(9)))
            await loop.run_in_executor(None, right.send, b"%d" % number)
            assert await arrived == b"%d" % number
            assert loop.remove_reader(left)

    run(main())


def test_a_writer_is_called_when_there_is_room(loop, forever, turns, pair):
    left, right = pair
    called = []

    def writable():
        called.append("room")
        fill(left)

    loop.add_writer(left, writable)
    turns(loop)
    assert called == ["room"]
    loop.add_writer(left, lambda: (called.append("again"), loop.stop()))
    while True:
        try:
            right.recv(1 << 20)
        except BlockingIOError:
            break
    forever(loop)
    assert called == ["room", "again"]
    assert loop.remove_writer(left) is True
    assert loop.remove_writer(left) is False


def test_the_second_reader_replaces_the_first(loop, forever, pipe):
    reader, writer = pipe
    got = []
    os.write(writer, b"x")
    loop.add_reader(reader, got.append, "first")
    loop.add_reader(reader, lambda: (got.append("second"), loop.stop()))
    forever(loop)
    assert got == ["second"]
    loop.remove_reader(reader)


def test_a_reader_may_replace_itself(loop, forever, pipe):
    reader, writer = pipe
    os.write(writer, b"x")
    got = []

    def first():
        got.append("first")
        loop.add_reader(reader, second)

    def second():
        got.append("second")
        loop.stop()

    loop.add_reader(reader, first)
    forever(loop)
    assert got == ["first", "second"]
    loop.remove_reader(reader)


def test_a_reader_may_remove_itself(loop, turns, pipe):
    reader, writer = pipe
    os.write(writer, b"x")
    called = []
    loop.add_reader(reader, lambda: called.append(loop.remove_reader(reader)))
    turns(loop)
    assert called == [True]


def test_a_reader_removed_by_another_in_the_same_turn_is_not_called(loop, turns, pair):
    left, right = pair
    left.send(b"x")
    right.send(b"x")
    called = []

    def readable(mine, other):
        called.append(mine)
        loop.remove_reader(other)
        loop.remove_reader(mine)

    loop.add_reader(left, readable, left, right)
    loop.add_reader(right, readable, right, left)
    turns(loop)
    assert len(called) == 1


def test_a_reader_and_a_writer_of_one_descriptor_are_apart(loop, turns, pair):
    left, right = pair
    called = set()
    loop.add_reader(left, called.add, "reader")
    loop.add_writer(left, called.add, "writer")
    right.send(b"x")
    turns(loop)
    assert called == {"reader", "writer"}
    assert loop.remove_writer(left)
    called.clear()
    turns(loop)
    assert called == {"reader"}
    loop.add_writer(left, called.add, "writer")
    assert loop.remove_reader(left)
    called.clear()
    turns(loop)
    assert called == {"writer"}
    assert loop.remove_writer(left)
    called.clear()
    turns(loop)
    assert not called


def test_a_reader_runs_in_the_context_it_was_added_in(loop, forever, pipe):
    got = []
    context = contextvars.copy_context()

    def readable():
        got.append(VARIABLE.get())
        VARIABLE.set("changed")
        if len(got) == 2:
            loop.stop()

    context.run(VARIABLE.set, "added")
    context.run(loop.add_reader, pipe[0], readable)
    context.run(VARIABLE.set, "later")
    os.write(pipe[1], b"x")
    forever(loop)
    assert got == ["added", "changed"]
    loop.remove_reader(pipe[0])


def test_an_error_in_a_reader_does_not_end_it(loop, forever, pipe):
    contexts = []

    def handler(_, context):
        contexts.append(context)
        if len(contexts) == 2:
            loop.stop()

    loop.set_exception_handler(handler)
    loop.add_reader(pipe[0], lambda: 1 / 0)
    os.write(pipe[1], b"x")
    forever(loop)
    assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError] * 2
    loop.remove_reader(pipe[0])


def test_many_descriptors(loop, forever):
    pipes = [os.pipe() for _ in range(200)]
    left = set(range(200))

    def readable(number):
        os.read(pipes[number][0], 1)
        left.remove(number)
        loop.remove_reader(pipes[number][0])
        if not left:
            loop.stop()

    for number, (reader, writer) in enumerate(pipes):
        loop.add_reader(reader, readable, number)
        loop.call_soon(os.write, writer, b"x")
    forever(loop)
    for ends in pipes:
        for end in ends:
            os.close(end)


# --- What is no descriptor, or no longer ---------------------------------------------------


@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_what_is_no_descriptor_is_refused(loop, method):
    add = getattr(loop, method)
    for wrong in ("1", object(), -1):
        with pytest.raises(ValueError):  # noqa: PT011
            add(wrong, print)
    with pytest.raises(TypeError):
        add(0)


class Named:
    """What names its descriptor by something that is not quite a number."""

    def __init__(self, number):
        self.number = number

    def fileno(self):
        return self.number


class Almost:
    def __init__(self, number):
        self.number = number

    def __int__(self):
        return self.number


def test_a_fileno_is_made_a_number(loop, pipe, turns):
    got = []
    named = Named(Almost(pipe[0]))
    loop.add_reader(named, lambda: got.append(os.read(pipe[0], 1)))
    os.write(pipe[1], b"x")
    turns(loop)
    assert got == [b"x"]
    assert loop.remove_reader(named)


@pytest.mark.parametrize("wrong", [Named("x"), Named(None), Named(-1), object(), -1])
def test_what_names_no_descriptor_is_a_value_error(loop, wrong):
    for method in (loop.add_reader, loop.add_writer):
        with pytest.raises(ValueError, match="Invalid file"):
            method(wrong, print)


def test_a_closed_descriptor_is_refused(loop, pipe):
    os.close(pipe[0])
    with pytest.raises(OSError, match="Bad file descriptor"):
        loop.add_reader(pipe[0], print)
    with pytest.raises(OSError, match="Bad file descriptor"):
        loop.add_writer(pipe[0], print)
    assert loop.remove_reader(pipe[0]) is False


def test_a_regular_file_is_refused(loop, tmp_path, turns):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        for _ in range(2):
            with pytest.raises(PermissionError):
                loop.add_reader(file, print)
            with pytest.raises(PermissionError):
                loop.add_writer(file.fileno(), print)
        assert loop.remove_reader(file) is False
        turns(loop)


def test_a_closed_loop_watches_nothing(new_loop, pipe):
    loop = new_loop()
    loop.add_reader(pipe[0], print)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.add_reader(pipe[0], print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.add_writer(pipe[1], print)
    assert not loop.remove_reader(pipe[0])


def test_a_transports_descriptor_is_refused(run, pair):
    async def main():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=pair[0])
        with pytest.raises(RuntimeError, match="used by transport"):
            loop.add_reader(pair[0].fileno(), print)
        with pytest.raises(RuntimeError, match="used by transport"):
            loop.remove_writer(pair[0].fileno())
        transport.close()

    run(main())


def test_a_number_is_watched_again_after_it_was_closed_and_reused(loop, turns):
    for kind in ("pipe", "sockets") * 3:
        if kind == "pipe":
            reader, writer = os.pipe()
        else:
            left, right = socket.socketpair()
            reader, writer = left.detach(), right.detach()
        got = []
        loop.add_reader(reader, lambda got=got, reader=reader: got.append(os.read(reader, 1)))
        os.write(writer, b"x")
        turns(loop)
        assert got == [b"x"]
        assert loop.remove_reader(reader)
        os.close(reader)
        os.close(writer)


def test_a_number_gets_another_file_between_two_readers(loop, turns, pipe):
    """No poll between the removal of the first and the addition of the second."""
    reader = pipe[0]
    got = []
    loop.add_reader(reader, got.append, "first")
    turns(loop)
    other, other_writer = os.pipe()
    loop.remove_reader(reader)
    os.dup2(other, reader)
    loop.add_reader(reader, lambda: got.append(os.read(reader, 1)))
    os.write(other_writer, b"y")
    turns(loop)
    assert got == [b"y"]
    loop.remove_reader(reader)
    os.close(other)
    os.close(other_writer)


def test_a_descriptor_closed_while_watched_can_be_removed(loop, turns, pair):
    left, _ = pair
    number = left.fileno()
    loop.add_reader(number, print)
    turns(loop)
    left.close()
    turns(loop)
    assert loop.remove_reader(number) is True
    again, other = socket.socketpair()
    if again.fileno() != number:
        os.dup2(again.fileno(), number)
        again.close()
        again = socket.socket(fileno=number)
    got = []
    loop.add_reader(number, lambda: got.append(os.read(number, 1)))
    other.send(b"z")
    turns(loop)
    assert got == [b"z"]
    loop.remove_reader(number)
    again.close()
    other.close()


# --- The other side goes away --------------------------------------------------------------


def test_the_reader_of_a_pipe_learns_of_its_end(loop, forever, pipe):
    reader, writer = pipe
    got = []

    def readable():
        got.append(os.read(reader, 10))
        if not got[-1]:
            loop.remove_reader(reader)
            loop.stop()

    loop.add_reader(reader, readable)
    os.write(writer, b"last")
    os.close(writer)
    forever(loop)
    assert got == [b"last", b""]


def test_the_end_of_a_pipe_wakes_a_loop_that_watches_it_already(loop, forever, pipe):
    reader, writer = pipe
    loop.add_reader(reader, loop.stop)
    loop.call_later(0.001, os.close, writer)
    forever(loop)
    assert os.read(reader, 1) == b""
    loop.remove_reader(reader)


def test_the_writer_of_a_full_pipe_learns_that_nobody_reads(loop, forever, pipe):
    reader, writer = pipe
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        pass
    loop.add_writer(writer, loop.stop)
    loop.call_later(0.001, os.close, reader)
    forever(loop)
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"x")
    loop.remove_writer(writer)


def test_a_reader_of_a_pipes_writing_end_learns_that_nobody_reads(loop, forever, pipe):
    """As asyncio's pipe transports watch for it."""
    reader, writer = pipe
    loop.add_reader(writer, loop.stop)
    loop.call_later(0.001, os.close, reader)
    forever(loop)
    loop.remove_reader(writer)


def test_a_broken_socket_is_ready_again_and_again_for_both(loop, forever):
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    client.setblocking(False)
    called = []

    def ready(what):
        called.append(what)
        if called.count("reader") >= 3 and called.count("writer") >= 3:
            loop.stop()

    loop.add_reader(client, ready, "reader")
    loop.add_writer(client, ready, "writer")
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    accepted.close()  # with a reset
    forever(loop)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert loop.remove_reader(client)
    assert loop.remove_writer(client)
    client.close()
    listener.close()
