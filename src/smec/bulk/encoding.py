"""Small vectors of an input's blocks: what one file and every shard share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from smec.bulk.tables import METADATA_KEY
from smec.compressor import Compressor
from smec.data.blocks import Block, Source
from smec.data.columns import array_of, string_column
from smec.errors import ConfigError, DataError
from smec.vectors import Float32Array, check_table, check_vectors

if TYPE_CHECKING:
    from smec.feedback import Feedback


@dataclass
class BlockEncoder:
    """Compresses the blocks of one input, and counts the documents that feedback moves.

    Parameters
    ----------
    compressor : Compressor
    dim : int
        Size to write.
    from_dim : int or None
        Size of the vectors that are read, if they are already compressed.
    feedback : Feedback or None
    id_column : int
        Index of the column ``id`` in the blocks.
    moved : int
        Documents that were moved so far.
    """

    compressor: Compressor
    dim: int
    from_dim: int | None
    feedback: Feedback | None
    id_column: int
    moved: int = 0

    def __call__(self, block: Block) -> Float32Array:
        """Small vectors of a block, shape (n, dim).

        Raises
        ------
        DataError
            Another width, or a row that cannot be used; names the file and the row.
        """
        width = self.compressor.input_dim if self.from_dim is None else self.from_dim
        check_table(block.vectors, block.name, dim=width)
        ids = self._ids(block)
        try:
            if self.from_dim is not None:
                return self.compressor.shrink(block.vectors, self.dim)
            return self.compressor.encode(block.vectors, self.dim, ids=ids, feedback=self.feedback)
        except DataError as error:
            check_vectors(block.vectors, block.name, first_row=block.first_row)
            # Numbers near the end of float32's range overflow in the product.
            raise DataError(f"{block.name}, in the rows from {block.first_row} on: {error}") from error

    def _ids(self, block: Block) -> list[str] | None:
        if self.feedback is None:
            return None
        ids = string_column(block.columns[self.id_column], block.name, "id")
        self.moved += len(self.feedback.judged(ids))
        return ids


def numbered(source: Source, before: int = 0) -> Iterator[Block]:
    """Blocks of an input without ids, with their row numbers in place of ids.

    Parameters
    ----------
    source : Source
    before : int
        Rows of the files before this one: the numbers go on from file to file.
    """
    place = source.schema.get_field_index("id")
    for block in source.blocks:
        first = before + block.first_row
        columns = list(block.columns)
        columns[place] = array_of(np.arange(first, first + len(block.vectors))).cast(pa.string())
        yield replace(block, columns=columns)


def check_origin(schema: pa.Schema, compressor: Compressor, from_dim: int, name: str) -> None:
    """Raise DataError where the input says that another compressor has made it, or another size."""
    note = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
    if note and not (note.get("dim") == from_dim and compressor.made(note.get("model"), from_dim)):
        raise DataError(
            f"{name}: was made by another compressor, or to another size than {from_dim} "
            f"({note.get('dim')}); compress the original embeddings"
        )


def check_feedback(feedback: Feedback | None, compressor: Compressor, from_dim: int | None) -> None:
    """Raise unless the feedback is for vectors that this compressor takes, and those are what is read.

    Raises
    ------
    ConfigError
        The input holds vectors that are already compressed.
    DataError
        The feedback's queries are of another width.
    """
    if feedback is None:
        return
    if from_dim is not None:
        raise ConfigError("feedback moves full vectors, not compressed ones; leave out --from-dim")
    if feedback.dim != compressor.input_dim:
        raise DataError(
            f"feedback: its queries have {feedback.dim} dims, but the compressor takes "
            f"{compressor.input_dim}; embed them with the model of the corpus"
        )


def check_ids(source: Source, feedback: Feedback | None, name: str) -> None:
    """Raise DataError where feedback is given and the input has no ids of its own."""
    if feedback is not None and not source.has_ids:
        raise DataError(
            f"{name}: has no ids, by which feedback finds documents; write them into the .ids.txt beside it"
        )
