"""Paired comparisons of methods on the same queries, over queries and seeds; Holm's correction for many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Scores = NDArray[np.float64]

MARGIN = 0.01
"""Of nDCG@10: a method is not inferior if the gap is surely above minus this."""

LEVEL = 0.05
"""Significance level."""

DRAWS = 4999


@dataclass(frozen=True)
class Gap:
    """How far a method is ahead of another.

    Attributes
    ----------
    mean : float
    low, high : float
        95 % interval: queries and seeds are both drawn with replacement.
    p_inferior : float
        One-sided p-value of the hypothesis that the method is behind by `MARGIN` or more: small where the
        method is not inferior.
    """

    mean: float
    low: float
    high: float
    p_inferior: float

    def document(self) -> dict[str, Any]:
        """The same, rounded, as it is kept in JSON."""
        return {
            "gap": round(self.mean, 4),
            "ci": [round(self.low, 4), round(self.high, 4)],
            "p_inferior": round(self.p_inferior, 4),
        }


def gap(ours: Scores, theirs: Scores, seed: int = 0) -> Gap:
    """Compare two methods, paired by query and, where the other one has several seeds too, by seed.

    Parameters
    ----------
    ours, theirs : ndarray of shape (seeds, queries)
        The same queries in the same order.
    seed : int
        Same seed, same interval.
    """
    if len(theirs) > 1:
        common = min(len(ours), len(theirs))
        ours, theirs = ours[:common], theirs[:common]
    differences = ours - theirs
    drawn = _drawn_means(differences, seed)
    low, high = np.percentile(drawn, [2.5, 97.5])
    behind = (1 + np.sum(drawn <= -MARGIN)) / (1 + DRAWS)
    return Gap(float(differences.mean()), float(low), float(high), float(behind))


def _drawn_means(differences: Scores, seed: int) -> Scores:
    of_seeds, of_queries = (_weights(count, seed + place) for place, count in enumerate(differences.shape))
    means: Scores = ((of_seeds @ differences) * of_queries).sum(axis=1)
    return means


@lru_cache(maxsize=8)
def _weights(count: int, seed: int) -> Scores:
    """Shares of ``count`` items in each draw with replacement, shape (DRAWS, count)."""
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=DRAWS)
    return drawn / count


def interval(values: Scores) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean over the queries, values of shape (queries,)."""
    low, high = np.percentile(_weights(len(values), 1) @ values, [2.5, 97.5])
    return float(low), float(high)


def p_differs(ours: Scores, theirs: Scores) -> float:
    """Two-sided p-value of a paired t-test, values of shape (queries,); 1.0 where no query differs."""
    differences = ours - theirs
    if len(differences) < 2 or not differences.any():
        return 1.0
    error = standard_error(differences)
    return float(2 * stats.t.sf(abs(differences.mean()) / error, len(differences) - 1)) if error else 0.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number after Holm (1979); each is at most 1.

    Parameters
    ----------
    p_values : sequence of float

    Returns
    -------
    list of float
        In the same order.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * factors))
    return [float(value) for value in adjusted]


def p_below(ours: Scores, theirs: Scores) -> float:
    """One-sided p-value of a paired t-test: small where ``ours`` has the lower mean.

    Parameters
    ----------
    ours, theirs : ndarray of shape (queries,)

    Returns
    -------
    float
        1.0 where no query differs.
    """
    differences = ours - theirs
    if len(differences) < 2 or not differences.any():
        return 1.0
    error = standard_error(differences)
    if not error:
        return 0.0 if differences.mean() < 0 else 1.0
    return float(stats.t.cdf(differences.mean() / error, len(differences) - 1))


def standard_error(differences: Scores) -> float:
    """Standard error of the mean of paired differences; 0 for a single one."""
    if len(differences) < 2:
        return 0.0
    return float(differences.std(ddof=1) / np.sqrt(len(differences)))
