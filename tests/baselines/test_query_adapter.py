"""The query adapter leaves documents as PCA made them, and learns what turns queries towards them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smec.baselines.pca import fit_pca
from smec.baselines.query_adapter import SETTINGS, fit_query_adapter
from smec.evaluation import evaluate
from synthetic_data import asked_from_elsewhere, at_random

QUICK = replace(SETTINGS, learning_rate=1e-2, steps=50)
SIZES = (8,)


def test_queries_that_come_from_elsewhere_are_turned_back_and_documents_stay_pca() -> None:
    dataset = asked_from_elsewhere()
    pca, adapter = fit_pca(dataset, SIZES), fit_query_adapter(dataset, SIZES, settings=QUICK)
    for dim in SIZES:
        np.testing.assert_allclose(
            adapter.encode(dataset.corpus.vectors, dim), pca.encode(dataset.corpus.vectors, dim), atol=1e-6
        )
    of_pca, adapted = (
        [result.metrics["nDCG@10"] for result in evaluate(dataset, [encoder]).results]
        for encoder in (pca, adapter)
    )
    assert (np.subtract(adapted, of_pca) > 0.05).all(), (of_pca, adapted)


def test_where_nothing_can_be_learned_it_stays_near_pca() -> None:
    dataset = at_random()
    adapter = fit_query_adapter(dataset, SIZES, settings=QUICK)
    queries = dataset.judged("train").vectors
    for dim in SIZES:
        cosines = np.einsum("ij,ij->i", adapter.encode_queries(queries, dim), adapter.encode(queries, dim))
        assert cosines.mean() > 0.5
