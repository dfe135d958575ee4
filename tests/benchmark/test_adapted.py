"""What adapting gains: the rows of a small dataset, with real trainings."""

from __future__ import annotations

import numpy as np
from benchmarks.adapted import rows_of

from smec import Dataset
from smec.baselines.pca import fit_pca
from smec.evaluation.comparison import evaluate
from synthetic_data import SIZES, learnable


def with_test_queries() -> Dataset:
    """Two queries ask for each document; ten of the test queries for one that a train query asks for."""
    made = learnable()
    every = made.qrels["train"]
    names = list(every)
    splits = {"train": names[0:160:2], "test": [*names[1:21:2], *names[160:]]}
    qrels = {split: {name: every[name] for name in of} for split, of in splits.items()}
    return Dataset(made.corpus, made.queries, qrels, "half")


def test_each_training_is_scored_on_new_and_on_seen_queries() -> None:
    data = with_test_queries()
    quick = {"dims": SIZES, "optimiser": {"steps": 4, "passes": 0.0}}
    rows = list(rows_of(data, **quick))
    names = ["no labels", "no labels, adapted", "all labels, one matrix"]
    assert list(dict.fromkeys(row[2] for row in rows)) == names
    assert {row[1] for row in rows} == {"new: 80", "seen: 10"}
    pca = np.mean([result.metrics["nDCG@10"] for result in evaluate(data, [fit_pca(data, SIZES)]).results])
    (adapted,) = [row[3] for row in rows if row[2] == names[1] and row[1].startswith("new")]
    assert np.mean([float(value) for value in adapted.split(" / ")]) / 100 > pca
