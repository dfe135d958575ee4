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


@pytest.mark.parametrize("weakened", [True, False])
@pytest.mark.parametrize("asked", ["queries", "documents"])
def test_without_labels_the_map_ships_only_where_pca_loses_neighbours(
    asked: Literal["queries", "documents"], weakened: bool
) -> None:
    rng = np.random.default_rng(0)
    kept = KEPT[asked]
    lossy, faithful = rng.uniform(kept - 0.3, kept - 0.1, 99), rng.uniform(kept, kept + 0.1, 99)
    sizes = {
        dim: Measured(np.ones(99), pca + 0.1, of := {"pca": pca, "truncate": pca / 2}, of, np.full(99, True))
        for dim, pca in ((64, faithful), (8, lossy))
    }
    shipped = {
        metric: [size.method for size in judge(sizes, metric, asked=asked, weakened=weakened).sizes]
        for metric in ("overlap@10", "ndcg@10")
    }
    assert shipped == {"overlap@10": ["pca", "smec"], "ndcg@10": ["smec", "smec"]}


def without_labels(lost: float, *, weakened: bool) -> str:
    """What ships where PCA keeps half of the neighbours, and the map so many fewer."""
    pca = np.random.default_rng(0).uniform(0.4, 0.6, 99)
    of = {"pca": pca, "truncate": pca / 2}
    sizes = {8: Measured(np.ones(99), pca - lost, of, of, pca > 0)}
    return judge(sizes, "overlap@10", asked="queries", weakened=weakened).sizes[0].method


def test_a_map_whose_teacher_has_weakened_axes_may_keep_fewer_neighbours_but_not_many() -> None:
    assert without_labels(LOST - 0.01, weakened=True) == "smec"
    assert without_labels(LOST + 0.01, weakened=True) == "pca"


def test_any_other_map_has_to_keep_more_neighbours_than_pca() -> None:
    assert without_labels(0.01, weakened=False) == without_labels(0.0, weakened=False) == "pca"
    assert without_labels(-0.01, weakened=False) == "smec"
