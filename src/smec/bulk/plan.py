"""Plan of a sharded compression, with all that is checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from smec.artefact_files import tensors_hash
from smec.bulk import local, ray_engine
from smec.bulk.compress import check_apart, chosen_codec, sizes
from smec.bulk.encoding import check_feedback
from smec.bulk.manifest import MANIFEST_FILE, Manifest
from smec.bulk.pieces import cut, find_inputs
from smec.compressor import Compressor
from smec.data.places import Location, Place, holds, located, reason
from smec.errors import ConfigError, DataError, OutputError
from smec.feedback import Feedback

ROWS_PER_SHARD = 1 << 18
MOST_SHARDS = 100_000
"""Beyond, their names would not be in the order of their numbers."""
ENGINES = {"local": local.run, "ray": ray_engine.run}
"""Name -> what runs the pieces of a job, so many at once."""

_MADE = r"shards|part-\d+\.parquet"
_OURS = r"_manifest\.json|shards|part-\d+\.parquet|\.lock|\.(part-\d+\.parquet|_manifest\.json)\..*"
"""Names in an output folder, those of files that were being written among them."""


def prepare_shards(
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
) -> tuple[Location, list[Location], Manifest]:
    """Check all that `compress_shards` checks before it writes; arguments and errors are its own.

    Returns
    -------
    output : Path or Place
    inputs : list of Path or Place
    plan : Manifest
    """
    source, output = located(source), located(output)
    check_feedback(feedback, compressor, from_dim)
    if workers < 1 or rows_per_shard < 1:
        raise ConfigError(f"workers and rows per shard must be 1 or more, got {workers} and {rows_per_shard}")
    if engine not in ENGINES:
        raise ConfigError(f"unknown engine {engine!r}; there are {', '.join(ENGINES)}")
    if engine == "ray":
        ray_engine.check_ready()
    check_apart(source, output)
    inputs = find_inputs(source)
    for file in inputs:
        if holds(output, file):
            raise OutputError(f"{output}: holds the input {file}; name another output")
    _check_free(output, resume=resume, force=force)
    plan = _plan(compressor, inputs, dim, from_dim, codec, feedback, rows_per_shard)
    return output, inputs, plan


def _plan(
    compressor: Compressor,
    files: Sequence[Location],
    dim: int | None,
    from_dim: int | None,
    codec: str | None,
    feedback: Feedback | None,
    rows_per_shard: int,
) -> Manifest:
    width, small = sizes(compressor, from_dim, dim)
    name = codec or chosen_codec(compressor, small)
    tensors = compressor.codec(name, small).tensors()
    inputs, pieces = cut(files, rows_per_shard)
    for found in inputs:
        if feedback is not None and found.path.endswith(".npy") and found.ids_sha256 is None:
            raise DataError(
                f"{found.path}: has no ids, by which feedback finds documents; write them into the .ids.txt "
                "beside it"
            )
    if len(pieces) > MOST_SHARDS:
        raise ConfigError(f"{len(pieces):,} shards, of {MOST_SHARDS:,} at most; raise --rows-per-shard")
    return Manifest(
        model=compressor.fingerprint,
        calibration=tensors_hash(tensors) if tensors else None,
        input_dim=width,
        from_dim=from_dim,
        dim=small,
        codec=name,
        feedback=feedback.stamp if feedback else None,
        rows_per_shard=rows_per_shard,
        inputs=inputs,
        pieces=pieces,
    )


def _check_free(output: Location, *, resume: bool, force: bool) -> None:
    """Raise OutputError when the output exists, or is anything else than a job of ours to go on with."""
    try:
        exists = output.exists()
        if exists and not (resume or force):
            raise OutputError(
                f"{output}: exists already; finish it with --resume, name another output, or replace it with "
                "--force"
            )
        if exists and not output.is_dir():
            raise OutputError(f"{output}: is a file; name a folder")
        children: list[Location] = [*output.iterdir()] if exists else []
        names = {child.name for child in children}
        if not force and MANIFEST_FILE not in names and any(re.fullmatch(_MADE, name) for name in names):
            raise OutputError(
                f"{output}: holds shards, but no {MANIFEST_FILE} to go on with; name another folder, or "
                "replace them with --force"
            )
        for child in children:
            if not re.fullmatch(_OURS, child.name):
                raise OutputError(
                    f"{output}: holds {child.name}, which is not of a compression; name another folder"
                )
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {reason(error)}") from error
