"""New and seen documents are told apart, and the folds of a dataset hold new documents out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.cells import Cell
from benchmarks.methods import PCA, Method
from benchmarks.parts import FOLDS, fold_names, parted
from benchmarks.plan import Plan
from benchmarks.query_sets import QuerySet, full_scores, members, new_sets, query_sets, runs

from benchmark_data import finish, laboratory, write_dataset

TRAIN = {f"a{n}": {f"d{n}": 1} for n in range(20)}
TEST = {
    "new": {"d30": 1, "d0": 0},  # a grade of 0 is no relevance
    "seen": {"d1": 2, "d2": 1},
    "mixed": {"d3": 1, "d31": 1},
    "other": {"d32": 1},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "small", TRAIN, TEST)
    return tmp_path


def queries_of(folder: Path, queries: QuerySet) -> list[str]:
    lab = laboratory(folder)
    return [
        query
        for name, of in zip(queries.datasets, members(lab, queries), strict=True)
        for query, member in zip(lab.dataset(name).judged("test").ids, of, strict=True)
        if member
    ]


def test_queries_for_new_and_for_seen_documents_are_told_apart(folder: Path) -> None:
    assert set(queries_of(folder, QuerySet("small", ("small",), "new"))) == {"new", "other"}
    assert set(queries_of(folder, QuerySet("small", ("small",), "seen"))) == {"seen"}
    assert set(queries_of(folder, QuerySet("small", ("small",), "test"))) == set(TEST)


def test_the_folds_hold_every_query_out_once_and_its_documents_are_new(folder: Path) -> None:
    lab = laboratory(folder)
    held_out: list[str] = []
    for name in fold_names("small"):
        fold = lab.dataset(name)
        fitted = {row for grades in fold.judged("train").grades for row in grades}
        assert not fitted & {row for of in fold.judged("test").grades for row, grade in of.items() if grade}
        held_out += fold.judged("test").ids
    assert sorted(held_out) == sorted([*TRAIN, *TEST])
    whole = QuerySet("small split by document", fold_names("small"), "new")
    assert len(queries_of(folder, whole)) == len(held_out) == len(full_scores(lab, whole))


def test_new_documents_come_first_and_empty_sets_are_left_out(folder: Path) -> None:
    seen = {"seen": {"d1": 1}}
    write_dataset(folder / "known", TRAIN, seen)
    lab = laboratory(folder)
    sets = query_sets(lab, Plan(("known", "small"), (0,)))
    assert [(one.title, one.kind) for one in sets] == [
        ("small", "new"),
        ("known", "seen"),
        ("small", "seen"),
        ("small", "test"),
    ]
    assert [one.title for one in new_sets(lab, Plan((), (0,), new=("known", "small@1")))] == ["small@1"]


def test_a_run_has_the_queries_of_the_set_of_all_folds_that_are_finished(folder: Path) -> None:
    lab = laboratory(folder)
    method = Method("random", supervised=False)
    counts = [len(lab.dataset(name).judged("test")) for name in fold_names("small")]
    for seed, folds in ((0, FOLDS), (1, FOLDS - 1)):
        for number in range(folds):
            cell = Cell(method, f"small@{number}", seed)
            finish(
                folder,
                cell,
                [[(number + 1) / 10] * counts[number]],
                fallbacks={"32": "pca"} if number else {},
            )
    (run,) = runs(lab, method, QuerySet("small", fold_names("small"), "new"), [0, 1])
    assert run.seed == 0  # of seed 1 a fold is missing
    np.testing.assert_allclose(run.ndcg[0], np.repeat([0.1, 0.2, 0.3, 0.4, 0.5], counts))
    np.testing.assert_allclose(run.fell_back, [(FOLDS - 1) / FOLDS])


def test_only_the_queries_of_the_kind_are_scored(folder: Path) -> None:
    lab = laboratory(folder)
    ids = lab.dataset("small").judged("test").ids
    finish(folder, Cell(PCA, "small"), [[0.1 * place for place in range(len(ids))]])
    (run,) = runs(lab, PCA, QuerySet("small", ("small",), "seen"), [0])
    np.testing.assert_allclose(run.ndcg, [[0.1 * ids.index("seen")]])


def test_tuning_splits_the_train_queries_by_document(folder: Path) -> None:
    dataset = laboratory(folder).dataset("small")
    part = parted(dataset)
    fitted, held_out = part.judged("train"), part.judged("test")
    assert {*fitted.ids, *held_out.ids} == set(TRAIN)
    assert len(held_out) == pytest.approx(len(TRAIN) / 5, abs=1)
    assert not {d for of in fitted.qrels.values() for d in of} & {
        d for of in held_out.qrels.values() for d in of
    }
