"""Few searches of a part of a dataset, to measure what an evaluation takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smec.data import Dataset, Embeddings
from smec.data.preview import other_ids
from smec.data.qrels import Qrels
from smec.encoder import Encoder
from smec.evaluation.comparison import SAMPLED_ROWS, evaluate

PARTS = (8192, 32768)
"""Documents that are searched: few and many, as a search takes some time whatever their number."""
QUERIES = 1024
"""Queries at most that are searched for."""


@dataclass(frozen=True)
class Pace:
    """Measured time of a search.

    Parameters
    ----------
    searches : int
        In the whole evaluation, with that by the full vectors.
    queries : int
        Of each of them.
    seconds : float
        Mean of one, as it takes on the whole dataset.
    """

    searches: int
    queries: int
    seconds: float

    @property
    def total(self) -> float:
        """Seconds of all searches."""
        return self.searches * self.seconds


def rehearse(
    dataset: Dataset,
    encoders: Sequence[Encoder],
    *,
    searches: int | None = None,
    split: str = "test",
    clock: Callable[[], float] = time.monotonic,
) -> Pace:
    """Evaluate one of the encoders, that in the middle, at one size on a part of the dataset.

    Parameters
    ----------
    dataset : Dataset
    encoders : sequence of Encoder
        All that the evaluation will score.
    searches : int, optional
        Number of searches in all; by default one for each size of the encoders, and one by the full vectors.
    split : str
    clock : callable

    Raises
    ------
    SmecError
        As for `evaluate`.
    """
    searches = searches or 1 + sum(len(encoder.dims) for encoder in encoders)
    queries = len(dataset.judged(split)) if dataset.splits else min(len(dataset.corpus), SAMPLED_ROWS)
    taken = [_measured(dataset, encoders, rows, split, clock) for rows in PARTS if rows < len(dataset.corpus)]
    if len(taken) < len(PARTS):
        taken.append(_measured(dataset, encoders, len(dataset.corpus), split, clock))
    seconds = _extrapolated(taken, len(dataset.corpus))
    share = queries / min(queries, QUERIES) if dataset.splits else 1.0
    return Pace(searches, queries, seconds * share)


def _measured(
    dataset: Dataset, encoders: Sequence[Encoder], rows: int, split: str, clock: Callable[[], float]
) -> tuple[int, float]:
    """Documents and seconds of one search of a part."""
    part = _part(dataset, rows, split)
    middle = encoders[len(encoders) // 2 : len(encoders) // 2 + 1]
    dims = [encoder.dims[len(encoder.dims) // 2] for encoder in middle]
    began = clock()
    evaluate(part, middle, dims=dims or None, split=split)
    return len(part.corpus), (clock() - began) / (1 + len(dims))


def _extrapolated(taken: Sequence[tuple[int, float]], rows: int) -> float:
    """Seconds for so many documents, on the line through the last two measurements."""
    (few, short), (many, long) = taken[-2:] if len(taken) > 1 else ((0, 0.0), taken[0])
    if many == few or rows == many:
        return long * rows / many
    slope = max((long - short) / (many - few), 0.5 * long / many)
    return long + (rows - many) * slope


def _part(dataset: Dataset, rows: int, split: str) -> Dataset:
    """The first documents and queries; documents that are judged have others' vectors."""
    corpus = dataset.corpus
    if not dataset.splits:
        return Dataset(Embeddings(corpus.ids[:rows], corpus.vectors[:rows]), name=dataset.name)
    queries = dataset.judged(split).ids[:QUERIES]
    asked = {query: dataset.qrels[split][query] for query in queries}
    judged = sorted({document for of in asked.values() for document in of})
    rows = max(rows, len(judged))
    ids = [*judged, *other_ids(rows - len(judged), judged)]
    qrels: dict[str, Qrels] = {split: asked}
    return Dataset(Embeddings(ids, np.asarray(corpus.vectors[:rows])), dataset.queries, qrels, dataset.name)
