"""Splits by document: no fitted judgement names a document that is relevant to a held-out query."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smec import Dataset
from smec.data import JudgedQueries
from smec.training.document_folds import DocumentFold, document_folds, document_groups

DOCUMENTS = 12


def judged(grades: list[dict[int, int]]) -> JudgedQueries:
    """Queries with these grades by document row."""
    rng = np.random.default_rng(3)
    qrels = {f"{n}": {f"{row}": grade for row, grade in of.items()} for n, of in enumerate(grades)}
    corpus, queries = rng.standard_normal((DOCUMENTS, 4)), rng.standard_normal((len(grades), 4))
    return Dataset(corpus, queries, {"train": qrels}).judged("train")


def relevant(queries: JudgedQueries) -> set[int]:
    return {row for of in queries.grades for row, grade in of.items() if grade > 0}


GRADES = st.lists(
    st.dictionaries(st.integers(0, DOCUMENTS - 1), st.integers(0, 2), min_size=1, max_size=4).filter(
        lambda of: max(of.values()) > 0
    ),
    min_size=2,
    max_size=20,
)


@settings(max_examples=200, deadline=None)
@given(GRADES, st.integers(2, 5), st.integers(0, 3))
def test_no_fitted_judgement_names_a_held_out_document(
    grades: list[dict[int, int]], parts: int, seed: int
) -> None:
    whole = judged(grades)
    held_out: Counter[str] = Counter()
    for fold in document_folds(whole, parts, seed=seed):
        named = {row for of in fold.fit.grades for row in of}
        assert not named & relevant(fold.new)
        assert {document for of in fold.fit.qrels.values() for document in of} == set(map(str, named))
        assert relevant(fold.seen) <= relevant(fold.fit)
        assert all(max(of.values()) > 0 for of in fold.fit.grades)
        apart = [set(part.ids) for part in (fold.fit, fold.new, fold.seen)]
        assert sum(map(len, apart)) == len(set.union(*apart)) == len(whole) - fold.unused
        # What is held out is scored with all its judgements.
        for part in (fold.new, fold.seen):
            assert all(part.qrels[query] == whole.qrels[query] for query in part.ids)
        held_out.update([*fold.new.ids])
    assert all(count == 1 for count in held_out.values())


@settings(max_examples=50, deadline=None)
@given(GRADES, st.integers(1, 6))
def test_a_group_has_no_more_queries_than_asked_for(grades: list[dict[int, int]], largest: int) -> None:
    assert np.bincount(document_groups(judged(grades), largest)).max() <= largest


def test_queries_that_share_a_document_form_a_group() -> None:
    groups = document_groups(judged([{0: 1}, {0: 1, 1: 1}, {1: 2}, {2: 1}, {2: 0, 3: 1}]), largest=10)
    assert groups[0] == groups[1] == groups[2]
    assert len({groups[0], groups[3], groups[4]}) == 3  # a grade of 0 is no link


def test_what_a_divided_group_costs_is_told() -> None:
    chain = judged([{n: 1, n + 1: 1} for n in range(10)])  # each query shares a document with the next
    folds = document_folds(chain, 2, seed=0)
    assert len(folds) == 2
    assert sum(fold.removed for fold in folds) > 0
    for fold in folds:
        before = sum(len(chain.qrels[query]) for query in fold.fit.ids)
        assert before - sum(map(len, fold.fit.qrels.values())) == fold.removed


def test_seen_queries_keep_a_fitted_query_for_each_document() -> None:
    pairs = judged([{n // 4: 1} for n in range(40)])
    folds = document_folds(pairs, 4, seed=0)
    assert all(len(fold.seen) for fold in folds)
    assert all(relevant(fold.seen) <= relevant(fold.fit) for fold in folds)


def test_no_fold_is_possible_where_all_queries_share_one_document() -> None:
    folds = document_folds(judged([{0: 1}] * 6), 3, seed=0)
    assert folds == []


@pytest.mark.parametrize("seed", [0, 1])
def test_same_seed_same_folds(seed: int) -> None:
    def ids(folds: list[DocumentFold]) -> list[tuple[str, ...]]:
        return [fold.new.ids for fold in folds]

    whole = judged([{n % DOCUMENTS: 1} for n in range(30)])
    assert ids(document_folds(whole, 3, seed=seed)) == ids(document_folds(whole, 3, seed=seed))
    assert ids(document_folds(whole, 3, seed=2)) != ids(document_folds(whole, 3, seed=seed))
