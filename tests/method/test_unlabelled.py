"""Training without labels: queries that nobody judged teach, and a few labels do no harm beside them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from smec import Compressor, Dataset, train
from smec.artefact import Validation
from smec.baselines.pca import fit_pca
from smec.card import groups, model_card, remarks
from smec.config import build_config
from smec.evaluation.comparison import evaluate
from synthetic_data import SIZES, asked_where_documents_vary_little, quick

LOG: dict[str, Any] = {"optimiser": {"steps": 600}}


@cache
def trained(judged: int) -> Compressor:
    data = asked_where_documents_vary_little(judged=judged)
    if not judged:
        return train(data, config=quick(supervised=False, **LOG))
    return train(data, config=quick(candidates=("unlabelled", "distilled", "tempered"), **LOG))


def validation_of(compressor: Compressor) -> Validation:
    assert compressor.manifest.validation is not None
    return compressor.manifest.validation


def scores(encoder: Any, data: Dataset) -> list[float]:
    return [float(result.per_query.mean()) for result in evaluate(data, [encoder]).results]


def test_queries_without_judgements_teach_what_they_ask_for() -> None:
    data = asked_where_documents_vary_little()
    validation = validation_of(trained(0))
    assert (validation.metric, validation.asked, validation.queries) == ("overlap@10", "queries", 30)
    assert trained(0).fallbacks == {}
    for size in validation.sizes:
        assert size.smec > size.pca + 0.05
    gains = np.subtract(scores(trained(0), data), scores(fit_pca(data, SIZES), data))
    assert (gains > 0.02).all()


@pytest.mark.parametrize("judged", [10, 30])
def test_a_few_labels_ship_no_less_than_none(judged: int) -> None:
    data = asked_where_documents_vary_little(judged=judged)
    assert trained(judged).fallbacks == {}
    assert np.min(np.subtract(scores(trained(judged), data), scores(trained(0), data))) > -0.05


def test_what_read_no_label_shows_the_agreement_that_decided() -> None:
    data = asked_where_documents_vary_little(judged=10)
    compressor = train(data, config=quick(candidates=("unlabelled",), **LOG))
    validation = validation_of(compressor)
    assert validation.candidate == "unlabelled"
    # 10 judged queries, and 30 of the 190 others: each by a map that was not taught it.
    assert [size.agreement and size.agreement.queries for size in validation.sizes] == [40, 40]
    titles = [title for title, _ in groups(validation)]
    assert titles[-1] == "overlap@10 on 40 held-out queries whose judgements, if any, are not read"
    assert titles[-1] in model_card(compressor.manifest)


def test_documents_alone_are_held_out_where_there_are_no_queries() -> None:
    data = Dataset(asked_where_documents_vary_little().corpus)
    validation = validation_of(train(data, config=quick(supervised=False)))
    assert (validation.asked, validation.queries) == ("documents", 60)
    assert [size.agreement for size in validation.sizes] == [None, None]


def test_judgements_of_the_train_split_change_no_bit_without_labels() -> None:
    with_labels = asked_where_documents_vary_little(judged=30)
    again = train(with_labels, config=quick(supervised=False, **LOG))
    assert again.fingerprint == trained(0).fingerprint


@pytest.mark.parametrize("lost", [0.05, -0.05])
def test_a_map_that_keeps_fewer_neighbours_than_pca_is_explained(lost: float) -> None:
    size = {
        "dim": 8,
        "method": "smec",
        "full": 1.0,
        "smec": 0.5,
        "ci": (0.4, 0.6),
        "pca": 0.5 + lost,
        "truncate": 0.2,
    }
    shown = {"metric": "overlap@10", "queries": 30, "asked": "queries", "sizes": (size,)}
    said = remarks(Validation.model_validate(shown))
    assert [sentence.split(".")[0] for sentence in said] == (
        ["Some sizes ship a map that keeps fewer neighbours than PCA"] if lost > 0 else []
    )


@pytest.mark.parametrize("negatives", [0, 64])
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_without_negatives_there_is_something_to_compare(preset: str, negatives: int) -> None:
    config = build_config(
        preset,
        supervised=False,
        dims=SIZES,
        optimiser={"steps": 5, "batch": 16, "negatives": negatives, "hard_negatives": 0},
    )
    validation = validation_of(train(asked_where_documents_vary_little(), config=config))
    assert validation.asked == ("queries" if preset == "default" else "documents")
    assert all(np.isfinite(size.smec) for size in validation.sizes)
