"""The field's measures on hand-computed rankings, and TREC's ties in every one of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smec.data import JudgedQueries
from smec.errors import ConfigError
from smec.evaluation import Scorer, exact_search, per_query, trec_tie_order

MEASURES = ("nDCG@10", "nDCG@2", "R@2", "RR@10", "RR@1", "AP", "P@1")


def test_a_hand_computed_ranking_of_three_documents_with_linear_gains() -> None:
    # Ranked b (grade 1), c (0), a (3): the gain of a grade is the grade, not 2**grade - 1.
    scores = per_query({"q": {"a": 3, "b": 1, "c": 0}}, {"q": {"b": 0.9, "c": 0.8, "a": 0.7}}, MEASURES)
    dcg, ideal = 1 + 3 / math.log2(4), 3 + 1 / math.log2(3)
    expected = {
        "nDCG@10": dcg / ideal,
        "nDCG@2": 1 / ideal,
        "R@2": 1 / 2,
        "RR@10": 1.0,
        "RR@1": 1.0,
        "AP": (1 / 1 + 2 / 3) / 2,
        "P@1": 1.0,
    }
    assert {name: values.tolist() for name, values in scores.items()} == {
        name: [pytest.approx(value)] for name, value in expected.items()
    }


def test_a_query_that_finds_nothing_relevant_or_nothing_at_all_scores_zero_in_its_place() -> None:
    qrels = {"z": {"a": 1}, "m": {"a": 1}, "b": {"a": 1}, "a": {"a": 2}}
    run = {"a": {"a": 0.5}, "z": {"x": 0.5}, "b": {}, "unjudged": {"a": 1.0}}
    for values in per_query(qrels, run, ("nDCG@10", "RR@10", "AP")).values():
        assert values.tolist() == [0, 0, 0, 1]


def test_a_query_that_comes_twice_is_scored_twice() -> None:
    judged = JudgedQueries(("q",), np.eye(1, dtype=np.float32), ({1: 1},), {"q": {"b": 1}})
    both = judged.joined(JudgedQueries(("p",), judged.vectors, ({0: 1},), {"p": {"a": 1}})).joined(judged)
    ranked, cosines = np.array([[0, 1]] * 3), np.array([[0.9, 0.8]] * 3, dtype=np.float32)
    assert Scorer(both, ["a", "b"], ["RR@10"])(ranked, cosines)["RR@10"].tolist() == [0.5, 1.0, 0.5]


def test_thousands_of_queries_each_keep_their_own_score() -> None:
    count = 2500
    qrels = {str(query): {"a": 1} for query in range(count)}
    run = {query: {"a": 0.5, "b": float(int(query) % 2)} for query in qrels}
    ranks = 1 + np.arange(count) % 2
    np.testing.assert_allclose(per_query(qrels, run, ["RR@10"])["RR@10"], 1 / ranks)
    np.testing.assert_allclose(per_query(qrels, run, ["AP"])["AP"], 1 / ranks)


def test_equal_scores_rank_by_id_descending_in_every_measure() -> None:
    run = {"q": {"a": 0.5, "b": 0.5, "c": 0.5}}
    for relevant, rank in [("c", 1), ("b", 2), ("a", 3)]:
        scores = per_query({"q": {relevant: 1}}, run, ("RR", "RR@10", "AP", "nDCG@10"))
        assert [scores[name][0] for name in ("RR", "RR@10", "AP")] == pytest.approx([1 / rank] * 3)
        assert scores["nDCG@10"][0] == pytest.approx(1 / math.log2(rank + 1))


@given(
    scores=st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=4),
    relevant=st.dictionaries(st.integers(0, 5), st.integers(1, 4), min_size=1),
)
def test_the_scorer_of_a_search_agrees_with_the_run_by_ids(
    scores: list[list[int]], relevant: dict[int, int]
) -> None:
    ids = ("10", "9", "b", "a", "B", "2")
    queries = tuple(f"q{row}" for row in range(len(scores)))
    qrels = {query: {ids[row]: grade for row, grade in relevant.items()} for query in queries}
    vectors = np.array(scores, dtype=np.float32)
    judged = JudgedQueries(queries, vectors, tuple(relevant for _ in queries), qrels)
    found, rows = exact_search(np.eye(6, dtype=np.float32), vectors, 4, tie_order=trec_tie_order(ids))
    run = {
        query: dict(zip(ids, map(float, of_query), strict=True))
        for query, of_query in zip(queries, scores, strict=True)
    }
    cut = ("nDCG@3", "RR@4", "R@4")
    scored, expected = Scorer(judged, ids, cut)(rows, found), per_query(qrels, run, cut)
    for name in cut:
        np.testing.assert_array_equal(scored[name], expected[name])


def test_the_scorer_ranks_by_score_whatever_the_order_of_the_columns() -> None:
    judged = JudgedQueries(("q",), np.ones((1, 1)), ({1: 1},), {"q": {"b": 1}})
    scorer = Scorer(judged, ("a", "b", "c"), ("RR",))
    assert scorer(np.array([[0, 1]]), np.array([[0.1, 0.2]], np.float32))["RR"].tolist() == [1.0]
    assert scorer(np.array([[2, 1]]), np.array([[0.2, 0.2]], np.float32))["RR"].tolist() == [0.5]


@pytest.mark.parametrize("name", ["accuracy@7", "nDCG@ten", "nDCG@", "P", "Bpref@3", ""])
def test_an_unknown_measure_is_named_in_one_line(name: str) -> None:
    with pytest.raises(ConfigError, match="nDCG@10") as caught:
        per_query({"q": {"a": 1}}, {"q": {"a": 1.0}}, [name])
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)
