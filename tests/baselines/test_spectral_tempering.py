"""Spectral tempering between PCA and whitening."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from smec.baselines.pca import fit_centred_pca
from smec.baselines.spectral_tempering import exponents, fit_spectral_tempering, knee, signal_to_noise
from smec.data import Dataset
from smec.vectors import FloatArray, normalise


def spectrum(signal: int, dim: int) -> NDArray[np.float64]:
    """A few strong axes that fall off quickly, then a floor."""
    return 1 + 100 * np.exp(-np.arange(dim) / signal)


def corpus() -> FloatArray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((500, 40)) * np.sqrt(spectrum(3, 40)) + 2


def test_the_ratio_is_the_eigenvalue_over_the_mean_of_the_weakest_tenth() -> None:
    values = np.array([30.0, 8, 8, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3, 1])
    expected = np.maximum(values / 2 - 1, 0)
    np.testing.assert_allclose(signal_to_noise(values), expected)
    assert signal_to_noise(values)[-1] == 0


def test_the_knee_of_an_exponential_lies_where_its_slope_is_that_of_the_chord() -> None:
    curve = 100 * np.exp(-np.arange(200) / 20)
    # d/dx exp(-x / 20) = 1 / 199 of the fall at x = 20 ln(199 / 20) = 46; positions count from 1.
    assert knee(curve) == pytest.approx(47, abs=1)


def test_curves_without_a_knee_have_none() -> None:
    assert knee(np.array([3.0])) is None
    assert knee(np.full(9, 2.0)) is None


def test_sizes_up_to_the_knee_are_whitened_and_larger_ones_the_less_the_larger() -> None:
    values = spectrum(20, 200)
    ratio = signal_to_noise(values)
    found = knee(ratio[:180])
    assert found is not None
    gammas = exponents(values, (200, 100, found + 1, found, 10))
    assert gammas[10] == gammas[found] == 1
    assert gammas[found + 1] == pytest.approx(ratio[found] / ratio[found - 1])
    assert gammas[100] == pytest.approx(ratio[99] / ratio[found - 1])
    assert gammas[200] == 0


def test_without_a_knee_half_of_the_size_stands_in_for_it() -> None:
    values = np.array([4.0, 3, 2, 1])
    assert knee(signal_to_noise(values)[:3]) is None
    assert exponents(values, (3, 1)) == {3: pytest.approx(1 / 3), 1: 1.0}


@given(st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=60))
def test_exponents_lie_between_pca_and_whitening_and_do_not_rise_with_the_size(values: list[float]) -> None:
    descending = np.sort(np.array(values))[::-1]
    gammas = list(exponents(descending, tuple(range(1, len(values) + 1))).values())
    assert all(0 <= gamma <= 1 for gamma in gammas)
    if knee(signal_to_noise(descending)[: max(1, int(0.9 * len(values)))]) is not None:
        assert (np.diff(gammas) <= 0).all()


def test_without_signal_it_is_centred_pca() -> None:
    axes = np.concatenate([np.eye(6), -np.eye(6)])
    rows = np.random.default_rng(1).standard_normal((20, 6))
    tempered, plain = (fit(Dataset(axes), (4, 2)) for fit in (fit_spectral_tempering, fit_centred_pca))
    for dim in (4, 2):
        np.testing.assert_allclose(tempered.encode(rows, dim), plain.encode(rows, dim), atol=1e-6)


def test_a_small_size_is_whitened_and_the_corpus_lies_around_its_mean() -> None:
    fitted = fit_spectral_tempering(Dataset(corpus()), (30, 2))
    rows = normalise(corpus()).astype(np.float64)
    small = fitted.documents[2]
    assert small.mean is not None
    np.testing.assert_allclose(small.mean, rows.mean(axis=0), atol=1e-6)
    moved = (rows - small.mean) @ small.matrix
    np.testing.assert_allclose(moved.T @ moved / len(rows), np.eye(2), atol=1e-4)
    large = (rows - small.mean) @ fitted.documents[30].matrix
    spread = large.var(axis=0)
    assert (np.diff(spread) < 0).all()
    assert spread[-1] < spread[0] / 2
