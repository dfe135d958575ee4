"""Connections that cannot be held open by clients which send or read slowly, or never."""

from __future__ import annotations

import asyncio
from typing import Any

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 64 << 10
"""Bytes of a request's line and headers."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits of time and length for the head of a request, and for its answer.

    uvicorn itself waits without end for a first request, for the rest of a head or of a body that was
    already refused, and for a client to read what was sent to it.
    """

    head_seconds = 10.0
    send_seconds = 30.0

    @property
    def unused(self) -> bool:
        """Whether the connection is open and has not carried one whole head of a request yet."""
        return self.cycle is None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._head = 0
        self._fed = 0
        self._left = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget all timers: each would keep the connection's memory until its end."""
        self._disarm()
        self._trust()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Count what is no body, and wait again where this was no request, or not all of a head."""
        self._fed += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            self._doubt()
            return
        # The parser gathers a line of a head until it is whole, and only then tells of it.
        if self._fed > MOST_HEAD:
            self.send_400_response("The head of the request is too long.")
            return
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
        self._fed = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._fed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._fed = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is handed to the system, or waits for its client."""
        super().on_response_complete()
        self._doubt()

    def pause_writing(self) -> None:
        """The client reads slower than is written to it."""
        super().pause_writing()
        self._doubt(paused=True)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._trust()
        super().resume_writing()
        self._doubt()

    def timeout_keep_alive_handler(self) -> None:
        """No further request came."""
        super().timeout_keep_alive_handler()
        self._doubt()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, and close."""
        super().send_400_response(msg)
        self._doubt()

    def shutdown(self) -> None:
        """The server ends."""
        super().shutdown()
        self._doubt()

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MOST_HEAD:
            raise HttpParserError("the head of the request is too long")

    def _arm(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.head_seconds, self._expire)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self.transport.close()
        self._doubt()

    def _doubt(self, *, paused: bool = False) -> None:
        """Watch a connection that closes, or writes no more, only when its client has read."""
        unread = self._unread()
        if self._stalled is None and unread and (paused or self.transport.is_closing()):
            self._left = unread
            self._stalled = self.loop.call_later(self.send_seconds, self._look)

    def _look(self) -> None:
        self._stalled = None
        if self._unread() >= self._left:
            self.transport.abort()  # closing would wait for the client
        else:  # slow, but at it
            self._doubt(paused=True)

    def _unread(self) -> int:
        try:
            return self.transport.get_write_buffer_size()
        except AttributeError:  # of TLS that was closed twice: asyncio has a time of its own for that
            return 0

    def _trust(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


def bounded_protocol(head_seconds: float, send_seconds: float) -> type[asyncio.Protocol]:
    """A `BoundedProtocol` with these times for a head, and for a client to read anything."""
    fields: dict[str, Any] = {"head_seconds": head_seconds, "send_seconds": send_seconds}
    return type("BoundedProtocol", (BoundedProtocol,), fields)
