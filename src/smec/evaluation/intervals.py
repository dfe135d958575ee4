"""How sure a mean over queries is: bootstrap intervals and paired permutation tests (scipy)."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smec.errors import MissingExtraError

RESAMPLES = 4999
_BATCH_VALUES = 1_000_000  # resampled values held at a time


def bootstrap_interval(
    values: NDArray[np.float64], *, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean.

    Parameters
    ----------
    values : ndarray of shape (q,), float64
        One per query, at least one.
    confidence : float
    seed : int
        Same seed, same interval.

    Returns
    -------
    low, high : float
        Both the value itself where all values are equal.

    Raises
    ------
    MissingExtraError
        scipy is not installed.
    """
    if (values == values[0]).all():
        return float(values[0]), float(values[0])
    return _interval((values,), np.mean, confidence, seed)


def ratio_interval(
    values: NDArray[np.float64],
    reference: NDArray[np.float64],
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of mean(values) / mean(reference), the queries drawn in pairs.

    Parameters
    ----------
    values, reference : ndarray of shape (q,), float64
        The same queries in the same order; the reference has a mean above 0.
    confidence : float
    seed : int
        Same seed, same interval.

    Returns
    -------
    low, high : float

    Raises
    ------
    MissingExtraError
        scipy is not installed.
    """
    if (values == reference).all():
        return 1.0, 1.0

    def ratio(of: NDArray[np.float64], to: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        # A draw of queries that all score 0 says nothing of the ratio; it counts as no change.
        means = to.mean(axis=axis)
        ratios: NDArray[np.float64] = np.divide(
            of.mean(axis=axis), means, out=np.ones_like(means), where=means > 0
        )
        return ratios

    return _interval((values, reference), ratio, confidence, seed)


def _interval(
    samples: tuple[NDArray[np.float64], ...], statistic: Callable[..., Any], confidence: float, seed: int
) -> tuple[float, float]:
    # Percentiles, not BCa: they never leave the range of the measure and are never undefined.
    interval = (
        _stats()
        .bootstrap(
            samples,
            statistic,
            paired=len(samples) > 1,
            n_resamples=RESAMPLES,
            batch=_batch(samples[0]),
            confidence_level=confidence,
            method="percentile",
            random_state=np.random.default_rng(seed),
        )
        .confidence_interval
    )
    return float(interval.low), float(interval.high)


def paired_p_value(values: NDArray[np.float64], reference: NDArray[np.float64], *, seed: int = 0) -> float:
    """Two-sided paired permutation test that two methods have the same mean.

    Exact where the differing queries are few, else over random sign flips.

    Parameters
    ----------
    values, reference : ndarray of shape (q,), float64
        The same queries in the same order.
    seed : int
        Same seed, same value.

    Returns
    -------
    float
        1.0 where no query differs.

    Raises
    ------
    MissingExtraError
        scipy is not installed.
    """
    differences = values - reference
    differences = differences[differences != 0]  # a flipped zero is a zero: same test, fewer flips
    if len(differences) < 2:
        return 1.0
    test = _stats().permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_batch(differences),
        random_state=np.random.default_rng(seed),
    )
    return float(test.pvalue)


def _batch(values: NDArray[np.float64]) -> int:
    return max(1, _BATCH_VALUES // len(values))


def _stats() -> ModuleType:
    try:
        from scipy import stats
    except ImportError as error:
        raise MissingExtraError("scipy", "eval", "evaluation") from error
    return stats
