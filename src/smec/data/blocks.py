"""Files of embeddings read a bounded number of rows at a time: what the formats share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from smec.data.columns import vector_matrix
from smec.data.places import Location
from smec.errors import DataError
from smec.vectors import FloatArray


@dataclass(frozen=True)
class Block:
    """Rows of one input file that follow each other, at most `smec.vectors.BLOCK_ROWS` of them.

    Parameters
    ----------
    name : str
        The file, for messages.
    first_row : int
        Number of the first row in that file.
    vectors : ndarray of shape (n, D), float16, float32 or float64
        Not checked for NaN, Inf and zero rows yet.
    columns : sequence of pyarrow.Array
        One for each field of the source's schema; the one in the place of ``vector`` is not looked at, and
        that of ``id`` is None where the source has no ids.
    """

    name: str
    first_row: int
    vectors: FloatArray
    columns: Sequence[pa.Array]


@dataclass(frozen=True)
class Rows:
    """Rows of a file that follow each other."""

    first: int
    count: int


@dataclass(frozen=True)
class Source:
    """An input whose rows have not been read yet.

    Parameters
    ----------
    rows : int
        How many are to be read, in all of its files.
    schema : pyarrow.Schema
        With the fields ``id`` and ``vector``.
    blocks : iterator of Block
        All rows, in order; raises DataError where one cannot be used.
    has_ids : bool
        False where the rows have numbers only.
    """

    rows: int
    schema: pa.Schema
    blocks: Iterator[Block]
    has_ids: bool = True


class Streamed(Protocol):
    """What the module of a format that can be read in blocks offers."""

    def source(
        self, path: Location, dim: int | None = None, rows: Rows | None = None, *, ids: bool = True
    ) -> Source:
        """Open ``path``, whose vectors must have ``dim`` dims or all the same, or some `lumps` of it that
        follow each other; DataError when it cannot be used. Without ``ids`` only the vectors matter: a file
        that has no ids is taken, and the columns of blocks are those of nothing else.
        """

    def lumps(self, path: Location, most: int) -> list[int]:
        """Rows of the parts of ``path`` that can be read without what is before them, at most ``most``
        where the format has a choice; DataError when it cannot be read.
        """

    def ids(self, path: Location) -> Iterator[pa.Array]:
        """The column of ids of ``path`` in pieces, without the vectors."""


def read_ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same blocks; the next is read while one is at work."""
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(next, blocks, None)
        while (block := waiting.result()) is not None:
            waiting = reader.submit(next, blocks, None)
            yield block


def alike(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same blocks, read ahead, for those who put them together.

    Raises
    ------
    DataError
        The vectors of a block are of another dtype than those before it.
    """
    dtype: np.dtype[Any] | None = None
    for block in read_ahead(blocks):
        dtype = dtype or block.vectors.dtype
        check_dtype(block.vectors, block.name, dtype)
        yield block


def check_dtype(vectors: FloatArray, name: str, dtype: np.dtype[Any]) -> None:
    """Raise DataError unless ``vectors``, of the file ``name``, are of the dtype of those before them."""
    if vectors.dtype != dtype:
        raise DataError(f"{name}: its vectors are {vectors.dtype}, those before it {dtype}; write all alike")


def table_blocks(
    batches: Iterable[pa.RecordBatch], name: str, dim: int | None, first_row: int = 0
) -> Iterator[Block]:
    """Blocks of the record batches of one file, the first of which begins at ``first_row``.

    Raises
    ------
    DataError
        A row has no id, or no vector of ``dim`` numbers (of as many as the first, without ``dim``).
    """
    row = first_row
    for batch in batches:
        if not batch.num_rows:
            continue
        if "id" in batch.schema.names:
            _check_ids(batch.column("id"), name, row)
        vectors = vector_matrix(batch.column("vector"), name, row, dim)
        dim = vectors.shape[1]
        yield Block(name, row, vectors, batch.columns)
        row += batch.num_rows


def _check_ids(ids: pa.Array, name: str, first_row: int) -> None:
    if ids.null_count:
        row = first_row + int(np.argmax(ids.is_null().to_numpy(zero_copy_only=False)))
        raise DataError(f"{name}: row {row} has no id (null); every row needs one")
