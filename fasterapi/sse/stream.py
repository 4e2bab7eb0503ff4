"""The context manager SSEStream: an event stream that is kept alive, and closed in the end."""

from __future__ import annotations

from types import TracebackType

from fasterapi.sse.connection import SSE


class SSEStream:
    """``async with SSEStream(sse) as sse``: starts the response, pings it when it is silent, closes it.

    The body's exception always wins over one of closing.

    Args:
        keep_alive_interval: seconds of silence before a ping.
    """

    def __init__(self, sse: SSE, keep_alive_interval: float = 30.0) -> None:
        self._sse = sse
        sse.set_keep_alive(keep_alive_interval)

    async def __aenter__(self) -> SSE:
        await self._sse.start()
        return self._sse

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._sse.close()
        except BaseException:
            if error is None:
                raise
