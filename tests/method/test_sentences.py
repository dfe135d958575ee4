"""Sentences of documents as further pairs: learned from where held-out queries gain, and never asked."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smec import Compressor, evaluate, train
from smec.artefact import SentencesRecord
from smec.card import model_card
from smec.config import TrainConfig, trained_config
from smec.data import Dataset
from smec.method.folds import draw_folds
from smec.method.sentences import WEIGHTS
from smec.method.trainer import found
from smec.training.loop import Progress
from synthetic_data import quick, with_sentences


def config_of(**fields: Any) -> TrainConfig:
    return quick(candidates=("tempered",), start="pca", **fields)


@cache
def trained(helpful: bool) -> Compressor:
    return train(with_sentences(helpful=helpful), config=config_of())


def record_of(compressor: Compressor) -> SentencesRecord:
    assert compressor.manifest.sentences is not None
    return compressor.manifest.sentences


def without_sentences(dataset: Dataset) -> Dataset:
    """The same queries and documents, without the split of sentences; these are not learned from at all."""
    qrels = {split: dataset.qrels[split] for split in dataset.splits}
    return Dataset(dataset.corpus, dataset.queries, qrels, dataset.name, reserved=dataset.qrels["sentences"])


def test_sentences_that_help_get_a_weight() -> None:
    """Few judged queries: what sentences share with their documents is what queries share with theirs."""
    dataset, compressor = with_sentences(helpful=True), trained(True)
    record = record_of(compressor)
    assert record.count == 240 and record.queries == 24
    assert [one.weight for one in record.compared] == [0.0, *WEIGHTS]
    scores = {one.weight: one.score for one in record.compared}
    assert record.weight == max(scores, key=lambda weight: scores[weight]) > 0
    plain = train(dataset, config=config_of(rank={"sentences": 0.0}))
    with_pairs, without = (evaluate(dataset, [one]).results for one in (compressor, plain))
    for better, worse in zip(with_pairs, without, strict=True):
        assert better.metrics["nDCG@10"] > worse.metrics["nDCG@10"] + 0.01


def test_sentences_that_harm_leave_no_trace() -> None:
    dataset, compressor = with_sentences(helpful=False), trained(False)
    record = record_of(compressor)
    assert record.weight == 0
    scores = [one.score for one in record.compared]
    assert min(scores[1:]) < scores[0]
    assert compressor.fingerprint == train(without_sentences(dataset), config=config_of()).fingerprint


def test_new_documents_stay_new() -> None:
    """A fold's pairs have no document that a held-out query asks for as a new one; all others have theirs."""
    dataset = with_sentences(helpful=True)
    for fold in draw_folds(dataset, config_of()):
        held_out = fold.pool.held_out
        assert held_out is not None and fold.held_out.new > 0
        new = {row for grades in held_out.grades[: fold.held_out.new] for row in grades}
        documents = set(fold.pool.rows[fold.pool.pair_rows].tolist())
        assert documents == set(range(240)) - new
        scores = np.einsum("ij,ij->i", fold.pool.pairs, fold.pool.documents[fold.pool.pair_rows])
        assert scores.mean() > 0.3  # each beside its own document


def test_a_weight_that_is_set_is_not_compared() -> None:
    compressor = train(with_sentences(helpful=True), config=config_of(rank={"sentences": 0.5}))
    assert record_of(compressor) == SentencesRecord(count=240, weight=0.5)
    assert trained_config(compressor.manifest).rank.sentences == 0.5
    assert trained_config(trained(False).manifest).rank.sentences == 0
    assert "have weight 0.5, which was not compared" in model_card(compressor.manifest)


def test_card_says_what_was_compared() -> None:
    record, card = record_of(trained(True)), model_card(trained(True).manifest)
    assert f"240 sentences of documents were tried as further pairs: {record.compared[0].score:.4f}" in card
    assert f"weight {record.weight:g} was chosen." in card


@pytest.mark.parametrize("queries", [True, False])
def test_without_labels_they_teach_and_are_not_held_out(queries: bool) -> None:
    dataset = with_sentences(helpful=True)
    if not queries:
        assert dataset.queries is not None
        taken = Dataset(dataset.corpus, dataset.queries, dataset.qrels, reserved=dataset.qrels["train"])
        dataset = taken
    config = quick(supervised=False)
    (fold,) = draw_folds(dataset, config)
    assert fold.held_out.asked == ("queries" if queries else "documents")
    assert len(fold.pool.log) == 240 + (18 if queries else 0)
    if queries:  # only what people asked is held out
        assert len(fold.pool.held_out_log) == 6
    compressor = train(dataset, config=config)
    assert record_of(compressor) == SentencesRecord(count=240, weight=None)
    assert "could not be checked" in model_card(compressor.manifest)
    assert compressor.fingerprint != train(without_sentences(dataset), config=config).fingerprint


def test_what_is_found() -> None:
    dataset = with_sentences(helpful=True)
    assert found(dataset, config_of()) == "24 queries, 24 of them judged; 240 sentences; 240 documents"
    assert found(dataset, quick(supervised=False)) == (
        "24 queries, 0 of them judged; 240 sentences; 240 documents"
    )


def test_evaluation_takes_no_sentences_for_questions() -> None:
    dataset = with_sentences(helpful=True)
    assert dataset.splits == ("train", "test")
    alone = Dataset(dataset.corpus, dataset.queries, {"sentences": dataset.qrels["sentences"]})
    result = evaluate(alone, [trained(True)])
    assert result.split is None and list(result.full) == ["overlap@10"]
    assert result.not_told_apart is not None and "has no qrels" in result.not_told_apart


def test_the_choice_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    dataset, config = with_sentences(helpful=True), config_of()

    def stop(tick: Progress) -> None:
        files = {path.name for path in tmp_path.iterdir()}
        if len(files) > len(draw_folds(dataset, config)):  # a training with sentences has begun
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(dataset, config=config, checkpoint=tmp_path / "state", progress=stop)
    again = train(dataset, config=config, checkpoint=tmp_path / "state", resume=True)
    assert again.fingerprint == trained(True).fingerprint
    assert again.manifest == trained(True).manifest
    assert list(tmp_path.iterdir()) == []
