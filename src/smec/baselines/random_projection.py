"""Random directions: what a size is worth without looking at the data."""

from __future__ import annotations

import numpy as np

from smec.data import Dataset
from smec.encoder import Projection


def fit_random_projection(dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0) -> Projection:
    """Draw a Gaussian projection for embeddings as wide as the dataset's.

    Parameters
    ----------
    dataset : Dataset
        Only its width counts.
    dims : tuple of int
        Sizes to serve, descending.
    seed : int
        Same seed, same directions.
    """
    shape = (dataset.dim, dims[0])
    # Encoding normalises the rows, so the usual scale of 1 / sqrt(d) would change nothing.
    matrix = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return Projection(matrix, dims, "random")
