"""First and second moments of unit-length rows, summed block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smec.errors import DataError
from smec.vectors import FloatArray, normalise, row_blocks, vector_blocks

OnRows = Callable[[int, int], None]

MANY_PRODUCTS = 60e9
"""Products of a corpus, rows x D x D, from which float32 sums them first, which halves their cost."""

MOST_DIMS = 16_384
"""Widest vectors whose moments are summed."""

PRODUCT_ROWS = 1024
"""Rows whose products are summed so: few enough that rounding, which averages out, stays near 1e-9."""


class Moments:
    """Sums over the unit-length rows of a corpus, whose parts can be added in any order.

    Float64 sums of products of numbers of at most 1: nothing is subtracted, so nothing cancels.

    Parameters
    ----------
    dim : int
        D.
    of : int
        Rows of the whole corpus: of more than `MANY_PRODUCTS`, float64 adds up float32 sums of `PRODUCT_ROWS`
        rows.

    Raises
    ------
    DataError
        D is above `MOST_DIMS`.
    """

    def __init__(self, dim: int, of: int = 0) -> None:
        if dim > MOST_DIMS:
            raise DataError(
                f"vectors of {dim:,} dims are too wide: {MOST_DIMS:,} is the most, whose moments take "
                f"{8 * MOST_DIMS**2 / 1e9:.0f} GB of memory; keep leading dims, or project them first"
            )
        self.rows = 0
        self._many = of * dim**2 > MANY_PRODUCTS
        self._sum = np.zeros(dim)
        self._products = np.zeros((dim, dim))

    @classmethod
    def of_sums(cls, rows: int, sums: NDArray[np.float64], products: NDArray[np.float64]) -> Moments:
        """The moments of so many rows, from their `sums`, of shape (D,) and (D, D)."""
        moments = cls(len(sums))
        moments.rows, moments._sum, moments._products = rows, sums, products
        return moments

    @property
    def sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sum of the unit-length rows, of shape (D,), and of their products ``x xᵀ``, of shape (D, D)."""
        return self._sum, self._products

    def add(self, vectors: FloatArray) -> None:
        """Count the rows of ``vectors`` (n, D) in, at their unit length."""
        for rows in row_blocks(len(vectors), PRODUCT_ROWS if self._many else max(1, len(vectors))):
            unit = normalise(vectors[rows])
            self._sum += unit.sum(axis=0, dtype=np.float64)
            factor = unit if self._many else unit.astype(np.float64)
            self._products += factor.T @ factor
        self.rows += len(vectors)

    def merge(self, other: Moments) -> None:
        """Count in what another one counted, of another part of the corpus."""
        self._sum += other._sum
        self._products += other._products
        self.rows += other.rows

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the unit-length rows, of shape (D,)."""
        return self._sum / self.rows

    @property
    def second(self) -> NDArray[np.float64]:
        """Mean of ``x xᵀ`` over them, of shape (D, D)."""
        return self._products / self.rows

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Their covariance, of shape (D, D)."""
        return self.second - np.outer(self.mean, self.mean)


def moments_of(vectors: FloatArray, progress: OnRows | None = None) -> Moments:
    """Moments of the rows of ``vectors`` (n, D), which may be a memory map.

    ``progress`` is called with (rows read, rows in all) after each block.
    """
    moments = Moments(vectors.shape[1], len(vectors))
    for block in vector_blocks(vectors):
        moments.add(block)
        if progress is not None:
            progress(moments.rows, len(vectors))
    return moments
