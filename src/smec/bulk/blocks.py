"""What the formats of `smec.bulk` share: an opened input, its rows in blocks, and who writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from smec.codecs import Codes
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
        One for each field of the source's schema; the one in the place of ``vector`` is not looked at.
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
        False where the ids are only the rows' numbers.
    """

    rows: int
    schema: pa.Schema
    blocks: Iterator[Block]
    has_ids: bool = True


Write = Callable[[Sequence[pa.Array], Codes], None]
"""Appends codes, a row each, with the `Block.columns` of the same rows to an output."""


class Format(Protocol):
    """What the module of a file format offers."""

    def source(self, path: Path, dim: int, rows: Rows | None = None) -> Source:
        """Open ``path``, whose vectors must have ``dim`` dims, or some `lumps` of it that follow each
        other; DataError when it cannot be used.
        """

    def lumps(self, path: Path, most: int) -> list[int]:
        """Rows of the parts of ``path`` that can be read without what is before them, at most ``most``
        where the format has a choice; DataError when it cannot be read.
        """

    def writing(
        self, output: Path, source: Source, schema: pa.Schema, *, force: bool
    ) -> AbstractContextManager[Write]:
        """Write ``output`` with the columns of ``schema``, whole or not at all; OutputError if refused."""
