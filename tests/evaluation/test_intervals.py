"""Intervals cover, p-values are those of the exact test, and degenerate scores do no harm."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from smec.evaluation import bootstrap_interval, paired_p_value


def test_the_interval_is_that_of_the_normal_approximation_for_many_queries() -> None:
    values = np.random.default_rng(0).random(400)
    low, high = bootstrap_interval(values)
    error = 1.96 * values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.002)


def test_ninety_percent_intervals_cover_the_mean_about_nine_times_in_ten() -> None:
    rng = np.random.default_rng(1)
    samples = rng.beta(0.5, 0.5, (100, 60))  # as nDCG: most queries near 0 or near 1
    intervals = [bootstrap_interval(sample, confidence=0.9) for sample in samples]
    assert 83 <= sum(low <= 0.5 <= high for low, high in intervals) <= 97


def test_more_confidence_is_a_wider_interval_that_stays_within_the_values() -> None:
    values = np.array([1.0] + [0.0] * 19)
    (low, high), (lower, higher) = (bootstrap_interval(values, confidence=c) for c in (0.6, 0.95))
    assert 0 == lower <= low < high < higher <= 1


@pytest.mark.parametrize("values", [[0.3], [0.1, 0.1, 0.1], [0.0] * 50])
def test_equal_values_have_an_interval_of_no_width(values: list[float]) -> None:
    assert bootstrap_interval(np.array(values)) == (values[0], values[0])


def test_the_seed_decides() -> None:
    values, reference = np.random.default_rng(2).random((2, 50))
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
    assert paired_p_value(values, reference, seed=3) == paired_p_value(values, reference, seed=3)


def exact_p(differences: NDArray[np.float64]) -> float:
    signs = np.array(list(itertools.product((1, -1), repeat=len(differences))))
    return float((np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean())


@settings(max_examples=30)
@given(st.lists(st.integers(-8, 8), min_size=1, max_size=8))
def test_few_queries_get_the_exact_test_over_all_sign_flips(differences: list[int]) -> None:
    values = np.array(differences) / 16
    assert paired_p_value(values + 0.5, np.full(len(values), 0.5)) == pytest.approx(exact_p(values))


def test_many_queries_agree_with_the_t_test() -> None:
    rng = np.random.default_rng(5)
    reference = rng.random(300)
    values = reference + rng.normal(0.02, 0.2, 300)
    assert paired_p_value(values, reference) == pytest.approx(
        float(stats.ttest_rel(values, reference).pvalue), abs=0.02
    )


@pytest.mark.parametrize("count", [1, 2, 200])
def test_no_difference_is_a_p_value_of_one(count: int) -> None:
    values = np.random.default_rng(6).random(count)
    assert paired_p_value(values, values) == 1.0


def test_one_differing_query_says_nothing() -> None:
    assert paired_p_value(np.array([0.2, 1.0]), np.array([0.2, 0.0])) == 1.0


def test_a_shift_of_every_query_is_as_small_as_the_flips_can_tell() -> None:
    values = np.random.default_rng(7).random(100)
    assert paired_p_value(values + 0.1, values) <= 0.001
