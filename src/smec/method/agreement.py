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

PRIOR = 150
"""With as many queries the corpus' own second moment counts as much as the labels do; its share falls with
the square of their number: with few labels the axes stay near PCA's."""


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
    moment = documents.T @ documents / len(documents)  # of trace 1
    gain = max(float(np.trace(cross)), 1e-9)
    return principal_axes((cross + cross.T) / (2 * gain) + (PRIOR / len(queries)) ** 2 * moment)


def _weighted_mean(rows: FloatArray, weights: FloatArray) -> FloatArray:
    mean: FloatArray = weights @ rows / weights.sum()
    return mean
