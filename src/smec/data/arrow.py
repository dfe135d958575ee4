"""Arrow IPC (``.arrow``, ``.feather``, ``.ipc``), file and stream format, memory-mapped."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from smec.data.blocks import Block, Rows, Source, table_blocks
from smec.data.columns import check_schema, table_embeddings
from smec.data.embeddings import Embeddings
from smec.data.readers import reading
from smec.vectors import BLOCK_ROWS, row_blocks

FILE_MAGIC = b"ARROW1"


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


def source(path: Path, dim: int | None = None, rows: Rows | None = None) -> Source:
    """Open an Arrow IPC file or stream, or some of its rows, as a memory map.

    Raises
    ------
    DataError
        No Arrow IPC or not all of it, or a column is missing.
    """
    with reading(path, "Arrow IPC", pa.ArrowException):
        bytes_ = _mapped(path)
        schema = _schema(bytes_)
        check_schema(schema, str(path))
        rows = rows or Rows(0, sum(batch.num_rows for batch in _record_batches(bytes_)))
    return Source(rows.count, schema, _blocks(path, bytes_, dim, rows))


def lumps(path: Path, most: int) -> list[int]:
    """Rows of each record batch, large ones in slices.

    Raises
    ------
    DataError
        No Arrow IPC or not all of it, or a column is missing.
    """
    with reading(path, "Arrow IPC", pa.ArrowException):
        bytes_ = _mapped(path)
        check_schema(_schema(bytes_), str(path))
        return [
            rows.stop - rows.start
            for batch in _record_batches(bytes_)
            for rows in row_blocks(batch.num_rows, most)
        ]


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _is_file(bytes_: mmap.mmap) -> bool:
    return bytes_[: len(FILE_MAGIC)] == FILE_MAGIC


def _schema(bytes_: mmap.mmap) -> pa.Schema:
    buffer = pa.BufferReader(bytes_)
    return (pa.ipc.open_file(buffer) if _is_file(bytes_) else pa.ipc.open_stream(buffer)).schema


def _record_batches(bytes_: mmap.mmap) -> Iterator[pa.RecordBatch]:
    buffer = pa.BufferReader(bytes_)
    if not _is_file(bytes_):
        yield from pa.ipc.open_stream(buffer)
        return
    file = pa.ipc.open_file(buffer)
    for number in range(file.num_record_batches):
        yield file.get_batch(number)


def _blocks(path: Path, bytes_: mmap.mmap, dim: int | None, rows: Rows) -> Iterator[Block]:
    for block in table_blocks(_batches(path, bytes_, rows), str(path), dim, rows.first):
        yield block
        if sys.platform != "win32":
            # Pages that were read are the kernel's again, not the process' as far as it is counted.
            bytes_.madvise(mmap.MADV_DONTNEED)


def _batches(path: Path, bytes_: mmap.mmap, rows: Rows) -> Iterator[pa.RecordBatch]:
    """Batches of about `BLOCK_ROWS`: large ones in slices, small ones joined."""
    waiting: list[pa.RecordBatch] = []
    with reading(path, "Arrow IPC", pa.ArrowException):
        for batch in _slices(bytes_, rows):
            if waiting and sum(map(len, waiting)) + len(batch) > BLOCK_ROWS:
                yield _joined(waiting)
                waiting = []
            waiting.append(batch)
        if waiting:
            yield _joined(waiting)


def _slices(bytes_: mmap.mmap, rows: Rows) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in _record_batches(bytes_):
        first, last = max(rows.first, start), min(rows.first + rows.count, start + len(batch))
        wanted = batch.slice(first - start, last - first) if first < last else batch.slice(0, 0)
        start += len(batch)
        wanted.validate(full=True)  # mapped bytes are used as they are: a damaged offset would crash
        for block in row_blocks(len(wanted), BLOCK_ROWS):
            yield wanted.slice(block.start, block.stop - block.start)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
