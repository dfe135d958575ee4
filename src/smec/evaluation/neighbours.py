"""Quality without labels: how many nearest neighbours of the full vectors the small ones keep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smec.errors import DataError
from smec.evaluation.search import exact_search
from smec.vectors import FloatArray, IntArray

DUPLICATE = 0.9999
"""Cosine from which two vectors count as the same: one has nothing to teach about the other."""


def neighbour_overlap(
    full_corpus: FloatArray,
    full_queries: FloatArray,
    small_corpus: FloatArray,
    small_queries: FloatArray,
    k: int = 10,
    *,
    own_rows: IntArray | None = None,
) -> NDArray[np.float64]:
    """Share of each query's ``k`` nearest full vectors that are among its ``k`` nearest small ones.

    Parameters
    ----------
    full_corpus, small_corpus : ndarray of shape (n, D) and (n, d)
        The same rows before and after; unit rows.
    full_queries, small_queries : ndarray of shape (q, D) and (q, d)
        The same queries before and after; unit rows.
    k : int
        Of a smaller corpus, all rows.
    own_rows : ndarray of shape (q,), int64, optional
        Where queries are corpus rows: which, -1 for those that are none; a row is not its own neighbour.

    Returns
    -------
    ndarray of shape (q,), float64

    Raises
    ------
    DataError
        A query has no neighbours: the corpus is only itself.
    """
    depth = k if own_rows is None else k + 1
    full = exact_search(full_corpus, full_queries, depth)[1]
    small = exact_search(small_corpus, small_queries, depth)[1]
    if own_rows is not None:
        full, small = without_own(full, own_rows, k), without_own(small, own_rows, k)
    return overlap(full, small)


def without_own(rows: IntArray, own_rows: IntArray, k: int) -> IntArray:
    """Drop each query's own row, -1 for none, from its ranking (q, k + 1) and keep the first ``k``."""
    # Among duplicates a row may not be in its own ranking; then the last one goes.
    own_last = np.argsort(rows == own_rows[:, None], axis=1, kind="stable")
    kept = min(k, rows.shape[1] - 1)
    return np.take_along_axis(rows, own_last[:, :kept], axis=1)


def overlap(full: IntArray, small: IntArray) -> NDArray[np.float64]:
    """Share of each row of ``full`` that is also in that row of ``small``; both of shape (q, k).

    Raises
    ------
    DataError
        k is 0.
    """
    if full.shape[1] == 0:
        raise DataError("neighbour overlap needs a corpus of at least two vectors")
    shares: NDArray[np.float64] = (full[:, :, None] == small[:, None, :]).any(axis=2).mean(axis=1)
    return shares
