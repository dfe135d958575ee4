"""First and second moments of unit-length rows, summed block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smec.vectors import FloatArray, normalise, row_blocks


class Moments:
    """Sums over the unit-length rows of a corpus, whose parts can be added in any order.

    Float64 sums of products of numbers of at most 1: nothing is subtracted, so nothing cancels.

    Parameters
    ----------
    dim : int
        D.
    """

    def __init__(self, dim: int) -> None:
        self.rows = 0
        self._sum = np.zeros(dim)
        self._products = np.zeros((dim, dim))

    def add(self, vectors: FloatArray) -> None:
        """Count the rows of ``vectors`` (n, D) in, at their unit length."""
        unit = normalise(vectors)
        self._sum += unit.sum(axis=0, dtype=np.float64)
        wide = unit.astype(np.float64)
        self._products += wide.T @ wide
        self.rows += len(unit)

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


def moments_of(vectors: FloatArray) -> Moments:
    """Moments of the rows of ``vectors`` (n, D), which may be a memory map."""
    moments = Moments(vectors.shape[1])
    for block in row_blocks(len(vectors)):
        moments.add(vectors[block])
    return moments
