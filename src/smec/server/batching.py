"""Requests whose vectors arrive together are projected together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from smec.compressor import Compressor
from smec.server.metrics import Metrics
from smec.vectors import BLOCK_ROWS, Float32Array, FloatArray, row_blocks

INLINE_ROWS = 256
"""Up to so many rows, a product costs less than handing it to a thread."""

Done = TypeVar("Done")


@dataclass(frozen=True)
class _Job:
    compressor: Compressor
    dim: int
    queries: bool
    vectors: Float32Array
    done: asyncio.Future[Float32Array]


class Batcher:
    """Projects small requests in batches on the event loop, large ones block by block in a thread.

    A batch is what has arrived since the last one: nobody waits for it to fill.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._pending: list[_Job] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="smec-projection")

    async def encode(
        self, compressor: Compressor, vectors: FloatArray, dim: int, queries: bool = False
    ) -> Float32Array:
        """Compress ``(n, D)`` queries or documents to ``(n, dim)`` unit rows.

        Raises
        ------
        DataError
            A row with NaN, Inf or only zeros, or one that has nothing left when it is small.
        """
        if len(vectors) > INLINE_ROWS:
            return await self.run(encoded, compressor, vectors, dim, queries)
        loop = asyncio.get_running_loop()
        if not self._pending:
            loop.call_soon(self._project)
        job = _Job(compressor, dim, queries, np.asarray(vectors, dtype=np.float32), loop.create_future())
        self._pending.append(job)
        return await job.done

    async def run(self, work: Callable[..., Done], *arguments: Any) -> Done:
        """Do work of many rows in the thread, one after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _project(self) -> None:
        jobs, self._pending = self._pending, []
        alike: dict[tuple[int, int, bool], list[_Job]] = {}
        for job in jobs:  # after a reload, requests of before still have their compressor
            alike.setdefault((id(job.compressor), job.dim, job.queries), []).append(job)
        for group in alike.values():
            self._metrics.batch_requests.observe(len(group))
            self._metrics.batch_rows.observe(sum(len(job.vectors) for job in group))
            _project(group)

    def close(self) -> None:
        """End the thread when it has finished its work."""
        self._thread.shutdown()


def _project(jobs: list[_Job]) -> None:
    try:
        together = np.concatenate([job.vectors for job in jobs]) if len(jobs) > 1 else jobs[0].vectors
        small = _encoder(jobs[0].compressor, jobs[0].queries)(together, jobs[0].dim)
    except Exception as error:  # a job that is never done would keep its request, and its place, for ever
        if len(jobs) > 1:  # one request's row is at fault: the others must not suffer
            for job in jobs:
                _project([job])
        elif not jobs[0].done.done():
            jobs[0].done.set_exception(error)
        return
    start = 0
    for job in jobs:
        if not job.done.done():  # its request may have run out of time
            job.done.set_result(small[start : start + len(job.vectors)])
        start += len(job.vectors)


def encoded(compressor: Compressor, vectors: FloatArray, dim: int, queries: bool) -> Float32Array:
    """`Compressor.encode` or `Compressor.encode_queries`, block by block into one result."""
    encode = _encoder(compressor, queries)
    if len(vectors) <= BLOCK_ROWS:
        return encode(vectors, dim)
    small = np.empty((len(vectors), dim), dtype=np.float32)
    for rows in row_blocks(len(vectors)):
        small[rows] = encode(vectors[rows], dim)
    return small


def _encoder(compressor: Compressor, queries: bool) -> Callable[[FloatArray, int], Float32Array]:
    return compressor.encode_queries if queries else compressor.encode
