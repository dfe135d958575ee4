"""The benchmark scores an encoder with feedback on moved documents, as `smec evaluate` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from benchmarks.figures import per_query

from feedback_data import write_dataset
from smec import Dataset, evaluate
from smec.baselines import fit_baseline


def test_pca_with_feedback_is_scored_on_moved_documents(tmp_path: Path) -> None:
    opened = Dataset.open(write_dataset(tmp_path))
    qrels = {"train": {"q0": {"d3": 1}}, "test": {"q0": {"d3": 1}, "q1": {"d9": 1}}}
    dataset = Dataset(opened.corpus, opened.queries, qrels, "small")
    plain, moved = (fit_baseline(name, dataset, (8, 4)) for name in ("pca", "pca-feedback"))
    scores = per_query(dataset, moved)
    expected = [result.per_query for result in evaluate(dataset, [moved]).results]
    np.testing.assert_allclose(scores, expected)
    assert scores[0, 0] == 1.0 > per_query(dataset, plain)[0, 0]
