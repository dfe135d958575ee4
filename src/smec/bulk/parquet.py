"""Parquet: one file or a folder of shards in, one file out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from smec.atomic import replacing
from smec.bulk.blocks import Block, Rows, Source, Write
from smec.bulk.tables import appending, expressible, stored_field, table_blocks
from smec.data.columns import check_schema
from smec.data.readers import reading
from smec.errors import DataError
from smec.vectors import BLOCK_ROWS

READ_BUFFER = 1 << 20
"""Bytes of a column that are read together; without a buffer pyarrow holds a whole row group."""


def source(path: Path, dim: int, rows: Rows | None = None) -> Source:
    """Open a Parquet file, or the shards ``*.parquet`` of a folder in the order of their names.

    ``rows`` are whole row groups of one file.

    Raises
    ------
    DataError
        No Parquet or not all of it, a column is missing, or shards with different columns.
    """
    shards = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not shards:
        raise DataError(f"{path}: holds no *.parquet shards")
    opened = [_schema_and_rows(shard) for shard in shards]
    schema = opened[0][0]
    for shard, (other, _) in zip(shards, opened, strict=True):
        _check_columns(shard, other, shards[0], schema)
    count = sum(of_shard for _, of_shard in opened) if rows is None else rows.count
    return Source(count, schema, _blocks(shards, dim, rows))


def lumps(path: Path, most: int) -> list[int]:
    """Rows of each row group.

    Raises
    ------
    DataError
        No Parquet or not all of it, or a column is missing.
    """
    with reading(path, "Parquet", pa.ArrowException), pq.ParquetFile(path) as file:
        check_schema(file.schema_arrow, str(path))
        return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def _schema_and_rows(path: Path) -> tuple[pa.Schema, int]:
    with reading(path, "Parquet", pa.ArrowException), pq.ParquetFile(path) as file:
        check_schema(file.schema_arrow, str(path))
        return file.schema_arrow, file.metadata.num_rows


def _check_columns(path: Path, schema: pa.Schema, first: Path, expected: pa.Schema) -> None:
    for here, there in zip_longest(_columns(schema), _columns(expected), fillvalue="no more columns"):
        if here != there:
            raise DataError(f"{path}: shards must have the same columns; it has {here}, {first.name} {there}")


def _columns(schema: pa.Schema) -> list[str]:
    # The vectors' own type may differ: it is replaced, and their width is checked row by row.
    return ["vector" if field.name == "vector" else f"{field.name} ({field.type})" for field in schema]


def _blocks(shards: Sequence[Path], dim: int, rows: Rows | None) -> Iterator[Block]:
    for path in shards:
        yield from table_blocks(_batches(path, rows), str(path), dim, rows.first if rows else 0)


def _batches(path: Path, rows: Rows | None) -> Iterator[pa.RecordBatch]:
    with (
        reading(path, "Parquet", pa.ArrowException),
        pq.ParquetFile(path, buffer_size=READ_BUFFER, pre_buffer=False) as file,
    ):
        yield from file.iter_batches(batch_size=BLOCK_ROWS, row_groups=_groups(file, rows))


def _groups(file: pq.ParquetFile, rows: Rows | None) -> list[int]:
    groups, first = [], 0
    for group in range(file.num_row_groups):
        if rows is None or rows.first <= first < rows.first + rows.count:
            groups.append(group)
        first += file.metadata.row_group(group).num_rows
    return groups


@contextmanager
def writing(output: Path, source: Source, schema: pa.Schema, *, force: bool) -> Iterator[Write]:
    """Write a Parquet file, a row group for every block.

    Raises
    ------
    OutputError
        ``output`` exists, the disk refuses, or Parquet has no such column type.
    """
    with (
        replacing(output, force=force) as part,
        expressible(output, "Parquet"),
        pq.ParquetWriter(part, schema, use_dictionary=_repeating(schema)) as writer,
    ):
        yield appending(writer.write_batch, schema)


def _repeating(schema: pa.Schema) -> list[str]:
    """Paths of the columns to write with a dictionary: all but the vectors.

    Numbers of a unit vector hardly repeat: with a dictionary 24 float32 dims take 1.6 times their size.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    leaves = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    paths = (leaves.column(leaf).path for leaf in range(len(leaves)))
    stored = f"{stored_field(schema).name}."
    return [path for path in paths if not path.startswith(stored)]
