"""Thresholds: what F1 chooses, what a lead is, and what is measured of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smec.judging.rules import Scored, best_threshold, calibrated, default_rule, lead


def f1(values: np.ndarray, relevant: np.ndarray, threshold: float) -> float:
    passing = values >= threshold
    return 2 * float((passing & relevant).sum()) / float(passing.sum() + relevant.sum())


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 12, 40).astype(float)  # many ties
    relevant = rng.random(40) < values / 15
    threshold, reached = best_threshold(values, relevant)
    best = max(f1(values, relevant, value) for value in values)
    assert reached == pytest.approx(best)
    assert f1(values, relevant, threshold) == pytest.approx(best)


def test_it_lies_halfway_between_two_scores() -> None:
    values = np.array([9.0, 8.0, 3.0, 1.0])
    assert best_threshold(values, np.array([True, True, False, False])) == (5.5, 1.0)
    assert best_threshold(values, np.ones(4, dtype=bool)) == (1.0, 1.0)
    assert best_threshold(values, np.zeros(4, dtype=bool)) == (math.inf, 0.0)
    beside = np.array([1.0, np.nextafter(1.0, 0)])
    assert best_threshold(beside, np.array([True, False])) == (1.0, 1.0)


def test_a_lead_knows_no_unit_and_no_zero() -> None:
    scores = np.array([2.0, 10.0, 4.0, 3.0])
    # The best is 6 above the second; the median of the others is 3, 7 below it.
    np.testing.assert_allclose(lead(list(scores)), [-8 / 7, 6 / 7, -6 / 7, -1])
    np.testing.assert_allclose(lead(list(5 * scores - 40)), lead(list(scores)))
    assert np.isneginf(lead([1.0, 2.0])).all()
    assert np.isneginf(lead([3.0, 3.0, 3.0])).all()
    np.testing.assert_allclose(lead([5.0, 5.0, 1.0, 1.0]), [0, 0, -1, -1])


def test_the_default_takes_a_clear_best_document_alone() -> None:
    rule = default_rule(graded=False)
    assert rule.passing([2.0, 10.0, 4.0, 3.0]) == [1]
    assert rule.passing([0.99, 0.98, 0.01, 0.0]) == []
    assert rule.passing([5.0]) == []
    assert default_rule(graded=True).passing([3, 1, 2, 0]) == [0, 2]


def sample(queries: int, *, shifted: bool) -> list[Scored]:
    """One relevant document of ten, 1 above the others; each query with a level of its own, if shifted."""
    rng = np.random.default_rng(0)
    made: list[Scored] = []
    for _ in range(queries):
        level = rng.normal(0, 100) if shifted else 0.0
        noise = rng.uniform(0, 0.5, 10)
        made.append(([level + 1 + noise[0], *(level + noise[1:])], [True, *[False] * 9]))
    return made


def test_scores_that_mean_the_same_for_every_query_are_taken_as_they_are() -> None:
    rule = calibrated(sample(40, shifted=False), graded=False)
    assert rule is not None and rule.scale == "score" and 0.5 < rule.threshold < 1
    assert (rule.precision, rule.recall, rule.f1, rule.sample) == (1, 1, 1, 40)


def test_others_are_compared_within_their_query() -> None:
    rule = calibrated(sample(40, shifted=True), graded=False)
    assert rule is not None and rule.scale == "lead"
    assert (rule.precision, rule.recall) == (1, 1)
    assert rule.passing([1000.0, 1001.2, 1000.3, 1000.1]) == [1]


def test_scores_that_say_nothing_are_told_to_say_nothing() -> None:
    rng = np.random.default_rng(0)
    noise: list[Scored] = [(rng.random(10).tolist(), [True, *[False] * 9]) for _ in range(100)]
    rule = calibrated(noise, graded=False)
    assert rule is not None and rule.precision is not None
    assert rule.precision < 0.2


def test_too_few_judged_documents_calibrate_nothing() -> None:
    assert calibrated(sample(9, shifted=False), graded=False) is None
    assert calibrated([], graded=False) is None
