"""Axes on which queries and their relevant documents agree: a turn of the space that needs no training.

The cross moment E[q dᵀ] - E[q] E[d]ᵀ over queries and their relevant documents says how much more a
query agrees with what is relevant to it than with any document, direction by direction: summed over
an orthonormal basis it is the mean gain in inner product. Its leading eigenvectors are therefore
to relevance what principal axes are to variance. Turning all columns of a layer changes no cosine
of their full width; it only moves what matters to the front, where the smaller sizes are cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smec.baselines.pca import principal_axes
from smec.training.pool import Pool
from smec.vectors import Float32Array, FloatArray, normalise

FEWEST = 300
"""Queries to fit from which the turn is worth making: with fewer its axes follow their noise."""


def agreement_axes(pool: Pool, matrix: Float32Array) -> NDArray[np.float64]:
    """Orthonormal axes of ``normalise(x @ matrix)``, by descending agreement.

    Parameters
    ----------
    pool : Pool
        Its queries to fit, with their positives, and its documents.
    matrix : ndarray of shape (D, w)

    Returns
    -------
    ndarray of shape (w, w), float64
        Orthonormal columns.
    """
    documents = normalise(pool.documents.numpy() @ matrix).astype(np.float64)
    queries = normalise(pool.queries.numpy() @ matrix).astype(np.float64)
    positives = np.stack([_weighted_mean(documents[rows], grades) for rows, grades in pool.positives])
    cross = queries.T @ positives / len(queries) - np.outer(queries.mean(axis=0), documents.mean(axis=0))
    return principal_axes((cross + cross.T) / 2)


def _weighted_mean(rows: FloatArray, weights: FloatArray) -> FloatArray:
    mean: FloatArray = weights @ rows / weights.sum()
    return mean
