"""Connections that cannot be held open by clients which send their requests slowly, or never."""

from __future__ import annotations

import asyncio
from typing import Any

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 64 << 10
"""Bytes of a request's line and headers."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a limit of time and length for the head of a request.

    uvicorn itself waits without end for a first request, and for the rest of a head or of a body that was
    already refused.
    """

    head_seconds = 10.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._head = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget both timers: each would keep the connection's memory until its end."""
        self._disarm()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Wait again where this was no request, or not all of a head."""
        super().data_received(data)
        waiting = self.cycle is None or self.cycle.response_complete
        if waiting and self._deadline is None and self.timeout_keep_alive_task is None:
            self._arm()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Part of the request's line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: the application has its own limits for the body."""
        self._disarm()
        super().on_headers_complete()

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MOST_HEAD:
            raise HttpParserError("the head of the request is too long")

    def _arm(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.head_seconds, self.transport.close)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bounded_protocol(head_seconds: float) -> type[asyncio.Protocol]:
    """A `BoundedProtocol` with this time for a head."""
    fields: dict[str, Any] = {"head_seconds": head_seconds}
    return type("BoundedProtocol", (BoundedProtocol,), fields)
