"""The parser of event streams: WHATWG HTML 9.2.6 sentence by sentence, and random streams beside httpx-sse."""

from __future__ import annotations

import random
import re

import pytest
from httpx_sse._decoders import SSEDecoder, SSELineDecoder
from support import sse

from fasterapi import ServerSentEvent
from fasterapi.sse.encoder import encode_comment, encode_event
from fasterapi.sse.parser import EventStreamParser, EventTooLarge

LIMIT = 1 << 20
Seen = list[tuple[str, str | bytes, str, int | None]]


def parse(*pieces: bytes, last_event_id: str = "", limit: int = LIMIT) -> Seen:
    parser = EventStreamParser(last_event_id, limit, limit)
    return [fields(event) for piece in pieces for event in parser.feed(piece)]


def fields(event: ServerSentEvent) -> tuple[str, str | bytes, str, int | None]:
    return (event.event, event.data, event.id, event.retry)


def by_httpx_sse(stream: bytes) -> Seen:
    """By another hand; it knows no byte order mark, and makes events of blocks without data."""
    lines, decoder = SSELineDecoder(), SSEDecoder()
    found = []
    for line in [*lines.decode(stream.decode("utf-8", "replace")), *lines.flush()]:
        if (event := decoder.decode(line)) is not None:
            found.append((event.event, event.data, event.id, event.retry))
    return found


def pieces_of(source: random.Random, stream: bytes) -> list[bytes]:
    cuts = sorted(source.randrange(len(stream) + 1) for _ in range(source.randrange(20)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        # The examples of 9.2.6.
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10", "", None)]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [
                ("message", "first event", "1", None),
                ("message", "second event", "", None),
                ("message", " third event", "", None),
            ],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [("message", "", "", None), ("message", "\n", "", None)]),
        (b"data:test\n\ndata: test\n\n", [("message", "test", "", None)] * 2),
        # Line ends, mixed.
        (b"data: a\rdata: b\r\ndata: c\n\r\n", [("message", "a\nb\nc", "", None)]),
        (b"data: a\r\rdata: b\n\r", [("message", "a", "", None), ("message", "b", "", None)]),
        ("data: a\u2028b\x85c\x0bd\x0c\n\n".encode(), [("message", "a\u2028b\x85c\x0bd\x0c", "", None)]),
        # One byte order mark is skipped, at the start only.
        (b"\xef\xbb\xbfdata: a\n\n", [("message", "a", "", None)]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("message", "b", "", None)]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", "a", "", None)]),
        # An id with NUL is ignored; one without data is taken in at the end of its block.
        (
            b"id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n",
            [("message", "a", "1", None), ("message", "b", "1", None)],
        ),
        (b"id: 1\n\ndata: a\n\n", [("message", "a", "1", None)]),
        # retry has digits only.
        (b"retry: 10\ndata: a\n\ndata: b\n\n", [("message", "a", "", 10), ("message", "b", "", None)]),
        *(
            (b"retry:" + value + b"\ndata: a\n\n", [("message", "a", "", None)])
            for value in (b"", b" +5", b" -5", b"  5", b" 5 ", b" 1_0", b" 0x5", "٥".encode())
        ),
        (b"retry: 007\ndata: a\n\n", [("message", "a", "", 7)]),
        # An event without data is none, and its name does not stay.
        (b"event: x\n\ndata: a\n\n", [("message", "a", "", None)]),
        (b"event: x\nevent: y\ndata: a\nevent\n\n", [("message", "a", "", None)]),
        (b"event: x\ndata: a\n\n", [("x", "a", "", None)]),
        # Unknown fields, other cases of names, comments.
        (b"datum: x\nDATA: x\n data: x\n:data: x\n:\ndata : x\ndata: a\n\n", [("message", "a", "", None)]),
        # What is not ended is discarded.
        (b"data: a\n\ndata: b\n", [("message", "a", "", None)]),
        # Bytes that are no UTF-8.
        (b"data: \xff\xe2\x82\n\n", [("message", "\ufffd\ufffd", "", None)]),
        # Binary events, and text that looks like one.
        (b"data: data:application/octet-stream;base64,AP8=\n\n", [("message", b"\x00\xff", "", None)]),
        (
            b"data: data:application/octet-stream;base64,A\n\n",
            [("message", "data:application/octet-stream;base64,A", "", None)],
        ),
    ],
)
def test_the_rules(stream: bytes, found: Seen) -> None:
    assert parse(stream) == found
    assert parse(*(bytes([byte]) for byte in stream)) == found
    assert parse(*(piece for byte in stream for piece in (b"", bytes([byte])))) == found


def test_random_streams_beside_httpx_sse() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    parts = [
        b"data",
        b"event",
        b"id",
        b"retry",
        b"x",
        b":",
        b": ",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"7",
        b"ab",
    ]
    parts += ["ü€😀\u2028".encode(), b"\xff", b"\0", b"data: ", b"id: ", b"retry: "]
    for _ in range(2000):
        stream = b"".join(source.choices(parts, k=source.randrange(60)))
        # Where httpx-sse departs from the text: a retry that is more than digits.
        stream = re.sub(rb"retry: ?[^\r\n]*[^\r\n0-9][^\r\n]*", b"retry", stream)
        found = parse(*pieces_of(source, stream))
        assert found == _with_data(stream), stream


def _with_data(stream: bytes) -> Seen:
    """httpx-sse's events, without those of blocks that have no data."""
    marked = re.sub(b"(^|\r\n|\r|\n)data(?=[:\r\n])", b"\\1data:\x01\ndata", stream)
    return [
        (event, str(data).replace("\x01\n", ""), last, retry)
        for event, data, last, retry in by_httpx_sse(marked)
        if str(data).startswith("\x01\n")
    ]


def test_what_the_encoder_writes_is_read_back_from_any_pieces() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    events = sse.random_events(seed, 300, 50)
    stream = b"".join(
        encode_event(**event) + (encode_comment("ping") if source.random() < 0.1 else b"") for event in events
    )
    assert by_httpx_sse(stream) == sse.expected(events)
    for _ in range(20):
        assert parse(*pieces_of(source, stream)) == sse.expected(events)


def test_the_last_id_stays_over_connections_until_a_block_is_whole() -> None:
    parser = EventStreamParser("5", LIMIT, LIMIT)
    assert [event.id for event in parser.feed(b"data: a\n\nid: 6\n")] == ["5"]
    assert parser.last_event_id == "5"
    parser.feed(b"\n")
    assert parser.last_event_id == "6"


@pytest.mark.parametrize(
    "stream", [b"data: aaaa", b": comment!", b"data:12345\ndata:12345\n", b"data:\n" * 12]
)
def test_lines_and_events_are_bounded(stream: bytes) -> None:
    assert parse(b"data:123456\n\n", limit=11) == [("message", "123456", "", None)]
    limit = 9 if b"\n" not in stream else 11
    with pytest.raises(EventTooLarge):
        parse(stream, limit=limit)
    with pytest.raises(EventTooLarge):
        parse(*(bytes([byte]) for byte in stream), limit=limit)


def test_a_retry_of_many_digits_is_bounded() -> None:
    parser = EventStreamParser("", LIMIT, LIMIT)
    parser.feed(b"retry: " + b"9" * 10_000 + b"\n\n")
    assert parser.retry == 10**9
