"""What training may look at: the pool's split, graded batches, the shortest datasets."""

from __future__ import annotations

import numpy as np
import pytest

from smec import Dataset
from smec.data import Embeddings
from smec.errors import DataError
from smec.training.batches import Batches
from training_data import pool_of, short, small_dataset

DOCUMENTS, WIDTH = 60, 8


def graded(queries: int = 12) -> Dataset:
    """Query i: grade 2 for document 3 i, grade 1 for 3 i + 1, grade 0 for the next query's 3 i + 3."""
    rng = np.random.default_rng(5)
    corpus = Embeddings([f"d{n}" for n in range(DOCUMENTS)], rng.standard_normal((DOCUMENTS, WIDTH)))
    asked = Embeddings([f"q{n}" for n in range(queries)], rng.standard_normal((queries, WIDTH)))
    qrels = {f"q{n}": {f"d{3 * n}": 2, f"d{3 * n + 1}": 1, f"d{3 * n + 3}": 0} for n in range(queries)}
    return Dataset(corpus, asked, {"train": qrels}, "graded")


@pytest.mark.parametrize("limit", [1000, 20])
def test_fit_and_held_out_queries_part_the_judged_ones(limit: int) -> None:
    dataset = small_dataset()
    pool = pool_of(dataset, limit=limit)
    assert pool.held_out is not None
    judged = dataset.judged("train")
    unit = judged.vectors.astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    row_of = {id_: row for row, id_ in enumerate(judged.ids)}
    held = {row_of[id_] for id_ in pool.held_out.ids}
    fit = sorted(set(range(len(judged))) - held)
    assert len(held) == 22  # a seventh
    np.testing.assert_allclose(pool.queries.numpy(), unit[fit], atol=1e-6)


def test_another_seed_holds_out_other_queries() -> None:
    held = [pool_of(small_dataset(), seed=seed).held_out for seed in (0, 0, 1)]
    assert held[0] is not None and held[1] is not None and held[2] is not None
    assert held[0].ids == held[1].ids
    assert set(held[0].ids) != set(held[2].ids)


def test_positives_point_at_the_judged_documents_within_a_drawn_pool() -> None:
    dataset = graded()
    pool = pool_of(dataset, limit=40)
    assert len(pool.rows) == 40
    assert pool.held_out is not None
    held = set(pool.held_out.ids)
    fit = [n for n in range(12) if f"q{n}" not in held]
    for query, (rows, grades) in zip(fit, pool.positives, strict=True):
        found = dict(zip(pool.rows[rows].tolist(), grades.tolist(), strict=True))
        assert found == {3 * query: 2.0, 3 * query + 1: 1.0}


def test_grades_of_a_batch_are_those_of_the_judgements() -> None:
    pool = pool_of(graded())
    batches = Batches(pool, short(optimiser={"batch": 4, "negatives": 25}).optimiser, seed=1, stage=0)
    for step in range(6):
        batch = batches.draw(step)
        for place, query in enumerate(batch.queries):
            rows, grades = pool.positives[query]
            known = dict(zip(rows.tolist(), grades.tolist(), strict=True))
            expected = [known.get(document, 0.0) for document in batch.documents.tolist()]
            assert batch.grades[place].tolist() == expected


def test_a_better_graded_positive_is_drawn_more_often() -> None:
    pool = pool_of(graded())
    batches = Batches(pool, short(optimiser={"batch": 9, "negatives": 0}).optimiser, seed=0, stage=0)
    drawn = [batches.draw(step).grades.diagonal() for step in range(100)]
    best = np.mean([float((grades == 2).float().mean()) for grades in drawn])
    assert best == pytest.approx(2 / 3, abs=0.06)


def test_fewer_queries_than_a_batch_are_all_in_every_batch() -> None:
    pool = pool_of(graded(queries=6))
    batches = Batches(pool, short().optimiser, seed=0, stage=0)
    for step in range(3):
        assert sorted(batches.draw(step).queries.tolist()) == list(range(len(pool.queries)))


def test_epochs_and_stages_come_in_their_own_order() -> None:
    pool = pool_of(small_dataset())
    options = short(optimiser={"batch": -(-len(pool.queries) // 2)}).optimiser
    first, second = (Batches(pool, options, seed=0, stage=stage) for stage in (0, 1))
    assert set(first.draw(0).queries.tolist() + first.draw(1).queries.tolist()) == set(
        range(len(pool.queries))
    )
    assert first.draw(0).queries.tolist() != first.draw(2).queries.tolist()
    assert first.draw(0).queries.tolist() != second.draw(0).queries.tolist()


def test_three_documents_are_too_few_without_labels() -> None:
    with pytest.raises(DataError, match="3 vectors are too few to train on; 4 is the least"):
        pool_of(Dataset(np.eye(3, dtype=np.float32)), supervised=False)
