"""Gaps are paired over queries and seeds, and p-values are corrected for their number."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.paired import MARGIN, gap, holm, interval, p_below, p_differs, standard_error
from scipy import stats

from smec.evaluation import bootstrap_interval

RNG = np.random.default_rng(0)
EASY = RNG.random(200)
"""How easy each query is: a method's scores go with it."""


def scores(mean: float, seeds: int = 3, noise: float = 0.02) -> np.ndarray:
    return EASY + mean + noise * RNG.standard_normal((seeds, len(EASY)))


def test_pairing_takes_out_how_easy_the_queries_are() -> None:
    found = gap(scores(0.03), scores(0.0))
    assert found.mean == pytest.approx(0.03, abs=0.005)
    assert found.low < found.mean < found.high
    assert found.high - found.low < 0.01  # the queries alone spread by .3
    assert found.p_inferior == pytest.approx(1 / 5000)


def test_seeds_widen_the_interval() -> None:
    spread = np.array([[-0.05], [0.0], [0.05]])
    alike, apart = gap(scores(0.0), scores(0.0)), gap(scores(0.0) + spread, scores(0.0))
    assert apart.high - apart.low > 5 * (alike.high - alike.low)


def test_a_method_that_is_behind_by_the_margin_is_not_shown_to_be_as_good() -> None:
    assert gap(scores(-MARGIN), scores(0.0)).p_inferior == pytest.approx(0.5, abs=0.4)
    assert gap(scores(-3 * MARGIN), scores(0.0)).p_inferior == 1.0


def test_what_has_no_seeds_is_compared_with_every_seed() -> None:
    ours, theirs = scores(0.02, seeds=5), scores(0.0, seeds=1)
    assert gap(ours, theirs).mean == pytest.approx(float(ours.mean() - theirs.mean()))
    more = np.concatenate([ours, ours + 1])  # seeds that the other one does not have are left out
    assert gap(more, scores(0.0, seeds=5)).mean == pytest.approx(0.02, abs=0.01)


def test_holm_as_in_his_paper() -> None:
    # Sorted: .01 * 4, .02 * 3, .03 * 2, .04 * 1; none below the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_tests_are_scipys_paired_t_tests() -> None:
    ours, theirs = scores(0.0, seeds=1, noise=0.3)[0], scores(0.02, seeds=1, noise=0.3)[0]
    assert p_differs(ours, theirs) == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    assert p_below(ours, theirs) == pytest.approx(stats.ttest_rel(ours, theirs, alternative="less").pvalue)
    assert standard_error(ours - theirs) == pytest.approx(stats.sem(ours - theirs))
    assert p_differs(ours, ours) == p_below(ours, ours) == 1.0


def test_the_interval_is_the_bootstraps() -> None:
    np.testing.assert_allclose(interval(EASY), bootstrap_interval(EASY), atol=0.004)
