"""Arrow IPC (``.arrow``, ``.feather``, ``.ipc``), file and stream format; memory-mapped if it is here."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from smec.data.blocks import Block, Rows, Source, table_blocks
from smec.data.columns import REQUIRED, VECTOR, check_schema, table_embeddings
from smec.data.embeddings import Embeddings
from smec.data.places import Location
from smec.data.readers import reading
from smec.vectors import BLOCK_ROWS, row_blocks

FILE_MAGIC = b"ARROW1"

_Bytes: TypeAlias = "mmap.mmap | pa.NativeFile"


def read(path: Path) -> Embeddings:
    """Read the columns ``id``, ``vector`` and, where they are, ``text`` and ``title``.

    Uncompressed vectors in one record batch stay on disk, as a memory map.

    Raises
    ------
    DataError
        No Arrow IPC or not all of it, a column is missing, or a row cannot be used.
    """
    with reading(path, "Arrow IPC", pa.ArrowException):
        source = pa.memory_map(str(path))
        is_file = source.read(len(FILE_MAGIC)) == FILE_MAGIC
        source.seek(0)
        batches = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        columns = check_schema(batches.schema, str(path))
        table = batches.read_all().select(columns)
        table.validate(full=True)  # mapped bytes are used as they are: a damaged offset would crash
    return table_embeddings(table, str(path))


def source(path: Location, dim: int | None = None, rows: Rows | None = None, *, ids: bool = True) -> Source:
    """Open an Arrow IPC file or stream, or some of its rows; as a memory map, unless it is in a store.

    From there a file is read by record batches, and a stream from its start on. Without ``ids`` no other
    column than ``vector`` is looked at.

    Raises
    ------
    DataError
        No Arrow IPC or not all of it, or a column is missing.
    """
    with reading(path, "Arrow IPC", pa.ArrowException):
        bytes_ = _opened(path)
        schema = _schema(bytes_)
        check_schema(schema, str(path), REQUIRED if ids else VECTOR)
        rows = rows or Rows(0, sum(_lengths(bytes_)))
    return Source(rows.count, schema, _blocks(path, bytes_, dim, rows, None if ids else VECTOR), ids)


def lumps(path: Location, most: int) -> list[int]:
    """Rows of each record batch, large ones in slices.

    Raises
    ------
    DataError
        No Arrow IPC or not all of it, or a column is missing.
    """
    with reading(path, "Arrow IPC", pa.ArrowException):
        bytes_ = _opened(path)
        check_schema(_schema(bytes_), str(path))
        return [rows.stop - rows.start for length in _lengths(bytes_) for rows in row_blocks(length, most)]


def ids(path: Location) -> Iterator[pa.Array]:
    """The column of ids in pieces; of a file, no vector is looked at.

    Raises
    ------
    DataError
        No Arrow IPC or not all of it, or a column is missing.
    """
    with reading(path, "Arrow IPC", pa.ArrowException):
        bytes_ = _opened(path)
        schema = _schema(bytes_)
        check_schema(schema, str(path))
        reader = _reader(bytes_, [schema.get_field_index("id")])
        batches = (
            iter(reader)
            if isinstance(reader, pa.RecordBatchStreamReader)
            else map(reader.get_batch, range(reader.num_record_batches))
        )
        for batch in batches:
            column = batch.column("id")
            column.validate(full=True)
            yield column


def _opened(path: Location) -> _Bytes:
    if not isinstance(path, Path):
        return path.open()
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _reader(
    bytes_: _Bytes, fields: list[int] | None = None
) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
    file = pa.BufferReader(bytes_) if isinstance(bytes_, mmap.mmap) else bytes_
    file.seek(0)
    is_file = file.read(len(FILE_MAGIC)) == FILE_MAGIC
    file.seek(0)
    options = pa.ipc.IpcReadOptions(included_fields=fields)
    return pa.ipc.open_file(file, options=options) if is_file else pa.ipc.open_stream(file, options=options)


def _schema(bytes_: _Bytes) -> pa.Schema:
    return _reader(bytes_).schema


def _lengths(bytes_: _Bytes) -> Iterator[int]:
    """Rows of each record batch; no vector is read for it from a file."""
    schema = _schema(bytes_)
    reader = _reader(bytes_, [schema.get_field_index("id" if "id" in schema.names else "vector")])
    if isinstance(reader, pa.RecordBatchStreamReader):
        yield from (batch.num_rows for batch in reader)
        return
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number).num_rows


def _record_batches(bytes_: _Bytes, rows: Rows) -> Iterator[tuple[int, pa.RecordBatch]]:
    """First row and batch, for each that has some of ``rows``."""
    start, reader = 0, _reader(bytes_)
    if isinstance(reader, pa.RecordBatchStreamReader):
        for batch in reader:
            yield start, batch
            start += len(batch)
        return
    for number, length in enumerate(_lengths(bytes_)):
        if start >= rows.first + rows.count:
            return
        if start + length > rows.first:
            yield start, reader.get_batch(number)
        start += length


def _blocks(
    path: Location, bytes_: _Bytes, dim: int | None, rows: Rows, columns: Sequence[str] | None
) -> Iterator[Block]:
    for block in table_blocks(_batches(path, bytes_, rows, columns), str(path), dim, rows.first):
        yield block
        if sys.platform != "win32" and isinstance(bytes_, mmap.mmap):
            # Pages that were read are the kernel's again, not the process' as far as it is counted.
            bytes_.madvise(mmap.MADV_DONTNEED)


def _batches(
    path: Location, bytes_: _Bytes, rows: Rows, columns: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    """Batches of about `BLOCK_ROWS`: large ones in slices, small ones joined."""
    waiting: list[pa.RecordBatch] = []
    with reading(path, "Arrow IPC", pa.ArrowException):
        for batch in _slices(bytes_, rows, columns):
            if waiting and sum(map(len, waiting)) + len(batch) > BLOCK_ROWS:
                yield _joined(waiting)
                waiting = []
            waiting.append(batch)
        if waiting:
            yield _joined(waiting)


def _slices(bytes_: _Bytes, rows: Rows, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    for start, whole in _record_batches(bytes_, rows):
        batch = whole if columns is None else whole.select(list(columns))
        first, last = max(rows.first, start), min(rows.first + rows.count, start + len(batch))
        wanted = batch.slice(first - start, last - first) if first < last else batch.slice(0, 0)
        wanted.validate(full=True)  # mapped bytes are used as they are: a damaged offset would crash
        for block in row_blocks(len(wanted), BLOCK_ROWS):
            yield wanted.slice(block.start, block.stop - block.start)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
