"""A table of vectors with their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smec.errors import DataError
from smec.vectors import FloatArray, check_vectors


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors with their ids, in one order.

    Parameters
    ----------
    ids : sequence of n str
        Unique.
    vectors : ndarray of shape (n, D), float16, float32 or float64
        Not copied; may be a memory map or read-only.
    texts, titles : sequence of n str, optional
        What was embedded; missing ones are empty strings.
    name : str
        What messages call it ("corpus.parquet").

    Raises
    ------
    DataError
        The counts differ, an id is not a string or occurs twice, or a vector is unusable
        (see `smec.vectors.check_vectors`).
    """

    ids: Sequence[str]
    vectors: FloatArray
    texts: Sequence[str] | None = None
    titles: Sequence[str] | None = None
    name: str = "vectors"

    def __post_init__(self) -> None:
        array = np.asanyarray(self.vectors)
        if array.ndim == 2:
            self._check_counts(len(array))
            self._check_ids()
        object.__setattr__(self, "vectors", check_vectors(array, self.name, ids=self.ids))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """D, the width of the vectors."""
        return int(self.vectors.shape[1])

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """The row of every id."""
        return {id_: row for row, id_ in enumerate(self.ids)}

    def row(self, id_: str) -> int:
        """Row of the vector with this id.

        Raises
        ------
        DataError
            No vector has it.
        """
        if id_ not in self.rows:
            raise DataError(f"{self.name}: has no id {id_!r}")
        return self.rows[id_]

    def _check_counts(self, rows: int) -> None:
        for what in ("ids", "texts", "titles"):
            values = getattr(self, what)
            if values is not None and len(values) != rows:
                raise DataError(
                    f"{self.name}: {len(values)} {what} for {rows} vectors; there must be one for each"
                )

    def _check_ids(self) -> None:
        for row, id_ in enumerate(self.ids):
            if not isinstance(id_, str):
                raise DataError(f"{self.name}: row {row}: ids must be strings, got {id_!r}")
        if len(self.rows) == len(self.ids):
            return
        row, id_ = next((row, id_) for row, id_ in enumerate(self.ids) if self.rows[id_] != row)
        again = next(later for later in range(row + 1, len(self.ids)) if self.ids[later] == id_)
        raise DataError(
            f"{self.name}: id {id_!r} occurs at row {row} and again at row {again} "
            f"({len(self.ids) - len(self.rows)} repeated rows in all); ids must be unique"
        )


def numbered(vectors: FloatArray, name: str) -> Embeddings:
    """Embeddings whose ids are the row numbers.

    Raises
    ------
    DataError
        A vector is unusable.
    """
    array = np.asanyarray(vectors)
    return Embeddings([str(row) for row in range(len(array) if array.ndim else 0)], array, name=name)
