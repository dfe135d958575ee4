"""Compress files of any number and size into a folder of shards: restartable, by several processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from smec.bulk.locks import LOCK, locked
from smec.bulk.manifest import (
    MANIFEST_FILE,
    RECORDS,
    Failure,
    Manifest,
    Shard,
    check_same,
    finished,
    read_manifest,
    write_record,
)
from smec.bulk.plan import ENGINES, ROWS_PER_SHARD, prepare_shards
from smec.bulk.shard import Job
from smec.codecs import code_bytes
from smec.compressor import Compressor
from smec.data.places import Location, Place
from smec.errors import OutputError
from smec.feedback import Feedback

OnShard = Callable[[int, int], None]


@dataclass(frozen=True)
class Sharded:
    """What `compress_shards` has made.

    Parameters
    ----------
    rows : int
        In finished shards.
    shards : int
    reused : int
        Shards that an earlier run had finished.
    dim : int
    codec : str
    bytes_per_vector : int
    moved, judged : int or None
        Documents in finished shards that feedback has moved, and those that it judges; None without it.
    failures : tuple of Failure
        Pieces that could not be read.
    output : Path or Place
    """

    rows: int
    shards: int
    reused: int
    dim: int
    codec: str
    bytes_per_vector: int
    moved: int | None
    judged: int | None
    failures: tuple[Failure, ...]
    output: Location


def compress_shards(
    compressor: Compressor,
    source: str | Path | Place,
    output: str | Path | Place,
    *,
    dim: int | None = None,
    from_dim: int | None = None,
    codec: str | None = None,
    feedback: Feedback | None = None,
    workers: int = 1,
    engine: str = "local",
    rows_per_shard: int = ROWS_PER_SHARD,
    resume: bool = False,
    force: bool = False,
    progress: OnShard | None = None,
) -> Sharded:
    """Write the embeddings of ``source`` as Parquet shards into the folder ``output``.

    Each shard is of rows of one input file that follow each other. A shard that cannot be read is
    left out and reported, and the others go on. However often a run is broken and resumed, the
    folder ends as that of an unbroken run, byte for byte.

    Parameters
    ----------
    compressor : Compressor
    source : str, Path or Place
        A file, a folder or a glob of files, all Parquet, all Arrow IPC or all ``.npy``. A string may be the
        URI of a store that pyarrow or fsspec can reach, such as ``s3://bucket/prefix``.
    output : str, Path or Place
        A folder, or a URI.
    dim, from_dim, codec, feedback
        As for `compress`; the folder's manifest tells of the feedback, as all shards share it.
    workers : int
        Processes; each has its share of the cores, on Ray one.
    engine : str
        "local": processes of this machine. "ray": tasks of a Ray cluster, all of whose nodes must see inputs
        and output under the same paths, or they are in a store; ``pip install 'smec[ray]'``.
    rows_per_shard : int
        At most, unless a row group of the input is larger.
    resume : bool
        Finish what an earlier run began: its finished shards are verified and kept.
    force : bool
        Replace the folder if it exists.
    progress : callable, optional
        Called with (rows done, rows in all) after each shard, and before the first where some were kept.

    Raises
    ------
    ConfigError
        As for `compress`; or to resume with other inputs, another compressor or other settings; an unknown
        engine, or no Ray cluster answers.
    DataError
        There are no inputs, one is damaged at the start, or with feedback one has no ids.
    OutputError
        ``output`` exists, another run is at work in it, or the disk refuses.
    """
    output, inputs, plan = prepare_shards(
        compressor,
        source,
        output,
        dim=dim,
        from_dim=from_dim,
        codec=codec,
        feedback=feedback,
        workers=workers,
        engine=engine,
        rows_per_shard=rows_per_shard,
        resume=resume,
        force=force,
    )
    with locked(output) as check_lock:
        begun = (output / MANIFEST_FILE).exists()
        if begun and not (resume or force):
            raise OutputError(f"{output}: another run has been there meanwhile; finish it with --resume")
        kept = _prepared(output, plan, resume=resume and begun)
        job = Job(compressor, plan, output, from_dim, inputs, feedback)
        made: list[Shard | Failure] = list(kept.values())
        done = sum(shard.rows for shard in kept.values())
        if progress is not None and kept:
            progress(done, plan.rows)
        missing = [piece for piece in plan.pieces if piece.number not in kept]
        # Closed, so that whatever ends this, no process writes any more when the lock is let go.
        with closing(ENGINES[engine](job, missing, min(workers, max(1, len(missing))))) as results:
            for one in results:
                check_lock()
                made.append(one)
                done += plan.pieces[one.number].rows
                if progress is not None:
                    progress(done, plan.rows)
        complete = _finished(output, plan, made)
    return Sharded(
        rows=sum(shard.rows for shard in complete.shards),
        shards=len(complete.shards),
        reused=len(kept),
        dim=plan.dim,
        codec=plan.codec,
        bytes_per_vector=code_bytes(plan.codec, plan.dim),
        moved=None if feedback is None else sum(shard.moved for shard in complete.shards),
        judged=None if feedback is None else len(feedback),
        failures=complete.failures,
        output=output,
    )


def _prepared(output: Location, plan: Manifest, *, resume: bool) -> dict[int, Shard]:
    """The finished shards of the plan that is resumed; else an empty folder with the new plan."""
    if resume:
        kept = finished(output)
        check_same(output, read_manifest(output), plan, kept)
        if len(kept) < len(plan.pieces):  # it is not complete any more, if it was
            write_record(output / MANIFEST_FILE, plan.model_copy(update={"shards": tuple(kept.values())}))
        _remove(output, {MANIFEST_FILE, RECORDS, *(plan.pieces[number].file for number in kept)})
        return kept
    _remove(output, set())
    write_record(output / MANIFEST_FILE, plan)
    return {}


def _remove(output: Location, kept: set[str]) -> None:
    """Remove all but these names and the lock: what a killed run left half-written, or an old job."""
    for child in output.iterdir():
        if child.name in kept or child.name == LOCK:
            continue
        if isinstance(child, Place):
            child.delete()
        elif child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()


def _finished(output: Location, plan: Manifest, made: list[Shard | Failure]) -> Manifest:
    """Write the manifest of what was made; remove the records in it, and what dead workers left."""
    shards = sorted((one for one in made if isinstance(one, Shard)), key=lambda shard: shard.number)
    failures = sorted((one for one in made if isinstance(one, Failure)), key=lambda one: one.number)
    complete = plan.model_copy(
        update={
            "state": "incomplete" if failures else "complete",
            "shards": tuple(shards),
            "failures": tuple(failures),
        }
    )
    write_record(output / MANIFEST_FILE, complete)
    _remove(output, {MANIFEST_FILE, *(plan.pieces[shard.number].file for shard in shards)})
    return complete
