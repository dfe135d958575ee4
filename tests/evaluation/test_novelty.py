"""Queries for new and for seen documents: who belongs where, their scores, and what cannot be told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smec.baselines import fit_baseline
from smec.data import Dataset, JudgedQueries, Qrels
from smec.errors import DataError
from smec.evaluation import bootstrap_interval, evaluate, new_and_seen

DOCUMENTS = [f"{row}" for row in range(8)]
REFERENCE = {
    "scifact-mpnet": (193, 3, 104),
    "cranfield-mpnet": (14, 64, 22),
    "medquad-minilm": (0, 0, 1000),
    "grocery-effnet": (800, 0, 0),
    "xquad-e5": (0, 0, 551),
    "manuals-ada002": (0, 161, 69),
}
"""Queries for seen documents, for both kinds, and for new ones."""

judgements = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(0, 2), max_size=5)
train_judgements = st.dictionaries(st.sampled_from(["t0", "t1", "t2"]), judgements)
relevant_judgements = judgements.filter(lambda judged: max(judged.values(), default=0) > 0)
test_judgements = st.lists(relevant_judgements, min_size=1, max_size=6)


def judged(test: list[dict[str, int]]) -> JudgedQueries:
    qrels = {str(row): documents for row, documents in enumerate(test)}
    return Dataset(np.eye(8), np.ones((len(test), 8)), {"test": qrels}).judged("test")


def relevant(documents: dict[str, int]) -> set[str]:
    return {document for document, grade in documents.items() if grade > 0}


def axes(test: Qrels, **train: Qrels) -> Dataset:
    """Eight documents along the axes; query i lies at document i, a little towards document 0."""
    queries = np.eye(8) + np.eye(8)[0] * 0.4
    return Dataset(np.eye(8), queries, {"test": test, **train}, name="axes")


@given(test_judgements, train_judgements)
def test_a_query_is_new_seen_or_mixed_by_its_relevant_documents(
    test: list[dict[str, int]], train: dict[str, dict[str, int]]
) -> None:
    groups = new_and_seen(judged(test), train)
    known = set().union(*map(relevant, train.values()))
    assert groups.new.tolist() == [not relevant(documents) & known for documents in test]
    assert groups.seen.tolist() == [relevant(documents) <= known for documents in test]
    assert (groups.new.astype(int) + groups.seen + groups.mixed == 1).all()


@given(test_judgements, train_judgements, train_judgements)
def test_more_train_judgements_make_no_query_new_and_no_seen_one_unseen(
    test: list[dict[str, int]], train: dict[str, dict[str, int]], more: dict[str, dict[str, int]]
) -> None:
    before = new_and_seen(judged(test), train)
    after = new_and_seen(judged(test), {**train, **{f"more {query}": of for query, of in more.items()}})
    assert not (after.new & ~before.new).any()
    assert not (before.seen & ~after.seen).any()


def test_only_the_ids_of_the_train_qrels_are_needed() -> None:
    groups = new_and_seen(
        judged([{"1": 1}, {"2": 1}]), {"a query without a vector": {"1": 1, "elsewhere": 1}}
    )
    assert (groups.new.tolist(), groups.seen.tolist()) == ([False, True], [True, False])


def test_train_grades_that_are_no_whole_numbers_are_refused_with_their_place() -> None:
    with pytest.raises(
        DataError, match=r"train qrels: query 't', document '1': grades must be whole numbers"
    ):
        new_and_seen(judged([{"1": 1}]), {"t": {"1": 0.5}})  # type: ignore[dict-item]


@pytest.mark.parametrize(("name", "counts"), REFERENCE.items())
def test_the_reference_datasets_have_the_known_counts(
    shared_data: Path, name: str, counts: tuple[int, int, int]
) -> None:
    dataset = Dataset.open(shared_data / name)
    groups = new_and_seen(dataset.judged("test"), dataset.qrels["train"])
    assert (groups.seen.sum(), groups.mixed.sum(), groups.new.sum()) == counts


def test_each_group_has_the_mean_and_the_interval_of_its_own_queries() -> None:
    test = {"0": {"0": 1}, "1": {"1": 1}, "2": {"0": 1}, "3": {"3": 1, "0": 1}, "4": {"4": 2}}
    dataset = axes(test, train={"7": {"0": 1, "1": 1}})
    evaluation = evaluate(dataset, [fit_baseline("truncate", dataset, (2,))])
    groups = evaluation.groups
    assert groups is not None
    assert groups.new.tolist() == [False, False, False, False, True]
    assert groups.seen.tolist() == [True, True, True, False, False]
    (result,) = evaluation.results
    for values, new, seen in (
        (evaluation.full_per_query, evaluation.full_new, evaluation.full_seen),
        (result.per_query, result.new, result.seen),
    ):
        for score, members in ((new, groups.new), (seen, groups.seen)):
            assert score is not None
            assert score.queries == members.sum()
            assert score.mean == pytest.approx(values[members].mean())
            assert score.ci == bootstrap_interval(values[members])
    # Query 2 asks for document 0 and finds its own document first; two dims do not know document 4.
    assert evaluation.full_seen is not None and result.new is not None and evaluation.full_new is not None
    assert evaluation.full_seen.mean == pytest.approx((1 + 1 + 1 / np.log2(3)) / 3)
    assert (evaluation.full_new.mean, evaluation.full_new.ci) == (1.0, (1.0, 1.0))
    assert result.new.mean < 1


def test_the_json_has_both_groups_in_every_result_and_for_the_full_vectors() -> None:
    dataset = axes({"0": {"0": 1}, "1": {"1": 1}, "2": {"2": 1}}, train={"7": {"0": 1}})
    evaluation = evaluate(dataset, [fit_baseline("truncate", dataset, (4, 2))])
    record = json.loads(json.dumps(evaluation.to_json()))
    assert record["queries"] == 3
    scores = ((evaluation.full_new, evaluation.full_seen), *((r.new, r.seen) for r in evaluation.results))
    for entry, (new, seen) in zip((record["full"], *record["results"]), scores, strict=True):
        assert new is not None and seen is not None
        assert (entry["queries_new"], entry["queries_seen"]) == (2, 1)
        assert (entry["ndcg@10_new"], entry["ci_new"]) == (new.mean, list(new.ci))
        assert (entry["ndcg@10_seen"], entry["ci_seen"]) == (seen.mean, list(seen.ci))


NONE_NEW = "no query asks for new documents only: the score on them could not be measured"
NONE_SEEN = "no query asks for seen documents only: the score on them could not be measured"
NOT_TOLD = "new and seen documents cannot be told apart"
ONE_DOCUMENT: Qrels = {"0": {"5": 1}, "1": {"5": 1}, "2": {"5": 2}}
EVERY_TRAIN: Qrels = {"7": dict.fromkeys(DOCUMENTS, 1)}


@pytest.mark.parametrize(
    ("test", "train", "queries", "unmeasured"),
    [
        ({"0": {"0": 1}, "1": {"1": 1}}, EVERY_TRAIN, (0, 2), (NONE_NEW,)),
        ({"0": {"0": 1}, "1": {"1": 1}}, {"7": {"6": 1, "0": 0}}, (2, 0), (NONE_SEEN,)),
        ({"0": {"0": 1, "1": 1}}, {"7": {"1": 1}}, (0, 0), (NONE_NEW, NONE_SEEN)),
        (ONE_DOCUMENT, {"7": {"5": 1}}, (0, 3), (NONE_NEW,)),
        (ONE_DOCUMENT, {"7": {"4": 1}}, (3, 0), (NONE_SEEN,)),
        (ONE_DOCUMENT, {}, (0, 0), (f"the dataset's train qrels name no relevant document: {NOT_TOLD}",)),
        (
            ONE_DOCUMENT,
            {"7": {"5": 0}},
            (0, 0),
            (f"the dataset's train qrels name no relevant document: {NOT_TOLD}",),
        ),
        (ONE_DOCUMENT, None, (0, 0), (f"the dataset has no train qrels: {NOT_TOLD}",)),
    ],
)
def test_what_could_not_be_measured_is_said(
    test: Qrels, train: Qrels | None, queries: tuple[int, int], unmeasured: tuple[str, ...]
) -> None:
    evaluation = evaluate(axes(test, **({} if train is None else {"train": train})), [])
    record = json.loads(json.dumps(evaluation.to_json()))["full"]
    assert (record["queries_new"], record["queries_seen"]) == queries
    assert (evaluation.full_new is None, evaluation.full_seen is None) == (queries[0] == 0, queries[1] == 0)
    assert [record["ndcg@10_new"] is None, record["ndcg@10_seen"] is None] == [n == 0 for n in queries]
    assert [record["ci_new"] is None, record["ci_seen"] is None] == [n == 0 for n in queries]
    assert evaluation.unmeasured == unmeasured


def test_the_train_split_itself_has_no_new_documents_to_score() -> None:
    evaluation = evaluate(axes({"0": {"0": 1}}, train={"1": {"1": 1}}), [], split="train")
    assert (evaluation.groups, evaluation.full_new, evaluation.full_seen) == (None, None, None)
    assert evaluation.unmeasured == (f"split 'train' is the one that training learns from: {NOT_TOLD}",)


def test_without_any_qrels_nothing_is_told_apart() -> None:
    evaluation = evaluate(Dataset(np.eye(8), name="bare"), [])
    assert (evaluation.groups, evaluation.full_new, evaluation.full_seen) == (None, None, None)
    assert evaluation.unmeasured == (f"the dataset has no qrels: {NOT_TOLD}",)
