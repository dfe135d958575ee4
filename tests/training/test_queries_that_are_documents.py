"""Queries without judgements that are documents themselves: finding themselves says nothing of a size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from smec.config import ValidationConfig, build_config
from smec.data import Dataset
from smec.method.plans import plan_stages
from smec.method.stages import Stage
from smec.training.batches import Batches
from smec.training.pool import Pool, document_pool
from smec.training.validation import HeldOut
from smec.vectors import Float32Array, IntArray, normalise

DIM, DEPTH = 12, 10


@pytest.fixture(scope="module")
def documents() -> Float32Array:
    return normalise(np.random.default_rng(0).standard_normal((60, DIM)))


@pytest.fixture(scope="module")
def strangers() -> Float32Array:
    return normalise(np.random.default_rng(1).standard_normal((7, DIM)))


def held_out(documents: Float32Array, log: Float32Array) -> HeldOut:
    rows = np.arange(len(documents))
    pool = Pool(
        rows=rows,
        documents=torch.from_numpy(documents),
        queries=torch.empty(0, DIM),
        positives=(),
        held_out=None,
        held_out_rows=np.empty(0, dtype=np.int64),
        held_out_log=log,
    )
    return HeldOut(Dataset(documents), pool)


def nearest(documents: Float32Array, query: Float32Array, own: int | None) -> set[int]:
    ranking = [int(row) for row in np.argsort(-(documents @ query)) if row != own]
    return set(ranking[:DEPTH])


def kept(documents: Float32Array, queries: Float32Array, own: list[int | None], dim: int) -> list[float]:
    """Share of each query's ten nearest other documents that its first dims keep."""
    small, asked = normalise(documents[:, :dim]), normalise(queries[:, :dim])
    return [
        len(nearest(documents, q, row) & nearest(small, s, row)) / DEPTH
        for q, s, row in zip(queries, asked, own, strict=True)
    ]


@pytest.mark.parametrize("dim", [1, 3, 6])
def test_a_query_does_not_find_itself(documents: Float32Array, strangers: Float32Array, dim: int) -> None:
    log = np.concatenate([documents[:9], strangers])
    matrix = np.eye(DIM, dtype=np.float32)[:, :dim]
    expected = kept(documents, log, [*range(9), *[None] * 7], dim)
    np.testing.assert_allclose(held_out(documents, log).scores(matrix), expected)


def test_they_score_what_the_same_documents_score(documents: Float32Array) -> None:
    rows: IntArray = np.array([3, 17, 40])
    logged = held_out(documents, documents[rows])
    as_documents = document_pool(Dataset(documents), seed=0, limit=100, validation=ValidationConfig())
    asked = HeldOut(Dataset(documents), replace(as_documents, held_out_rows=rows))
    matrix = np.eye(DIM, dtype=np.float32)[:, :4]
    np.testing.assert_array_equal(logged.scores(matrix), asked.scores(matrix))
    np.testing.assert_array_equal(logged.scores(matrix, "int8"), asked.scores(matrix, "int8"))


def test_one_near_a_document_is_none(documents: Float32Array) -> None:
    beside = normalise(documents[:5] + 0.05 * np.random.default_rng(2).standard_normal((5, DIM)))
    assert ((beside * documents[:5]).sum(axis=1) < 0.9999).all()
    matrix = np.eye(DIM, dtype=np.float32)[:, :3]
    expected = kept(documents, beside, [None] * 5, 3)
    np.testing.assert_allclose(held_out(documents, beside).scores(matrix), expected)


def test_beside_labels_too_such_a_query_is_not_taught_to_find_itself(documents: Float32Array) -> None:
    config = build_config(
        candidates=(),
        start="pca",
        rank={"weight": 1e-12},
        optimiser={"batch": 4, "negatives": 60, "hard_negatives": 0},
    )
    (plan,) = plan_stages(config, DIM, (4,), 4)
    queries = torch.from_numpy(normalise(np.random.default_rng(3).standard_normal((4, DIM))))
    one = np.ones(1)
    pool = Pool(
        rows=np.arange(60),
        documents=torch.from_numpy(documents),
        queries=queries,
        positives=tuple((np.array([row]), one) for row in range(4)),
        held_out=None,
        held_out_rows=np.empty(0, dtype=np.int64),
        log=torch.from_numpy(documents[50:52]),
    )
    rows = (pool.queries, pool.log, pool.documents)
    layer = torch.eye(DIM)
    stage = Stage(plan, config, pool, rows[2], rows[0], rows[1], torch.empty(0, DIM), layer, rows)
    loss = stage.loss(stage.parameters(), 0).item()
    batch = Batches(pool, config.optimiser, config.seed, plan.number).draw(0)
    asked = torch.cat([queries[batch.queries], pool.log[batch.log]])
    own = torch.cat([torch.full((4,), -1), torch.from_numpy(50 + batch.log)])
    drawn = torch.from_numpy(batch.documents)
    left_out = own[:, None] == drawn[None, :]
    assert left_out.sum() == 2
    small = [torch.nn.functional.normalize(of[:, :4]) for of in (asked, pool.documents[drawn])]
    p, q = (
        torch.softmax((scores / 0.05).masked_fill(left_out, float("-inf")), dim=1)
        for scores in (asked @ pool.documents[drawn].T, small[0] @ small[1].T)
    )
    expected = torch.where(p > 0, p * (p / q).log(), torch.zeros(())).sum(dim=1).mean().item()
    assert loss == pytest.approx(expected, rel=1e-4)
