"""`TrainConfig.queries` "own": documents and queries begin with the same matrix, and both are learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smec import Compressor, evaluate, train
from smec.data import Dataset
from smec.errors import ConfigError, DataError
from smec.training.loop import Progress
from synthetic_data import SIZES, asked_from_elsewhere, asked_where_documents_vary_little, learnable, quick


def scores(compressor: Compressor, dataset: Dataset) -> Any:
    return [result.metrics["nDCG@10"] for result in evaluate(dataset, [compressor]).results]


def test_queries_that_come_from_elsewhere_are_found_by_a_matrix_of_their_own(tmp_path: Path) -> None:
    dataset = asked_from_elsewhere()
    own, shared = (train(dataset, config=quick(queries=side)) for side in ("own", "shared"))
    assert own.own_queries == SIZES and shared.own_queries == ()
    assert own.manifest.training["queries"] == "own"
    gains = np.subtract(scores(own, dataset), scores(shared, dataset))
    assert (gains > 0.03).all(), gains
    own.save(tmp_path / "model")
    loaded = Compressor.load(tmp_path / "model")
    queries = dataset.judged("test").vectors
    np.testing.assert_array_equal(loaded.encode_queries(queries), own.encode_queries(queries))
    assert np.abs(loaded.encode_queries(queries) - loaded.encode(queries)).max() > 0.01


@pytest.mark.parametrize("candidate", ["distilled", "tempered", "unlabelled"])
def test_each_candidate_with_all_sizes_at_once_can_have_them(candidate: str) -> None:
    settings: dict[str, Any] = {"optimiser": {"steps": 10}, "validation": {"gate": False}}
    config = quick(queries="own", candidates=(candidate,), start="pca", **settings)
    compressor = train(learnable(), config=config)
    assert compressor.own_queries == SIZES
    assert train(learnable(), config=config).query_fingerprint == compressor.query_fingerprint


def test_a_log_without_labels_teaches_both() -> None:
    dataset = asked_where_documents_vary_little()
    own, shared = (train(dataset, config=quick(queries=side, supervised=False)) for side in ("own", "shared"))
    assert own.own_queries == SIZES
    kept = [one.manifest.validation.sizes[0].smec for one in (own, shared) if one.manifest.validation]
    assert kept[0] > kept[1] + 0.02  # neighbours of held-out queries


def test_an_interrupted_training_resumes_with_both_matrices(tmp_path: Path) -> None:
    config = quick(queries="own", candidates=("tempered",), validation={"folds": 1})
    whole = train(learnable(), config=config)

    def stop(progress: Progress) -> None:
        if progress.step == 45:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train(learnable(), config=config, checkpoint=checkpoint, progress=stop)
    assert checkpoint.exists()
    resumed = train(learnable(), config=config, checkpoint=checkpoint, resume=True)
    assert resumed.query_fingerprint == whole.query_fingerprint


def test_where_it_makes_no_sense_it_is_refused() -> None:
    for fields, said in (
        ({"preset": "paper"}, "no 'ads'"),
        ({"schedule": "sequential", "candidates": ()}, "schedule 'joint'"),
        ({"candidates": ("trained",)}, "schedule 'joint'"),
        ({"memory": {"loss": "listwise"}}, "memory.loss 'none'"),
    ):
        with pytest.raises(ConfigError, match=said):
            quick(queries="own", **fields)
    alone = Dataset(learnable().corpus)
    with pytest.raises(DataError, match="leave queries 'shared'"):
        train(alone, config=quick(queries="own", supervised=False))
