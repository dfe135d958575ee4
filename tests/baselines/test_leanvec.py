"""LeanVec serves queries that are distributed unlike the documents."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smec.baselines.leanvec import fit_leanvec_es, fit_leanvec_fw
from smec.baselines.pca import fit_pca
from smec.data import Dataset
from smec.encoder import ProjectionPerSize
from smec.vectors import FloatArray, normalise

D = 16
Matrix = NDArray[np.float64]


def dataset(seed: int = 0, queries: int = 60, documents: int = 300) -> Dataset:
    """Documents vary most along the first dimensions, queries along the last."""
    rng = np.random.default_rng(seed)
    corpus = rng.standard_normal((documents, D)) * np.linspace(2, 0.5, D)
    asked = rng.standard_normal((queries, D)) * np.linspace(0.3, 2, D)
    return judged(corpus, asked)


def judged(corpus: FloatArray, queries: FloatArray) -> Dataset:
    return Dataset(corpus, queries, {"train": {str(row): {"0": 1} for row in range(len(queries))}})


def units(data: Dataset) -> tuple[Matrix, Matrix]:
    assert data.queries is not None
    q, x = normalise(data.queries.vectors), normalise(data.corpus.vectors)
    return q.astype(np.float64), x.astype(np.float64)


def loss(data: Dataset, a: FloatArray, b: FloatArray) -> float:
    """Mean squared error of the inner products, from the rows themselves."""
    q, x = units(data)
    return float(np.mean(((q @ a) @ (x @ b).T - q @ x.T) ** 2))


def loss_of(data: Dataset, encoder: ProjectionPerSize, dim: int) -> float:
    return loss(data, encoder.queries[dim].matrix, encoder.documents[dim].matrix)


def least_loss(data: Dataset, dim: int) -> float:
    """What no pair of matrices can beat: the best approximation of the inner products of rank ``dim``."""
    q, x = units(data)
    values = np.linalg.svd(q @ x.T, compute_uv=False)
    return float(np.sum(values[dim:] ** 2) / (len(q) * len(x)))


def test_on_queries_unlike_the_documents_it_keeps_inner_products_far_better_than_pca() -> None:
    data = dataset()
    eigen, frank_wolfe = (fit(data, (8, 4, 2)) for fit in (fit_leanvec_es, fit_leanvec_fw))
    for dim in (8, 4):
        matrix = fit_pca(data, (dim,)).matrix
        pca = loss(data, matrix, matrix)
        assert loss_of(data, eigen, dim) < 0.8 * pca
        assert loss_of(data, frank_wolfe, dim) < 0.9 * loss_of(data, eigen, dim)
        assert loss_of(data, frank_wolfe, dim) < 1.2 * least_loss(data, dim)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, D - 1), st.integers(1, 40))
def test_no_size_is_worse_than_pca_and_frank_wolfe_is_not_worse_than_the_search(
    seed: int, dim: int, queries: int
) -> None:
    data = dataset(seed, queries, documents=50)
    matrix = fit_pca(data, (dim,)).matrix
    pca = loss(data, matrix, matrix)
    eigen = loss_of(data, fit_leanvec_es(data, (dim,)), dim)
    frank_wolfe = loss_of(data, fit_leanvec_fw(data, (dim,)), dim)
    assert least_loss(data, dim) - 1e-9 <= frank_wolfe <= eigen + 1e-9 <= pca + 2e-9


def test_queries_distributed_as_the_documents_give_uncentred_pca() -> None:
    corpus = np.random.default_rng(2).standard_normal((80, D)) * np.linspace(2, 0.5, D)
    data = judged(corpus, corpus)
    expected = fit_pca(data, (6, 3))
    found = fit_leanvec_es(data, (6, 3))
    for dim in (6, 3):
        np.testing.assert_allclose(found.encode(corpus, dim), expected.encode(corpus, dim), atol=1e-4)
        np.testing.assert_allclose(found.encode_queries(corpus, dim), found.encode(corpus, dim), atol=0)


def test_queries_of_few_directions_that_the_documents_hardly_have_are_served_all_the_same() -> None:
    rng = np.random.default_rng(3)
    corpus = rng.standard_normal((200, D)) * np.r_[np.full(D - 3, 1.0), np.full(3, 0.3)]
    asked = np.pad(rng.standard_normal((30, 3)), ((0, 0), (D - 3, 0)))
    data = judged(corpus, asked)
    matrix = fit_pca(data, (3,)).matrix
    for fit in (fit_leanvec_es, fit_leanvec_fw):
        assert loss_of(data, fit(data, (3,)), 3) < 0.02 * loss(data, matrix, matrix)


def test_the_search_has_orthonormal_columns_and_frank_wolfe_stays_in_their_convex_hull() -> None:
    data = dataset(seed=1)
    eigen, frank_wolfe = fit_leanvec_es(data, (8, 3)), fit_leanvec_fw(data, (8, 3))
    for dim in (8, 3):
        matrix = eigen.documents[dim].matrix
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(dim), atol=1e-5)
        for side in (frank_wolfe.documents, frank_wolfe.queries):
            assert np.linalg.norm(side[dim].matrix, 2) <= 1 + 1e-6


def test_judgements_do_not_count_but_unjudged_queries_are_left_out() -> None:
    data = dataset()
    assert data.queries is not None
    regraded = {"train": {str(row): {"7": 2, "9": 1} for row in range(60)}}
    same = fit_leanvec_fw(Dataset(data.corpus, data.queries, regraded), (4,))
    expected = fit_leanvec_fw(data, (4,))
    np.testing.assert_array_equal(same.documents[4].matrix, expected.documents[4].matrix)
    fewer = Dataset(data.corpus, data.queries, {"train": {str(row): {"0": 1} for row in range(40)}})
    others = fit_leanvec_fw(fewer, (4,))
    assert np.abs(others.documents[4].matrix - expected.documents[4].matrix).max() > 0.01
    alone = fit_leanvec_fw(judged(data.corpus.vectors, np.asarray(data.queries.vectors)[:40]), (4,))
    np.testing.assert_array_equal(others.queries[4].matrix, alone.queries[4].matrix)


def test_a_query_and_a_document_meet_through_matrices_of_their_own() -> None:
    data = dataset()
    q, x = units(data)
    fitted = fit_leanvec_fw(data, (4,))
    a, b = fitted.queries[4].matrix, fitted.documents[4].matrix
    cosines = fitted.encode_queries(q) @ fitted.encode(x).T
    lengths = np.linalg.norm(q @ a, axis=1)[:, None] * np.linalg.norm(x @ b, axis=1)
    np.testing.assert_allclose(cosines * lengths, q @ a @ (x @ b).T, atol=1e-5)
