"""Random directions: what a size is worth without looking at the data."""

from __future__ import annotations

import numpy as np

from smec.encoder import Projection
from smec.vectors import FloatArray


def fit_random_projection(vectors: FloatArray, dims: tuple[int, ...], *, seed: int = 0) -> Projection:
    """Draw a Gaussian projection for embeddings as wide as ``vectors`` of shape (n, D).

    Parameters
    ----------
    vectors : ndarray of shape (n, D)
        Only its width counts.
    dims : tuple of int
        Sizes to serve, descending.
    seed : int
        Same seed, same directions.
    """
    shape = (vectors.shape[1], dims[0])
    # Encoding normalises the rows, so the usual scale of 1 / sqrt(d) would change nothing.
    matrix = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return Projection(matrix, dims, "random")
