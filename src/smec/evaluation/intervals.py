"""How sure a mean over queries is: bootstrap intervals and paired permutation tests (scipy)."""

from __future__ import annotations

from types import ModuleType

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
    # Percentiles, not BCa: they never leave the range of the measure and are never undefined.
    interval = (
        _stats()
        .bootstrap(
            (values,),
            np.mean,
            n_resamples=RESAMPLES,
            batch=_batch(values),
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
