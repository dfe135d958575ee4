"""The local engine: a pool of processes, each with its share of the cores."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread, current_thread, main_thread
from typing import Any

from smec.bulk.manifest import Failure, Piece, Shard
from smec.bulk.shard import Job, give_up, make_shard

AHEAD = 2
"""Pieces that wait per worker: the others are not handed out before there is room."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

DIED = (
    "its process died 2 times: out of memory (use fewer workers), an input that cannot be read any more, or, "
    "from a script, no `if __name__ == '__main__':` around the call"
)

_job: Job | None = None
"""Of a worker's process."""


def run(job: Job, pieces: Sequence[Piece], workers: int) -> Generator[Shard | Failure, None, None]:
    """Make the shards, in any order; a piece whose process dies twice becomes a `Failure`.

    Raises
    ------
    OutputError
        The disk refuses.
    """
    if workers == 1:
        yield from (make_shard(job, piece) for piece in pieces)
        return
    suspects: list[Piece] = []
    waiting = list(pieces)
    while waiting:
        yield from _pool(job, waiting, workers, suspects)
        # After a death the pool is lost; what was not at work still waits and is innocent.
        for piece in suspects:
            yield _alone(job, piece)
        suspects = []


def _pool(job: Job, waiting: list[Piece], workers: int, suspects: list[Piece]) -> Iterator[Shard | Failure]:
    """Work off ``waiting``; if a process dies, the pieces at work are left in ``suspects``."""
    at_work: dict[Future[Shard | Failure], Piece] = {}
    with _few_threads(workers), _processes(job, workers) as pool:
        while waiting or at_work:
            while waiting and len(at_work) < AHEAD * workers:
                try:
                    at_work[pool.submit(_make, waiting[0])] = waiting[0]
                except BrokenProcessPool:
                    suspects.extend(at_work.values())
                    return
                waiting.pop(0)
            for future in wait(at_work, return_when=FIRST_COMPLETED).done:
                try:
                    made = future.result()
                except BrokenProcessPool:
                    suspects.extend(at_work.values())
                    return
                del at_work[future]
                yield made


def _alone(job: Job, piece: Piece) -> Shard | Failure:
    with _processes(job, 1) as pool:
        try:
            return pool.submit(_make, piece).result()
        except BrokenProcessPool:
            return give_up(job, piece, DIED)


class _Pool(ProcessPoolExecutor):
    """Its processes, which start when work is handed out, do not hear Ctrl-C: the run ends them."""

    def submit(self, *args: Any, **options: Any) -> Future[Any]:
        """Hand out work."""
        with _uninterrupted():
            return super().submit(*args, **options)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block is over, and processes that start in it do not hear it at all."""
    if current_thread() is not main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    heard: list[int] = []
    # Both: another thread may take the signal, and processes inherit what is blocked, not a handler.
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler or signal.SIG_DFL)
    if heard:
        raise KeyboardInterrupt


@contextmanager
def _processes(job: Job, workers: int) -> Iterator[ProcessPoolExecutor]:
    # Not forked: the threads of BLAS and Arrow do not survive that.
    pool = _Pool(workers, get_context("spawn"), initializer=_begin, initargs=(job,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _few_threads(workers: int) -> Iterator[None]:
    """The environment that workers start in: their BLAS and OpenMP share the cores."""
    before = {name: os.environ.get(name) for name in _THREADS}
    share = str(max(1, (os.cpu_count() or 1) // workers))
    os.environ.update(dict.fromkeys(_THREADS, share))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin(job: Job) -> None:
    global _job
    _job = job
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A run that is killed cannot end its workers, and its folder is free: they must not write on there.
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make(piece: Piece) -> Shard | Failure:
    assert _job is not None
    return make_shard(_job, piece)
