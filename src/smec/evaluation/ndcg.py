"""nDCG@k of many rankings at once, as trec_eval computes it: for the many checks of a training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smec.vectors import IntArray


class Ndcg:
    """nDCG of rankings of one set of judged queries; gains are the grades, those below 0 count as 0.

    Parameters
    ----------
    grades : sequence of q dict
        Document -> grade, one with a positive grade at least.
    depth : int
        Documents that count, from the first one on.
    """

    def __init__(self, grades: Sequence[dict[int, int]], depth: int = 10) -> None:
        self._discounts = 1 / np.log2(np.arange(2, depth + 2))
        positive = [{row: grade for row, grade in of.items() if grade > 0} for of in grades]
        self._width = 1 + max(max(of) for of in positive)
        keys = [query * self._width + row for query, of in enumerate(positive) for row in of]
        gains = [grade for of in positive for grade in of.values()]
        order = np.argsort(keys)
        self._keys = np.array(keys, dtype=np.int64)[order]
        self._gains = np.array(gains, dtype=np.float64)[order]
        self._ideal = np.array([self._gain(sorted(of.values(), reverse=True)[:depth]) for of in positive])

    def _gain(self, grades: Sequence[int]) -> float:
        return float(np.dot(grades, self._discounts[: len(grades)]))

    def __call__(self, found: IntArray) -> NDArray[np.float64]:
        """Score rankings.

        Parameters
        ----------
        found : ndarray of shape (q, k), int64
            Documents, the best first; what comes after ``depth`` does not count.

        Returns
        -------
        ndarray of shape (q,), float64
        """
        found = found[:, : len(self._discounts)]
        keys = np.arange(len(found))[:, None] * self._width + np.minimum(found, self._width)
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        judged = (self._keys[places] == keys) & (found < self._width)
        gains = np.where(judged, self._gains[places], 0.0)
        scores: NDArray[np.float64] = gains @ self._discounts[: found.shape[1]] / self._ideal
        return scores
