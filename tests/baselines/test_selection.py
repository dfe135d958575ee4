"""Which dimensions are kept."""

from __future__ import annotations

import numpy as np
import pytest

from smec.baselines.selection import fit_random_dims, fit_variance
from smec.data import Dataset
from smec.vectors import FloatArray, normalise


def test_the_dimensions_of_highest_variance_are_kept_not_those_that_are_always_large() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 4)) * [0.1, 0.5, 0.2, 0.4] + [0, 0, 3, 0]
    fitted = fit_variance(Dataset(rows), (4, 3, 2))
    # Dimension 2 is large everywhere, so that what is left of its variance at unit length is little.
    assert fitted.order.tolist() == np.argsort(-normalise(rows).var(axis=0)).tolist() == [1, 3, 0, 2]
    np.testing.assert_allclose(fitted.encode(rows, 2), normalise(rows[:, [1, 3]]), atol=1e-6)


def test_equal_variances_keep_the_given_order() -> None:
    assert fit_variance(Dataset(np.eye(5)), (3,)).order.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(3))
def test_random_dimensions_are_some_of_the_given_ones_each_once(seed: int) -> None:
    rows: FloatArray = np.random.default_rng(9).standard_normal((6, 50))
    fitted = fit_random_dims(Dataset(rows), (50, 20), seed=seed)
    kept = fitted.order[:20]
    assert len(set(kept.tolist())) == 20
    np.testing.assert_allclose(fitted.encode(rows, 20), normalise(rows[:, kept]), atol=1e-6)
    full = fitted.encode(rows)
    np.testing.assert_allclose(full @ full.T, normalise(rows) @ normalise(rows).T, atol=1e-6)
