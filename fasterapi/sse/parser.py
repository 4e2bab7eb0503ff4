"""Bytes of an event stream to events, as WHATWG HTML 9.2.6 "Interpreting an event stream" says. Knows no connection."""

from __future__ import annotations

import re

from fasterapi.sse.encoder import decode_binary
from fasterapi.sse.event import ServerSentEvent

_LINE_END = re.compile(b"\r\n|\r|\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_RETRY = 10**9


class EventTooLarge(ValueError):
    """A line or an event has more bytes than the client takes."""


class EventStreamParser:
    """For one response; of its bytes in any pieces it makes the same events. Dead after an exception.

    Args:
        last_event_id: what the events have until the stream gives another one.
        max_line, max_event: bytes of a line, and of an event's data.
    """

    def __init__(self, last_event_id: str, max_line: int, max_event: int) -> None:
        self.last_event_id = last_event_id
        """Of the last whole event."""
        self.retry: int | None = None
        """Milliseconds, where the stream has given some."""
        self._max_line = max_line
        self._max_event = max_event
        self._line: list[bytes] = []
        self._line_size = 0
        self._after_cr = False
        self._at_start = True
        self._id = last_event_id
        self._type = ""
        self._data: list[bytes] = []
        self._data_size = 0
        self._retry: int | None = None

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that end in these bytes.

        Raises:
            EventTooLarge: more than the limits.
        """
        if self._after_cr and data:
            self._after_cr = False
            if data.startswith(b"\n"):
                data = data[1:]
        self._after_cr = data.endswith(b"\r") or (self._after_cr and not data)
        *ends, rest = _LINE_END.split(data)
        events = []
        for piece in ends:
            self._add(piece)
            line = b"".join(self._line)
            self._line, self._line_size = [], 0
            if (event := self._take(line)) is not None:
                events.append(event)
        self._add(rest)
        return events

    def _add(self, piece: bytes) -> None:
        self._line_size += len(piece)
        if self._line_size > self._max_line:
            raise EventTooLarge(f"a line of an event has more than {self._max_line} bytes")
        if piece:
            self._line.append(piece)

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if self._at_start:
            # "If the stream's first character is U+FEFF, it is skipped"; one, at the start only.
            self._at_start = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data_size += len(value) + 1
            if self._data_size > self._max_event:
                raise EventTooLarge(f"the data of an event has more than {self._max_event} bytes")
            self._data.append(value)
        elif name == b"event":
            self._type = _text(value)
        elif name == b"id":
            # "If the field value does not contain U+0000 NULL"; else the field is ignored.
            if b"\0" not in value:
                self._id = _text(value)
        elif name == b"retry" and value.isdigit():  # of bytes: ASCII digits only
            self._retry = self.retry = int(value) if len(value) < 10 else _LONGEST_RETRY
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        self.last_event_id = self._id
        lines, kind, retry = self._data, self._type or "message", self._retry
        self._data, self._data_size, self._type, self._retry = [], 0, "", None
        if not lines:
            return None
        return ServerSentEvent(decode_binary(_text(b"\n".join(lines))), kind, self._id, retry)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
