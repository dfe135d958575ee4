"""``.npy`` with the ids in ``<stem>.ids.txt`` beside it, one a line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy_format

from smec.atomic import replacing
from smec.bulk.blocks import Block, Rows, Source, Write
from smec.bulk.tables import stored_field
from smec.codecs import Codes
from smec.data.columns import string_column
from smec.data.npy import mapped
from smec.data.readers import reading
from smec.errors import DataError
from smec.vectors import row_blocks

SCHEMA = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32()))])


def source(path: Path, dim: int, rows: Rows | None = None) -> Source:
    """Open a ``.npy`` file, or some of its rows; without a file of ids beside it they are the rows' numbers.

    Raises
    ------
    DataError
        No ``.npy`` file or not all of it, or another number of ids than of rows.
    """
    has_ids = _ids_path(path).exists()
    # Pieces are of a file that `lumps` has looked at.
    rows = rows or Rows(0, sum(lumps(path, sys.maxsize)))
    ids = islice(_lines(_ids_path(path)), rows.first, None) if has_ids else None
    return Source(rows.count, SCHEMA, _blocks(path, rows, ids), has_ids)


def lumps(path: Path, most: int) -> list[int]:
    """``most`` rows each, and a rest.

    Raises
    ------
    DataError
        No ``.npy`` file or not all of it, or another number of ids than of rows.
    """
    rows, ids_path = len(mapped(path)), _ids_path(path)
    if ids_path.exists() and (lines := sum(1 for _ in _lines(ids_path))) != rows:
        raise DataError(f"{ids_path}: {lines} ids for the {rows} vectors in {path.name}")
    return [block.stop - block.start for block in row_blocks(rows, most)]


def _ids_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}.ids.txt")


def _lines(path: Path) -> Iterator[str]:
    with reading(path, "a list of ids"), path.open(encoding="utf-8-sig") as lines:
        yield from (line.rstrip("\n") for line in lines)


def _blocks(path: Path, rows: Rows, ids: Iterator[str] | None) -> Iterator[Block]:
    for block in row_blocks(rows.count):
        first = rows.first + block.start
        # Mapped anew each time, as pages that were read count as the process' while they are mapped.
        vectors = np.asarray(mapped(path)[first : rows.first + block.stop])
        if ids is not None:
            column = pa.array(list(islice(ids, len(vectors))), pa.string())
        else:
            column = pa.array(np.arange(first, first + len(vectors))).cast(pa.string())
        yield Block(str(path), first, vectors, [column, None])


@contextmanager
def writing(output: Path, source: Source, schema: pa.Schema, *, force: bool) -> Iterator[Write]:
    """Write a ``.npy`` file, and its ids beside it where the source has any; the ids appear first.

    Raises
    ------
    OutputError
        One of the two files exists, or the disk refuses.
    DataError
        An id has a line break in it.
    """
    with ExitStack() as stack:
        part = stack.enter_context(replacing(output, force=force))
        ids_part = stack.enter_context(replacing(_ids_path(output), force=force)) if source.has_ids else None
        # Not a memory map: on a full disk that ends the process, where a write raises OSError.
        vectors = stack.enter_context(_flushed(part.open("wb")))
        ids = ids_part and stack.enter_context(ids_part.open("w", encoding="utf-8", newline="\n"))
        _write_header(vectors, source.rows, stored_field(schema).type)
        place = schema.get_field_index("id")

        def write(columns: Sequence[pa.Array], codes: Codes) -> None:
            vectors.write(np.ascontiguousarray(codes).data)
            if ids:
                ids.writelines(_id_lines(columns[place], output))

        yield write


@contextmanager
def _flushed(file: IO[bytes]) -> Iterator[IO[bytes]]:
    # The disk has the last word on the vectors before the ids take their final name.
    with file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _write_header(file: IO[bytes], rows: int, kind: pa.FixedSizeListType) -> None:
    dtype = np.dtype(kind.value_type.to_pandas_dtype())
    header = {
        "descr": npy_format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (rows, kind.list_size),
    }
    npy_format.write_array_header_1_0(file, header)


def _id_lines(ids: pa.Array, output: Path) -> list[str]:
    strings = string_column(ids, str(output), "id")
    for id_ in strings:
        if "\n" in id_ or "\r" in id_:
            raise DataError(
                f"{_ids_path(output)}: id {id_!r} has a line break, so it needs a table; write .parquet"
            )
    return [f"{id_}\n" for id_ in strings]
