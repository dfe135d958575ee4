"""``.npy``, memory-mapped, with the ids in a text file beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from smec.data.blocks import Block, Rows, Source
from smec.data.embeddings import Embeddings
from smec.data.readers import reading
from smec.errors import DataError
from smec.vectors import FloatArray, row_blocks

SCHEMA = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32()))])


def read(path: Path) -> Embeddings:
    """Map ``corpus.npy``; its ids stand in ``corpus.ids.txt``, one a line, in the order of the rows.

    Raises
    ------
    DataError
        No ``.npy`` file or not all of it, no ids, or a row cannot be used.
    """
    vectors = mapped(path)
    names = ids_path(path)
    if not names.exists():
        raise DataError(
            f"{path}: its ids are missing; write them to {names.name} beside it, one a line, "
            f"or put BEIR's {path.stem}.jsonl there"
        )
    ids = list(_lines(names))
    if len(ids) != len(vectors):
        raise DataError(f"{names}: {len(ids)} ids for the {len(vectors)} vectors in {path.name}")
    return Embeddings(ids, vectors, name=str(path))


def mapped(path: Path) -> FloatArray:
    """Memory-map the array in a ``.npy`` file, read-only.

    Raises
    ------
    DataError
        No ``.npy`` file, not all of it, or not a table.
    """
    with reading(path, ".npy"):
        array: FloatArray = np.lib.format.open_memmap(path, mode="r")
    if array.ndim != 2:
        raise DataError(f"{path}: vectors must be a table of shape (rows, dims), got shape {array.shape}")
    return array


def source(path: Path, dim: int | None = None, rows: Rows | None = None) -> Source:
    """Open a ``.npy`` file, or some of its rows; without a file of ids beside it they are the rows' numbers.

    Raises
    ------
    DataError
        No ``.npy`` file or not all of it, or another number of ids than of rows.
    """
    has_ids = ids_path(path).exists()
    # Pieces are of a file that `lumps` has looked at.
    rows = rows or Rows(0, sum(lumps(path, sys.maxsize)))
    ids = islice(_lines(ids_path(path)), rows.first, None) if has_ids else None
    return Source(rows.count, SCHEMA, _blocks(path, rows, ids), has_ids)


def lumps(path: Path, most: int) -> list[int]:
    """``most`` rows each, and a rest.

    Raises
    ------
    DataError
        No ``.npy`` file or not all of it, or another number of ids than of rows.
    """
    rows, names = len(mapped(path)), ids_path(path)
    if names.exists() and (lines := sum(1 for _ in _lines(names))) != rows:
        raise DataError(f"{names}: {lines} ids for the {rows} vectors in {path.name}")
    return [block.stop - block.start for block in row_blocks(rows, most)]


def ids_path(path: Path) -> Path:
    """The file of ids that belongs to a ``.npy`` file."""
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
