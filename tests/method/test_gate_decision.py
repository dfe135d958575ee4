"""The gate's decision: a one-sided paired t-test at a strict level."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from smec.card import KEPT
from smec.method.gate import LEVEL, LOST, Measured, beats, judge


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.floats(-0.5, 1.0))
def test_it_decides_as_the_paired_t_test_of_scipy(seed: int, queries: int, gain: float) -> None:
    rng = np.random.default_rng(seed)
    rival = rng.random(queries)
    scores = rival + gain + rng.standard_normal(queries)
    p = stats.ttest_rel(scores, rival, alternative="greater").pvalue
    assert beats(scores, rival) == (p < LEVEL)


def test_luck_seldom_beats_a_rival_of_equal_worth() -> None:
    rng = np.random.default_rng(0)
    wins = [beats(*rng.random((2, 50))) for _ in range(2000)]
    assert np.mean(wins) < 2 * LEVEL


def test_one_query_or_no_gain_is_never_enough() -> None:
    assert not beats(np.array([1.0]), np.array([0.0]))
    assert not beats(np.full(9, 0.5), np.full(9, 0.5))
    assert beats(np.full(9, 0.75), np.full(9, 0.5))


@pytest.mark.parametrize("asked", ["queries", "documents"])
def test_without_labels_the_map_ships_only_where_pca_loses_neighbours(
    asked: Literal["queries", "documents"],
) -> None:
    rng = np.random.default_rng(0)
    kept = KEPT[asked]
    lossy, faithful = rng.uniform(kept - 0.3, kept - 0.1, 99), rng.uniform(kept, kept + 0.1, 99)
    sizes = {
        dim: Measured(np.ones(99), pca + 0.1, of := {"pca": pca, "truncate": pca / 2}, of, np.full(99, True))
        for dim, pca in ((64, faithful), (8, lossy))
    }
    shipped = {
        metric: [size.method for size in judge(sizes, metric, enabled=True, asked=asked).sizes]
        for metric in ("overlap@10", "ndcg@10")
    }
    assert shipped == {"overlap@10": ["pca", "smec"], "ndcg@10": ["smec", "smec"]}


def test_without_labels_a_map_that_loses_many_more_neighbours_than_pca_does_not_ship() -> None:
    pca = np.full(99, 0.5)
    shipped = [
        judge(
            {8: Measured(np.ones(99), pca - lost, of := {"pca": pca, "truncate": pca / 2}, of, pca > 0)},
            "overlap@10",
        )
        for lost in (LOST - 0.01, LOST + 0.01)
    ]
    assert [validation.sizes[0].method for validation in shipped] == ["smec", "pca"]
