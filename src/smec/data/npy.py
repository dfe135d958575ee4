"""``.npy`` with the ids in a text file beside it; memory-mapped if it is here, else read by ranges."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy_format

from smec.data.blocks import Block, Rows, Source
from smec.data.embeddings import Embeddings
from smec.data.places import Location, Place, lines
from smec.data.readers import reading
from smec.errors import DataError
from smec.vectors import FloatArray, row_blocks

IDS_TOGETHER = 1 << 16
"""Ids that are looked at together."""

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
    _check_shape(array.shape, path)
    return array


def _check_shape(shape: tuple[int, ...], path: Location) -> None:
    if len(shape) != 2:
        raise DataError(f"{path}: vectors must be a table of shape (rows, dims), got shape {shape}")


def source(path: Location, dim: int | None = None, rows: Rows | None = None, *, ids: bool = True) -> Source:
    """Open a ``.npy`` file, or some of its rows; without a file of ids beside it, or without ``ids``, its
    blocks have no ids.

    Raises
    ------
    DataError
        No ``.npy`` file or not all of it, or another number of ids than of rows.
    """
    has_ids = ids and ids_path(path).exists()
    # Pieces are of a file that `lumps` has looked at.
    rows = rows or Rows(0, sum(lumps(path, sys.maxsize)) if ids else _count(path))
    names = islice(_lines(ids_path(path)), rows.first, None) if has_ids else None
    return Source(rows.count, SCHEMA, _blocks(path, rows, names), has_ids)


def lumps(path: Location, most: int) -> list[int]:
    """``most`` rows each, and a rest.

    Raises
    ------
    DataError
        No ``.npy`` file or not all of it, or another number of ids than of rows.
    """
    rows, names = _count(path), ids_path(path)
    if names.exists() and (count := sum(1 for _ in _lines(names))) != rows:
        raise DataError(f"{names}: {count} ids for the {rows} vectors in {path.name}")
    return [block.stop - block.start for block in row_blocks(rows, most)]


def ids(path: Location) -> Iterator[pa.Array]:
    """The ids beside the file, in pieces; no vector is read.

    Raises
    ------
    DataError
        They cannot be read.
    """
    names = _lines(ids_path(path))
    while piece := list(islice(names, IDS_TOGETHER)):
        yield pa.array(piece, pa.string())


def _count(path: Location) -> int:
    return len(mapped(path)) if isinstance(path, Path) else _Far(path).shape[0]


@overload
def ids_path(path: Path) -> Path: ...
@overload
def ids_path(path: Location) -> Location: ...
def ids_path(path: Location) -> Location:
    """The file of ids that belongs to a ``.npy`` file."""
    return path.with_name(f"{path.stem}.ids.txt")


def _lines(path: Location) -> Iterator[str]:
    with reading(path, "a list of ids"):
        yield from lines(path)


def _blocks(path: Location, rows: Rows, ids: Iterator[str] | None) -> Iterator[Block]:
    with _rows_of(path) as read_rows:
        for block in row_blocks(rows.count):
            first = rows.first + block.start
            vectors = read_rows(first, rows.first + block.stop)
            column = None if ids is None else pa.array(list(islice(ids, len(vectors))), pa.string())
            yield Block(str(path), first, vectors, [column, None])


@contextmanager
def _rows_of(path: Location) -> Iterator[Callable[[int, int], FloatArray]]:
    if isinstance(path, Path) and not mapped(path).flags.c_contiguous:
        # Mapped anew each time, as pages that were read count as the process' while they are mapped.
        yield lambda first, last: np.asarray(mapped(path)[first:last])
        return
    opened = _Near(path) if isinstance(path, Path) else _Far(path)
    with opened.file:
        yield opened.rows


class _Near:
    """A ``.npy`` file of this machine, mapped some rows at a time.

    Pages that were read count as the process' while they are mapped, so they are let go with the rows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        array = mapped(path)
        self._dtype, self._width = array.dtype, array.shape[1]
        self._start = int(array.offset)  # type: ignore[attr-defined]
        with reading(path, ".npy"):
            self.file = path.open("rb")

    def rows(self, first: int, last: int) -> FloatArray:
        """Some rows that follow each other."""
        count = (last - first) * self._width
        place = self._start + first * self._width * self._dtype.itemsize
        within = place % mmap.ALLOCATIONGRANULARITY
        with reading(self._path, ".npy"):
            mapping = _pages(self.file.fileno(), place - within, within + count * self._dtype.itemsize)
            return np.frombuffer(mapping, self._dtype, count, within).reshape(-1, self._width)


def _pages(file: int, offset: int, size: int) -> mmap.mmap:
    if sys.platform != "linux":
        return mmap.mmap(file, size, access=mmap.ACCESS_READ, offset=offset)
    # Fetched now, by the thread that reads: the product would wait for one after another.
    flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
    return mmap.mmap(file, size, flags=flags, prot=mmap.PROT_READ, offset=offset)


class _Far:
    """A ``.npy`` file in a store, of which the header is read, and rows when they are asked for."""

    def __init__(self, path: Place) -> None:
        self._path = path
        with reading(path, ".npy"):
            self.file = path.open()
            version = npy_format.read_magic(self.file)
            read_header = (
                npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
            )
            self.shape, by_columns, self._dtype = read_header(self.file)
            self._start = self.file.tell()
            if self._dtype.hasobject:
                raise ValueError("it holds Python objects")
        _check_shape(self.shape, path)
        if by_columns and min(self.shape) > 1:
            raise DataError(f"{path}: is in Fortran order, of which no rows can be read alone; copy it here")
        with reading(path, ".npy"):
            if self._start + self.shape[0] * self._row_bytes > self.file.size():
                raise ValueError("it is shorter than its header says")

    @property
    def _row_bytes(self) -> int:
        return int(self.shape[1] * self._dtype.itemsize)

    def rows(self, first: int, last: int) -> FloatArray:
        """Some rows that follow each other."""
        with reading(self._path, ".npy"):
            size = (last - first) * self._row_bytes
            read = self.file.read_at(size, self._start + first * self._row_bytes)
            return np.frombuffer(read, self._dtype).reshape(last - first, self.shape[1])
