"""Parquet: one file, or a folder of shards in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, zip_longest
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smec.data.blocks import Block, Rows, Source, alike, check_dtype, table_blocks
from smec.data.columns import (
    COLUMNS,
    REQUIRED,
    VECTOR,
    check_schema,
    columns_beside,
    string_column,
    table_embeddings,
)
from smec.data.embeddings import Embeddings
from smec.data.places import Location, opened, reason
from smec.data.readers import reading
from smec.errors import DataError, OutputError
from smec.vectors import BLOCK_ROWS, FloatArray

READ_BUFFER = 1 << 20
"""Bytes of a column that are read together; without a buffer pyarrow holds a whole row group."""

FAR_BUFFER = 8 << 20
"""The same for a store, where each reading is a request."""

IN_MEMORY = 1 << 30
"""Bytes of vectors above which they are not held in memory, but decoded into a temporary file."""


def read(path: Path) -> Embeddings:
    """Read the columns ``id``, ``vector`` and, where they are, ``text`` and ``title``.

    Many vectors come as a memory map of a temporary file, which is gone when they are.

    Raises
    ------
    DataError
        No Parquet or not all of it, a column is missing, shards that differ, or a row cannot be used.
    OutputError
        There is no room for the temporary file.
    """
    shards = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if sum(map(_vector_bytes, shards)) > IN_MEMORY:
        return _decoded(path)
    return _joined(path) if path.is_dir() else _file(path)


def _vector_bytes(path: Path) -> int:
    with reading(path, "Parquet", pa.ArrowException), pq.ParquetFile(path) as file:
        groups = (file.metadata.row_group(group) for group in range(file.num_row_groups))
        columns = (group.column(place) for group in groups for place in range(group.num_columns))
        return sum(one.total_uncompressed_size for one in columns if one.path_in_schema.startswith("vector."))


def _decoded(path: Path) -> Embeddings:
    opened = source(path)
    places = {name: opened.schema.get_field_index(name) for name in COLUMNS if name in opened.schema.names}
    strings: dict[str, list[str]] = {name: [] for name in places if name != "vector"}
    dtype, width = np.dtype(np.float32), 0
    with _temporary_file(path) as file:
        for block in alike(opened.blocks):
            dtype, width = block.vectors.dtype, block.vectors.shape[1]
            file.write(np.ascontiguousarray(block.vectors).data)
            for name, found in strings.items():
                found += [text or "" for text in string_column(block.columns[places[name]], block.name, name)]
        file.flush()
        vectors: FloatArray = np.memmap(file, dtype, mode="r", shape=(opened.rows, width))
    return Embeddings(strings["id"], vectors, strings.get("text"), strings.get("title"), str(path))


@contextmanager
def _temporary_file(path: Path) -> Iterator[BinaryIO]:
    try:
        with TemporaryFile() as file:
            yield file
    except OSError as error:
        raise OutputError(
            f"{path}: its vectors cannot be decoded into the folder for temporary files: {reason(error)}; "
            "set TMPDIR to another"
        ) from error


def _file(path: Path) -> Embeddings:
    with reading(path, "Parquet", pa.ArrowException), pq.ParquetFile(path, memory_map=True) as file:
        table = file.read(columns=check_schema(file.schema_arrow, str(path)))
    return table_embeddings(table, str(path))


def _joined(folder: Path) -> Embeddings:
    shards = [_file(path) for path in sorted(folder.glob("*.parquet"))]
    if not shards:
        raise DataError(f"{folder}: holds no *.parquet shards")
    if len(shards) == 1:
        return shards[0]
    for shard in shards[1:]:
        _check_like(shard, shards[0])
        check_dtype(shard.vectors, shard.name, shards[0].vectors.dtype)
    return Embeddings(
        ids=list(chain.from_iterable(shard.ids for shard in shards)),
        vectors=np.concatenate([shard.vectors for shard in shards]),
        texts=None if shards[0].texts is None else [text for s in shards for text in s.texts or ()],
        titles=None if shards[0].titles is None else [title for s in shards for title in s.titles or ()],
        name=str(folder),
    )


def _check_like(shard: Embeddings, first: Embeddings) -> None:
    if shard.dim != first.dim:
        raise DataError(f"{shard.name}: vectors have {shard.dim} dims, but those of {first.name} {first.dim}")
    for column, here, there in (
        ("text", shard.texts, first.texts),
        ("title", shard.titles, first.titles),
    ):
        if (here is None) != (there is None):
            raise DataError(
                f"{shard.name}: column {column!r} must be in all shards or none, unlike {first.name}"
            )


def source(path: Location, dim: int | None = None, rows: Rows | None = None, *, ids: bool = True) -> Source:
    """Open a Parquet file, or the shards ``*.parquet`` of a folder in the order of their names.

    ``rows`` are whole row groups of one file. Without ``ids`` no other column than ``vector`` is read.

    Raises
    ------
    DataError
        No Parquet or not all of it, a column is missing, or shards with different columns.
    """
    shards: list[Location] = sorted(path.glob("*.parquet"), key=_parts) if path.is_dir() else [path]
    if not shards:
        raise DataError(f"{path}: holds no *.parquet shards")
    found = [_schema_and_rows(shard, REQUIRED if ids else VECTOR) for shard in shards]
    schema = found[0][0]
    for shard, (other, _) in zip(shards, found, strict=True) if ids else ():
        _check_columns(shard, other, shards[0], schema)
    count = sum(of_shard for _, of_shard in found) if rows is None else rows.count
    return Source(count, schema, _blocks(shards, dim, rows, None if ids else VECTOR), ids)


def lumps(path: Location, most: int) -> list[int]:
    """Rows of each row group.

    Raises
    ------
    DataError
        No Parquet or not all of it, or a column is missing.
    """
    with reading(path, "Parquet", pa.ArrowException), pq.ParquetFile(opened(path)) as file:
        check_schema(file.schema_arrow, str(path))
        return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def ids(path: Location) -> Iterator[pa.Array]:
    """The column of ids in pieces; no vector is read.

    Raises
    ------
    DataError
        No Parquet or not all of it, or a column is missing.
    """
    with reading(path, "Parquet", pa.ArrowException), pq.ParquetFile(opened(path)) as file:
        check_schema(file.schema_arrow, str(path))
        yield from (batch.column(0) for batch in file.iter_batches(columns=["id"]))


def _parts(path: Location) -> tuple[str, ...]:
    return path.parts


def _schema_and_rows(path: Location, required: Sequence[str]) -> tuple[pa.Schema, int]:
    with reading(path, "Parquet", pa.ArrowException), pq.ParquetFile(opened(path)) as file:
        check_schema(file.schema_arrow, str(path), required)
        return file.schema_arrow, file.metadata.num_rows


def _check_columns(path: Location, schema: pa.Schema, first: Location, expected: pa.Schema) -> None:
    for here, there in zip_longest(
        columns_beside(schema), columns_beside(expected), fillvalue="no more columns"
    ):
        if here != there:
            raise DataError(f"{path}: shards must have the same columns; it has {here}, {first.name} {there}")


def _blocks(
    shards: Sequence[Location], dim: int | None, rows: Rows | None, columns: Sequence[str] | None
) -> Iterator[Block]:
    for path in shards:
        batches = _batches(path, rows, columns)
        for block in table_blocks(batches, str(path), dim, rows.first if rows else 0):
            dim = block.vectors.shape[1]
            yield block


def _batches(path: Location, rows: Rows | None, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    buffer = READ_BUFFER if isinstance(path, Path) else FAR_BUFFER
    with (
        reading(path, "Parquet", pa.ArrowException),
        pq.ParquetFile(opened(path), buffer_size=buffer, pre_buffer=False) as file,
    ):
        yield from file.iter_batches(batch_size=BLOCK_ROWS, row_groups=_groups(file, rows), columns=columns)


def _groups(file: pq.ParquetFile, rows: Rows | None) -> list[int]:
    groups, first = [], 0
    for group in range(file.num_row_groups):
        if rows is None or rows.first <= first < rows.first + rows.count:
            groups.append(group)
        first += file.metadata.row_group(group).num_rows
    return groups
