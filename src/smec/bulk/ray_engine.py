"""The Ray engine: each piece is a task of a Ray cluster.

Plain tasks, not Ray Data: pieces are cut by the plan, and a task reads and writes files and returns one
record. Ray Data would carry the rows through its object store and cut them anew, so that no shard would be
that of another engine, nor one that ``resume`` knows.
"""

from __future__ import annotations

import os
import re
import socket
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smec import __version__
from smec.bulk.manifest import MANIFEST_FILE, Failure, Piece, Shard, input_file
from smec.bulk.shard import Job, give_up, make_shard
from smec.data.places import Location
from smec.errors import ConfigError, DataError, MissingExtraError, OutputError, SmecError

DEATHS = {"process": 2, "node": 5}
"""How many of each a piece may cost. Nodes also die for reasons of their own, as spot machines do."""

CONNECT_SECONDS = 10


@dataclass(frozen=True)
class _Order:
    """What each task is given beside its piece: the job, and what tells whether its node fits."""

    job: Job
    manifest: str | None
    """Hash of the output folder's manifest as the driver sees it."""
    version: str


def check_ready() -> None:
    """Raise what would stop every run at its start, before anything is written.

    Raises
    ------
    ConfigError
        Nobody answers at ``RAY_ADDRESS``.
    MissingExtraError
        Ray is not installed: ``pip install 'smec[ray]'``.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if _ray().is_initialized() or not re.fullmatch(r"[^:/]+:\d+", address):
        return
    host, port = address.split(":")
    try:  # Ray itself would try for minutes.
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"RAY_ADDRESS={address}: no Ray cluster answers there ({error})") from error


def run(job: Job, pieces: Sequence[Piece], workers: int) -> Generator[Shard | Failure, None, None]:
    """Make the shards, in any order; a piece whose process dies twice becomes a `Failure`.

    Runs on the cluster that this process is connected to, else on the one that ``RAY_ADDRESS`` names or
    that runs on this machine, else on one of this machine alone that ends with the run.

    Raises
    ------
    ConfigError
        No cluster answers, or a node has another version of smec or none.
    DataError
        A node does not see an input that this machine sees.
    OutputError
        The disk refuses, or a node does not see the output folder.
    """
    if not pieces:
        return
    ray = _ray()
    with _connected(ray):
        order = ray.put(_Order(_portable(job), _manifest_hash(job.output), __version__))
        # One core, and so one thread: Ray lets BLAS and OpenMP have as many as the task has cores.
        # Ray itself retries nothing, as it would not tell how often a piece has cost a process.
        task = ray.remote(num_cpus=1, max_retries=0)(_make)
        waiting, deaths = deque(pieces), Counter[tuple[int, str]]()
        at_work: dict[Any, Piece] = {}
        try:
            while waiting or at_work:
                while waiting and len(at_work) < workers:
                    piece = waiting.popleft()
                    at_work[task.remote(order, piece)] = piece
                for done in ray.wait(list(at_work), num_returns=1)[0]:
                    piece = at_work.pop(done)
                    made = _outcome(ray, job, piece, done)
                    if isinstance(made, str):
                        deaths[piece.number, made] += 1
                        if deaths[piece.number, made] < DEATHS[made]:
                            waiting.append(piece)
                            continue
                        made = give_up(job, piece, _cause_of_death(made))
                    yield made
        finally:
            # The folder's lock is about to be let go: nobody may write there any more.
            for left in at_work:
                ray.cancel(left, force=True)
            if at_work:
                ray.wait(list(at_work), num_returns=len(at_work), timeout=CONNECT_SECONDS)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray", "engine 'ray'") from error
    return ray


@contextmanager
def _connected(ray: Any) -> Iterator[None]:
    if ray.is_initialized():  # whoever did that also ends it
        yield
        return
    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"engine 'ray': {reason}; set RAY_ADDRESS to that of a cluster, or stop the one that is gone "
            "with `ray stop`"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _portable(job: Job) -> Job:
    """The job as another machine can do it: with absolute paths.

    It is without its pieces, which each task would unpack, of a large plan all, but for the sake of one.
    """
    manifest = job.manifest.model_copy(update={"pieces": ()})
    return replace(
        job,
        manifest=manifest,
        output=_absolute(job.output),
        inputs=tuple(_absolute(location) for location in job.inputs),
    )


def _absolute(location: Location) -> Location:
    return location.absolute() if isinstance(location, Path) else location


def _cause_of_death(what: str) -> str:
    return f"its {what} died {DEATHS[what]} times: out of memory? Use fewer workers"


def _outcome(ray: Any, job: Job, piece: Piece, done: Any) -> Shard | Failure | str:
    """What a task has made, or of what it died."""
    errors = ray.exceptions
    try:
        made: Shard | Failure = ray.get(done)
        return made
    except (errors.WorkerCrashedError, errors.OutOfMemoryError):
        return "process"
    except errors.NodeDiedError:
        return "node"
    except errors.RayTaskError as error:
        # As raised by the task; Ray's own would print the traceback of the node.
        cause = error.cause
        if isinstance(cause, DataError) and not job.inputs[piece.input].exists():
            return give_up(job, piece, "the file is gone")
        if isinstance(cause, SmecError):
            raise cause from error
        if isinstance(cause, errors.RaySystemError):  # what the node was sent means nothing to it
            said = str(cause).splitlines()[0]
            raise ConfigError(
                f"a node of the cluster has another smec than the driver, or none: {said}"
            ) from error
        raise


def _make(order: _Order, piece: Piece) -> Shard | Failure:
    _check_node(order, order.job.inputs[piece.input])
    return make_shard(order.job, piece)


def _check_node(order: _Order, source: Location) -> None:
    """Raise unless this node can take the place of any other."""
    node = f"node {socket.gethostname()}"
    if __version__ != order.version:
        raise ConfigError(f"{node} has smec {__version__}, the driver has {order.version}; install the same")
    # Without this, a folder that is not shared would be made here, and its shards be lost.
    if _manifest_hash(order.job.output) != order.manifest:
        raise OutputError(
            f"{order.job.output}: {node} does not see this folder; name one of a filesystem that all share"
        )
    if not source.exists():
        raise DataError(f"{source}: {node} does not see it; inputs must be where all nodes see them")


def _manifest_hash(output: Location) -> str | None:
    """None where there is none; another where a folder of another machine has the same name."""
    try:
        return input_file(output / MANIFEST_FILE, rows=0).edges_sha256
    except DataError:
        return None
