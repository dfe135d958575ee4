"""A query that one fold holds out as new and another as seen counts once in each."""

from __future__ import annotations

import numpy as np

from smec import Dataset, train
from smec.method.folds import draw_folds
from training_data import short


def test_a_query_of_two_folds_is_scored_for_both() -> None:
    rng = np.random.default_rng(0)
    corpus = rng.standard_normal((60, 96)).astype(np.float32)
    queries = corpus[np.arange(48) // 4] + 0.3 * rng.standard_normal((48, 96)).astype(np.float32)
    qrels = {"train": {str(query): {str(query // 4): 1} for query in range(48)}}
    dataset = Dataset(corpus, queries, qrels, "four queries a document")
    config = short(validation={"folds": 4})
    folds = draw_folds(dataset, config)
    held_out = [id_ for fold in folds if fold.pool.held_out is not None for id_ in fold.pool.held_out.ids]
    assert len(held_out) > len(set(held_out)) == 48
    validation = train(dataset, config=config).manifest.validation
    assert validation is not None
    for size in validation.sizes:
        assert size.new is not None and size.seen is not None
        assert (size.new.queries, size.seen.queries) == (48, len(held_out) - 48)
