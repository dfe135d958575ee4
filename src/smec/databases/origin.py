"""Whether vectors look like those of the embedding model that a compressor was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smec.compressor import CANARY_INPUTS, Compressor
from smec.databases.collection import Id
from smec.errors import DataError
from smec.vectors import FloatArray, normalise

FEWEST = 4
"""Strange rows of a page that are not yet taken for another model's."""
SHARE = 0.02
"""Of a page, likewise: measured on SciFact, below 1 in 10,000 of its own rows are strange."""
TELLING = 2.0
"""How many times more of a canary than of a random direction the matrix must keep, to tell them apart."""


class Origin:
    """Looks at how much of each row the matrix keeps.

    A matrix that was trained on some embeddings keeps most of them, and of any other direction only the
    share of its dims: half way between (geometrically) lies the limit. Rows of another model are found
    one by one where they are mixed in; another subject in the same model passes. Where the sizes are too
    small or too large a part of D to tell, nothing is found.

    Parameters
    ----------
    compressor : Compressor
    """

    def __init__(self, compressor: Compressor) -> None:
        dim = compressor.dims[0]
        self._matrix = compressor.block(dim).matrix[:, :dim]
        random = float((self._matrix**2).sum()) / compressor.input_dim
        canaries = float(self._kept(compressor.tensors[CANARY_INPUTS]).min())
        self._limit = np.sqrt(random * canaries) if canaries > TELLING * random else 0.0

    def check(self, vectors: FloatArray, ids: Sequence[Id], name: str) -> None:
        """Raise DataError where some rows, or all, seem to be another model's; names one."""
        strange = np.flatnonzero(self._kept(vectors) < self._limit)
        if len(strange) > max(FEWEST, SHARE * len(ids)):
            raise DataError(
                f"{name}: {len(strange)} of {len(ids)} rows read together, id {ids[strange[0]]!r} the first, "
                "do not look like the embeddings that the compressor was trained on; mixed models? embed "
                "them again"
            )

    def _kept(self, vectors: FloatArray) -> FloatArray:
        rows: FloatArray = ((normalise(vectors) @ self._matrix) ** 2).sum(axis=1)
        return rows
