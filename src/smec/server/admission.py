"""Back-pressure: how many requests, and how many bytes of their bodies, are taken at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from starlette.requests import ClientDisconnect, Request

from smec.server.metrics import Metrics
from smec.server.refusals import Refusal
from smec.server.settings import LimitSettings
from smec.server.time_limits import time_limit

RETRY_SECONDS = 1.0

Body = TypeVar("Body", bytearray, memoryview)


class Admission:
    """A bounded queue: a request gets a place before its body is read, or 429.

    Parameters
    ----------
    limits : LimitSettings
    metrics : Metrics
    """

    def __init__(self, limits: LimitSettings, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._requests = 0
        self._bytes = 0

    @contextmanager
    def place(self, request: Request, most: int) -> Iterator[int]:
        """Hold a place, and room for the body, for the length of a ``with`` block.

        Parameters
        ----------
        request : Request
        most : int
            Bytes that its body may have.

        Yields
        ------
        int
            Bytes that the body may have: what its head announces, or ``most``.

        Raises
        ------
        Refusal
            413 for a longer body, 429 where there is no place.
        """
        size = _announced(request, most)
        if self._requests >= self._limits.waiting or self._bytes + size > self._limits.memory_bytes:
            raise Refusal(
                429,
                "the server is at its limit of requests that wait; try again later",
                kind="rate_limit_error",
                code="queue_full",
                retry_after=RETRY_SECONDS,
            )
        self._requests += 1
        self._bytes += size
        self._metrics.in_flight.set(self._requests)
        try:
            yield size
        finally:
            self._requests -= 1
            self._bytes -= size
            self._metrics.in_flight.set(self._requests)

    async def body(self, request: Request, most: int) -> bytearray:
        """The whole body, at most ``most`` bytes.

        Raises
        ------
        Refusal
            413 when it is longer, 408 when it does not arrive in time, 400 when the client goes away.
        """
        body: bytearray = await self._in_time(_received(request, most))
        return body

    async def bulk_body(self, request: Request, most: int) -> memoryview:
        """`body` for many bytes, in memory of numpy's.

        numpy asks for huge pages, where a bytearray meets a page fault every 4 kB: of 50 MB they take three
        quarters of the time.
        """
        body: memoryview = await self._in_time(_gathered(request, most))
        return body

    async def _in_time(self, receiving: Awaitable[Body]) -> Body:
        try:
            async with time_limit(self._limits.body_seconds):
                return await receiving
        except asyncio.TimeoutError:
            message = f"the body did not arrive within {self._limits.body_seconds:g} s"
            raise Refusal(408, message, code="body_timeout") from None
        except ClientDisconnect:
            raise Refusal(400, "the client went away before its body was here", code="incomplete") from None


def _announced(request: Request, most: int) -> int:
    text = request.headers.get("content-length")
    if text is None:  # chunked: it may be as long as is allowed
        return most
    size = int(text) if text.isascii() and text.isdecimal() else most + 1
    if size > most:
        raise _too_long(most)
    return size


async def _gathered(request: Request, most: int) -> memoryview:
    body, size = np.empty(most, dtype=np.uint8).data, 0
    async for part in request.stream():
        end = size + len(part)
        if end > most:
            raise _too_long(most)
        body[size:end] = part
        size = end
    return body[:size]


async def _received(request: Request, most: int) -> bytearray:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise _too_long(most)
    return body


def _too_long(most: int) -> Refusal:
    return Refusal(413, f"the body is longer than the allowed {most} bytes", code="body_too_long")
