"""Parts of a dataset: a fold by document, few of its labels, or train queries in place of the test split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from smec import Dataset
from smec.data.qrels import Qrels
from smec.training.document_folds import DocumentFold, document_folds

FOLDS = 5
"""Parts of a dataset that is split again: each holds out a fifth of its judged queries."""

TUNING_PARTS = 5
"""A fifth of the train queries stands for the test split where rivals are tuned."""


def fold_names(name: str) -> tuple[str, ...]:
    """Names of the folds of a dataset, as `benchmarks.cells.Laboratory.dataset` takes them."""
    return tuple(f"{name}@{number}" for number in range(FOLDS))


def fold_of(dataset: Dataset, number: int) -> Dataset:
    """Fold ``number`` of all judged queries, train and test together: what it fits, and new documents.

    For reporting only. Its test split has the queries that no other fold has there.
    """
    judgements = {
        query: judged for split in ("train", "test") for query, judged in dataset.qrels[split].items()
    }
    judged = Dataset(dataset.corpus, dataset.queries, {"all": judgements}, dataset.name).judged("all")
    return _split(dataset, document_folds(judged, FOLDS, seed=0)[number], f"{dataset.name}@{number}")


def parted(dataset: Dataset) -> Dataset:
    """The dataset with a fifth of its train queries, split off by document, in place of the test split."""
    (fold,) = document_folds(dataset.judged("train"), TUNING_PARTS, seed=777, folds=1)
    return _split(dataset, fold, dataset.name)


def limited(dataset: Dataset, labels: int | None, seed: int) -> Dataset:
    """The dataset with ``labels`` of its train queries, drawn with the seed."""
    if labels is None:
        return dataset
    judged = dataset.judged("train").ids
    kept = np.random.default_rng([seed, labels]).choice(len(judged), min(labels, len(judged)), replace=False)
    train = {judged[row]: dataset.qrels["train"][judged[row]] for row in np.sort(kept)}
    return _without_others(dataset, {"train": train}, {*judged})


def _split(dataset: Dataset, fold: DocumentFold, name: str) -> Dataset:
    qrels = {"train": fold.fit.qrels, "test": fold.new.qrels}
    return _without_others(dataset, qrels, {*fold.fit.ids}, name)


def _without_others(
    dataset: Dataset, qrels: Mapping[str, Qrels], learned: set[str], name: str | None = None
) -> Dataset:
    """A part of a dataset of which no other query than ``learned`` teaches anything, judged or not."""
    ids = () if dataset.queries is None else dataset.queries.ids
    others = [query for query in ids if query not in learned]
    return Dataset(dataset.corpus, dataset.queries, qrels, name or dataset.name, reserved=others)
