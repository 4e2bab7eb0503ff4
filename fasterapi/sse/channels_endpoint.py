"""Channels as an ASGI application: GET opens the stream, POST changes the channels of an open one."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fasterapi import json_text
from fasterapi.connection_scope import Receive, Scope, Send
from fasterapi.short_response import respond
from fasterapi.sse.channels import ChannelLimits, Channels, ChannelsError, Source
from fasterapi.sse.connection import SSE
from fasterapi.sse.endpoint import sse_endpoint
from fasterapi.sse.history import History

MAX_REQUEST = 16 * 1024
"""Bytes of a request that changes channels: more than all the names that a client may have."""


class ChannelsEndpoint:
    """Made by ``channels_endpoint``."""

    def __init__(
        self, source: Source | History, limits: ChannelLimits, keep_alive_interval: float | None
    ) -> None:
        self._source = source
        self._limits = limits
        self._stream = sse_endpoint(self._serve, keep_alive_interval=keep_alive_interval)
        self._open: dict[str, Channels] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            try:
                request = await _body(receive)
            except ConnectionError:
                return
            status, answer = self._change(request)
            body = json_text.dumps(answer).encode()
            await respond(send, status, [(b"content-type", b"application/json")], body)
        else:
            await self._stream(scope, receive, send)

    async def _serve(self, sse: SSE) -> None:
        try:
            channels = Channels(sse, self._source, self._limits)
        except ChannelsError as error:
            await sse.refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        self._open[sse.connection_id] = channels
        try:
            await channels.run()
        finally:
            del self._open[sse.connection_id]

    def _change(self, body: bytes | None) -> tuple[HTTPStatus, dict[str, Any]]:
        if body is None:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": f"more than {MAX_REQUEST} bytes"}
        try:
            asked = json_text.loads(body)
            connection_id, add, drop = asked["id"], asked.get("add", []), asked.get("drop", [])
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
            return HTTPStatus.BAD_REQUEST, {"error": 'not {"id": …, "add": […], "drop": […]}'}
        if not (isinstance(connection_id, str) and _are_names(add) and _are_names(drop)):
            return HTTPStatus.BAD_REQUEST, {"error": "names are strings in a list"}
        channels = self._open.get(connection_id)
        if channels is None:
            return HTTPStatus.NOT_FOUND, {"error": "no such connection"}
        try:
            channels.change(add, drop)
        except ChannelsError as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        return HTTPStatus.OK, {"channels": channels.names}


def channels_endpoint(
    source: Source | History,
    *,
    allow: Callable[[str], bool] | None = None,
    max_channels: int = 32,
    keep_alive_interval: float | None = 30.0,
) -> ChannelsEndpoint:
    """An ASGI application, or a route of Starlette or FastAPI, of event streams with several channels.

    GET ``?channels=a,b`` opens one. POST ``{"id": …, "add": […], "drop": […]}`` changes it: the id is that of the connection, which its
    first event tells, and the same process has to get the request. It answers 200 with ``{"channels": […]}``, 404 where there is no such
    connection (here), 400 for what is not allowed.

    Args:
        source: what channels give: a history, or ``source(channel, after)``.
        allow: whether there is such a channel.
        max_channels: of one connection.
        keep_alive_interval: seconds of silence before a ping.
    """
    return ChannelsEndpoint(source, ChannelLimits(allow, max_channels), keep_alive_interval)


def _are_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


async def _body(receive: Receive) -> bytes | None:
    """The whole of a request's body; None if it is too large. Raises ConnectionError if the client leaves before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        body += message.get("body", b"")
        if len(body) > MAX_REQUEST:
            return None
        if not message.get("more_body", False):
            return bytes(body)
