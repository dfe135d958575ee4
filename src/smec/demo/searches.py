"""The same questions asked with full and with small vectors, to be read side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smec.data import Dataset, JudgedQueries
from smec.encoder import Encoder
from smec.evaluation.search import exact_search, trec_tie_order
from smec.vectors import Float32Array, normalise

DEPTH = 3


@dataclass(frozen=True)
class Hit:
    """One answer found, and whether it is a relevant one."""

    text: str
    relevant: bool


@dataclass(frozen=True)
class Search:
    """What one question finds, best first."""

    question: str
    full: tuple[Hit, ...]
    small: tuple[Hit, ...]


def searches(dataset: Dataset, encoder: Encoder, dim: int, rows: Sequence[int]) -> tuple[Search, ...]:
    """Find the three best answers to test questions, with full vectors and with ``dim`` dims.

    Parameters
    ----------
    dataset : Dataset
        With texts and a split "test".
    encoder : Encoder
    dim : int
        A size that it serves.
    rows : sequence of int
        Which of the test questions, by their place.
    """
    judged, corpus = dataset.judged("test"), dataset.corpus.vectors
    asked = judged.vectors[list(rows)]
    full = _found(dataset, judged, rows, normalise(corpus), normalise(asked))
    small = _found(dataset, judged, rows, encoder.encode(corpus, dim), encoder.encode_queries(asked, dim))
    questions = dataset.queries.texts if dataset.queries is not None else None
    assert dataset.queries is not None and questions is not None
    return tuple(
        Search(questions[dataset.queries.row(judged.ids[row])], of_full, of_small)
        for row, of_full, of_small in zip(rows, full, small, strict=True)
    )


def _found(
    dataset: Dataset, judged: JudgedQueries, rows: Sequence[int], corpus: Float32Array, asked: Float32Array
) -> list[tuple[Hit, ...]]:
    texts = dataset.corpus.texts
    assert texts is not None
    _, found = exact_search(corpus, asked, DEPTH, tie_order=trec_tie_order(dataset.corpus.ids))
    return [
        tuple(Hit(texts[answer], judged.grades[row].get(answer, 0) > 0) for answer in answers)
        for row, answers in zip(rows, found.tolist(), strict=True)
    ]
