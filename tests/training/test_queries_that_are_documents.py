"""Queries without judgements that are documents themselves: finding themselves says nothing of a size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from smec.config import ValidationConfig
from smec.data import Dataset
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
