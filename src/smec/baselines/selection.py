"""Some of the dimensions as they are, chosen by their variance or at random."""

from __future__ import annotations

import numpy as np

from smec.data import Dataset
from smec.encoder import served
from smec.vectors import Float32Array, FloatArray, IntArray, check_vectors, normalise


class Selection:
    """Keeps some dimensions; every size keeps the leading ones of an order.

    Parameters
    ----------
    order : ndarray of shape (D,)
        All dimensions, the first to be kept first.
    dims : tuple of int
        Served sizes, descending, none above D.
    name : str
        What tables call it.
    """

    def __init__(self, order: IntArray, dims: tuple[int, ...], name: str) -> None:
        self.order = order
        self.dims = dims
        self.name = name

    @property
    def input_dim(self) -> int:
        """D, the width of the embeddings it takes."""
        return len(self.order)

    def encode(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Pick ``(n, dim)`` of ``(n, D)`` as float32 unit rows; the largest size without ``dim``.

        Raises
        ------
        ConfigError
            ``dim`` is not one of ``dims``.
        DataError
            Another width than D, or a row with NaN, Inf or only zeros.
        """
        width = served(dim, self.dims, self.name)
        return normalise(check_vectors(vectors, self.name, dim=self.input_dim)[:, self.order[:width]])

    def encode_queries(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Queries keep the dimensions of the documents."""
        return self.encode(vectors, dim)


def fit_variance(dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0) -> Selection:
    """Keep the dimensions that vary most over the unit-length corpus; ``seed`` is not used.

    The variance, not the second moment: some embedding models have a few dimensions that are large
    for every text and tell none from another.
    """
    variance = np.diag(dataset.moments.second) - dataset.moments.mean**2
    return Selection(np.argsort(-variance, kind="stable"), dims, "variance")


def fit_random_dims(dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0) -> Selection:
    """Keep dimensions drawn with ``seed``; a smaller size keeps some of those of a larger one."""
    return Selection(np.random.default_rng(seed).permutation(dataset.dim), dims, "random-dims")
