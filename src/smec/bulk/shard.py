"""One piece of an input becomes one Parquet shard: what every engine runs, wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smec.bulk import parquet
from smec.bulk.encoding import BlockEncoder, check_origin, numbered
from smec.bulk.manifest import RECORDS, Failure, Manifest, Piece, Shard, check_unchanged, write_record
from smec.bulk.pipeline import overlapped
from smec.bulk.tables import compressed_schema
from smec.bulk.uploads import file_sha256, here
from smec.codecs import Codec
from smec.compressor import Compressor
from smec.data.blocks import Rows
from smec.data.places import Location
from smec.data.readers import streamed
from smec.errors import DataError
from smec.feedback import Feedback


@dataclass(frozen=True)
class Job:
    """All that making a shard takes.

    Parameters
    ----------
    compressor : Compressor
    manifest : Manifest
    output : Path or Place
        The folder.
    from_dim : int or None
        As for `compress`.
    inputs : sequence of Path or Place
        Those of the manifest, and how their store is reached.
    feedback : Feedback or None
        Moves judged documents.
    """

    compressor: Compressor
    manifest: Manifest
    output: Location
    from_dim: int | None
    inputs: Sequence[Location]
    feedback: Feedback | None

    @property
    def codec(self) -> Codec:
        """What stores the vectors."""
        return self.compressor.codec(self.manifest.codec, self.manifest.dim)


def make_shard(job: Job, piece: Piece) -> Shard | Failure:
    """Write the shard of a piece and its record; a piece that cannot be read becomes a `Failure`.

    Raises
    ------
    OutputError
        The disk refuses: no other shard would do better.
    """
    try:
        with here(job.output / piece.file) as file:
            moved = _write(job, piece, file)
            size, digest = file.stat().st_size, file_sha256(file)
    except (DataError, MemoryError) as error:
        path = job.manifest.inputs[piece.input].path
        said = str(error) if isinstance(error, DataError) else f"{path}: out of memory; use fewer workers"
        failure = Failure(number=piece.number, error=said)
        record(job.output, failure)
        return failure
    shard = Shard(number=piece.number, rows=piece.rows, bytes=size, sha256=digest, moved=moved)
    record(job.output, shard)
    return shard


def give_up(job: Job, piece: Piece, why: str) -> Failure:
    """Record the failure of a piece whose process cannot do that itself."""
    path = job.manifest.inputs[piece.input].path
    said = f"{path}: the {piece.rows} rows from {piece.first_row} on cannot be made: {why}"
    failure = Failure(number=piece.number, error=said)
    record(job.output, failure)
    return failure


def record(output: Location, made: Shard | Failure) -> None:
    """Write down what became of a piece."""
    write_record(output / RECORDS / f"{made.number:05}.json", made)


def _write(job: Job, piece: Piece, file: Path) -> int:
    """Write the shard, and return how many documents feedback has moved in it."""
    path = job.inputs[piece.input]
    codec = job.codec
    rows = Rows(piece.first_row, piece.rows)
    source = streamed(path.suffix).source(path, job.manifest.input_dim, rows)
    if job.from_dim is not None:
        check_origin(source.schema, job.compressor, job.from_dim, str(path))
    schema = compressed_schema(source.schema, codec=codec, model=job.manifest.model)
    blocks = source.blocks if source.has_ids else numbered(source, _rows_before(job, piece))
    id_column = source.schema.get_field_index("id")
    encoder = BlockEncoder(job.compressor, job.manifest.dim, job.from_dim, job.feedback, id_column)
    done = 0
    with parquet.writing(file, source, schema, force=True) as write:
        for block in overlapped(blocks, encoder, codec, write):
            done += len(block.vectors)
        if done != piece.rows:
            raise DataError(f"{path}: has {done} of the {piece.rows} rows from {piece.first_row} on")
        check_unchanged(path, job.manifest.inputs[piece.input])
    return encoder.moved


def _rows_before(job: Job, piece: Piece) -> int:
    return sum(file.rows for file in job.manifest.inputs[: piece.input])
