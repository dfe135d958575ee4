"""Whether vectors look like those of the embedding model that a compressor was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smec.compressor import Compressor
from smec.contents import CANARY_INPUTS, MEAN
from smec.databases.collection import Id
from smec.errors import DataError
from smec.vectors import FloatArray, normalise

FEWEST = 4
"""Strange rows of a page that are not yet taken for another model's."""
SHARE = 0.005
"""Of a page, likewise: a few of a model's own rows are always strange."""
SPREADS = 6.0
"""Standard deviations above what the matrix keeps of a random direction: below, a row is strange."""


class Origin:
    """Looks at how much of each row the matrix keeps.

    A matrix that was trained on some embeddings keeps most of them, and of a random direction only the
    share of its dims, give or take a little: a row of which it keeps no more than that is strange. So rows
    of another model are found one by one where they are mixed in. Rows of the same model on another subject
    can be strange too, the more the smaller the size: the compressor was not made for them. Where the matrix
    keeps almost everything, or little of its own canaries, nothing is found.

    A block with a bias subtracts the corpus' mean, so its matrix keeps little of that direction. There the
    mean counts as one more direction that is kept, and all directions have the same weight.

    Parameters
    ----------
    compressor : Compressor
    """

    def __init__(self, compressor: Compressor) -> None:
        dim = compressor.dims[0]
        self._matrix, bias = compressor.block(dim).leading(dim)
        if bias is not None:
            directions = np.column_stack([compressor.tensors[MEAN], self._matrix])
            self._matrix = np.linalg.qr(directions).Q
        # A random direction keeps this share, and that much more or less.
        grams = self._matrix.T @ self._matrix
        random = float(np.trace(grams)) / compressor.input_dim
        variance = 2 * ((grams**2).sum() - random**2 * compressor.input_dim)
        spread = float(np.sqrt(max(0.0, variance))) / compressor.input_dim
        canaries = float(self._kept(compressor.tensors[CANARY_INPUTS]).min())
        limit = random + SPREADS * spread
        self._limit = limit if canaries > limit else 0.0

    def check(self, vectors: FloatArray, ids: Sequence[Id], name: str) -> None:
        """Raise DataError where some rows, or all, seem to be another model's; names one."""
        strange = np.flatnonzero(self._kept(vectors) < self._limit)
        if len(strange) > max(FEWEST, SHARE * len(ids)):
            raise DataError(
                f"{name}: {len(strange)} of {len(ids)} rows read together, id {ids[strange[0]]!r} the first, "
                "do not look like what the compressor was trained on: of another model, or another subject? "
                "train on this collection, or migrate with --any-data"
            )

    def _kept(self, vectors: FloatArray) -> FloatArray:
        rows: FloatArray = ((normalise(vectors) @ self._matrix) ** 2).sum(axis=1)
        return rows
