"""Queries that a small code answers better or worse than the full vectors, with what both find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smec.coded import coded
from smec.compressor import Compressor
from smec.data import Dataset, Embeddings, JudgedQueries
from smec.evaluation import Evaluation, Result, trec_tie_order
from smec.evaluation.search import search_blocks
from smec.report.groups import documents_asked_for, groups_to_show
from smec.vectors import Float32Array, FloatArray, IntArray, normalise, vector_blocks

SHOWN = 10
"""Queries of either kind."""

DEPTH = 3
"""Documents of either ranking."""

LONGEST = 300
"""Characters of a text."""

TIE = 1e-9


@dataclass(frozen=True)
class Found:
    """A document in a ranking."""

    id: str
    text: str
    grade: int


@dataclass(frozen=True)
class Example:
    """A query, its scores, and what stands first in both rankings."""

    id: str
    text: str
    asks_for: str
    """New documents, seen ones or both; empty where they cannot be told apart."""
    full_score: float
    small_score: float
    full: tuple[Found, ...]
    small: tuple[Found, ...]


@dataclass(frozen=True)
class Tally:
    """Number of queries of a group that won, lost and stayed."""

    words: str
    """The group's documents and number of queries."""
    won: int
    lost: int
    same: int


@dataclass(frozen=True)
class Examples:
    """How many queries won, lost and stayed, and those that did so most.

    Parameters
    ----------
    tallies : tuple of Tally
        As `groups_to_show` orders the groups: all queries last.
    wins, losses : tuple of Example
    """

    tallies: tuple[Tally, ...]
    wins: tuple[Example, ...]
    losses: tuple[Example, ...]


def examples(compressor: Compressor, result: Result, dataset: Dataset, evaluation: Evaluation) -> Examples:
    """The queries with the largest gains and losses against the full vectors.

    Parameters
    ----------
    compressor : Compressor
    result : Result
        Of the compressor: the size and codec to look at.
    dataset : Dataset
    evaluation : Evaluation
        Of a split of the dataset.
    """
    assert evaluation.split is not None
    judged = dataset.judged(evaluation.split)
    gain = result.per_query - evaluation.full_per_query
    order = np.argsort(gain, kind="stable")
    wins = [row for row in order[::-1][:SHOWN] if gain[row] > TIE]
    losses = [row for row in order[:SHOWN] if gain[row] < -TIE]
    chosen = np.array([*wins, *losses], dtype=np.int64)
    shown = _shown(compressor, result, dataset, evaluation, judged, chosen) if len(chosen) else []
    tallies = [_tally(group.words, gain[group.members]) for group in groups_to_show(evaluation)]
    return Examples(
        tallies=tuple(tallies),
        wins=tuple(shown[: len(wins)]),
        losses=tuple(shown[len(wins) :]),
    )


def _tally(words: str, gain: NDArray[np.float64]) -> Tally:
    won, lost = int((gain > TIE).sum()), int((gain < -TIE).sum())
    return Tally(words, won, lost, len(gain) - won - lost)


def _shown(
    compressor: Compressor,
    result: Result,
    dataset: Dataset,
    evaluation: Evaluation,
    judged: JudgedQueries,
    rows: IntArray,
) -> list[Example]:
    corpus = dataset.corpus.vectors
    asked = judged.vectors[rows]
    small = coded(compressor, result.codec, corpus, [result.dim])
    rankings = [
        _found(dataset, judged, rows, normalise, normalise(asked)),
        _found(dataset, judged, rows, small.encode, small.encode_queries(asked)),
    ]
    assert dataset.queries is not None
    return [
        Example(
            id=judged.ids[row],
            text=_text(dataset.queries, dataset.queries.row(judged.ids[row])),
            asks_for=documents_asked_for(evaluation, row),
            full_score=float(evaluation.full_per_query[row]),
            small_score=float(result.per_query[row]),
            full=of_full,
            small=of_small,
        )
        for row, of_full, of_small in zip(rows.tolist(), *rankings, strict=True)
    ]


def _found(
    dataset: Dataset,
    judged: JudgedQueries,
    rows: IntArray,
    encode: Callable[[FloatArray], Float32Array],
    queries: Float32Array,
) -> list[tuple[Found, ...]]:
    documents = dataset.corpus
    blocks = map(encode, vector_blocks(documents.vectors))
    _, found = search_blocks(blocks, queries, DEPTH, trec_tie_order(documents.ids))
    return [
        tuple(Found(documents.ids[d], _text(documents, d), judged.grades[row].get(d, 0)) for d in of_query)
        for row, of_query in zip(rows.tolist(), found.tolist(), strict=True)
    ]


def _text(embeddings: Embeddings, row: int) -> str:
    """Title and text, cut; empty where the dataset has none."""
    parts: list[Sequence[str] | None] = [embeddings.titles, embeddings.texts]
    text = ". ".join(" ".join(of[row].split()) for of in parts if of is not None and of[row].strip())
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
