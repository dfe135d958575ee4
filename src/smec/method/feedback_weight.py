"""How far feedback should move judged documents, by held-out queries that ask for judged documents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smec.artefact import FeedbackRecord, Validation
from smec.data import Dataset
from smec.feedback import Feedback
from smec.method.candidates import Trained
from smec.method.folds import Fold, Start
from smec.method.gate import Linear
from smec.vectors import Float32Array, IntArray, normalise

Scores = NDArray[np.float64]

WEIGHTS = (0.5, 1.0, 2.0)

USUAL = 1.0
"""Weight where no held-out query asks for a judged document, so that none can be chosen."""


def choose_weight(
    dataset: Dataset, start: Start, folds: Sequence[Fold], trained: Trained, validation: Validation
) -> FeedbackRecord:
    """Score what every size ships with the fold's feedback of each weight; the queries are held out.

    The weight that scores best on queries that ask for judged documents is kept, with what it does to the
    others.

    Parameters
    ----------
    dataset : Dataset
    start : Start
    folds : sequence of Fold
    trained : Trained
        What was trained on them.
    validation : Validation
        What every size ships.
    """
    shipped = {size.dim: size.method for size in validation.sizes}
    asking_judged: list[dict[float, Scores]] = []
    asking_new: list[dict[float, Scores]] = []
    for fold, check in zip(folds, trained.checks, strict=True):
        candidates = start.candidates(check.maps)
        sizes = _Sizes(dataset, fold, [candidates[dim].shipped(method) for dim, method in shipped.items()])
        asking_judged.append(_of_judged(sizes, fold))
        asking_new.append(sizes.scores(np.arange(fold.held_out.new), sizes.judged(np.arange(0))))
    of_seen, of_new = (
        {weight: np.concatenate([of[weight] for of in group]) for weight in (0.0, *WEIGHTS)}
        for group in (asking_judged, asking_new)
    )
    measured = len(of_seen[0.0]) > 0
    weight = max(WEIGHTS, key=lambda one: of_seen[one].mean()) if measured else USUAL
    return FeedbackRecord(
        weight=weight,
        queries_seen=len(of_seen[0.0]),
        seen_before=_mean(of_seen[0.0]),
        seen_after=_mean(of_seen[weight]),
        queries_new=len(of_new[0.0]),
        new_before=_mean(of_new[0.0]),
        new_after=_mean(of_new[weight]),
    )


def _mean(scores: Scores) -> float | None:
    return float(scores.mean()) if len(scores) else None


def _of_judged(sizes: _Sizes, fold: Fold) -> dict[float, Scores]:
    """Score each half of the held-out queries with the feedback of the fitted queries and of the other half.

    Only queries that ask for a document with feedback count. The map has seen neither half, and both
    together have many more such queries.
    """
    halves = np.arange(fold.held_out.count) % 2
    found = []
    for half in (0, 1):
        others = np.flatnonzero(halves != half)
        judged = sizes.judged(others)
        mine = [
            query for query in np.flatnonzero(halves == half) if np.isin(sizes.asked[query], judged[0]).any()
        ]
        found.append(sizes.scores(np.array(mine, dtype=np.int64), judged))
    return {weight: np.concatenate([of[weight] for of in found]) for weight in found[0]}


class _Sizes:
    """Sizes of a fold as they ship, with and without feedback."""

    def __init__(self, dataset: Dataset, fold: Fold, linear: Sequence[Linear]) -> None:
        held_out = fold.pool.held_out
        assert held_out is not None
        self._dataset = dataset
        self._pool = fold.pool
        self._held_out = fold.held_out
        self._linear = linear
        self._small = self._encoded()
        self.asked: list[IntArray] = [
            np.searchsorted(fold.pool.rows, sorted(row for row, grade in grades.items() if grade > 0))
            for grades in held_out.grades
        ]
        """Pool rows of each held-out query's relevant documents."""

    def judged(self, others: IntArray) -> tuple[IntArray, Float32Array]:
        """Rows that fitted queries and these held-out ones judge, and the mean of each one's queries."""
        queries = np.concatenate([self._pool.queries.numpy(), self._held_out.queries[others]])
        by_query = [rows for rows, _ in self._pool.positives] + [self.asked[other] for other in others]
        of: dict[int, list[int]] = {}
        for query, rows in enumerate(by_query):
            for row in rows:
                of.setdefault(int(row), []).append(query)
        judged = sorted(of)
        return np.array(judged), np.stack([queries[of[row]].mean(axis=0) for row in judged])

    def scores(self, queries: IntArray, judged: tuple[IntArray, Float32Array]) -> dict[float, Scores]:
        """Weight, 0 among them -> mean over the sizes of the score of each of these held-out queries.

        The feedback is that of `judged`.
        """
        rows, directions = judged
        ids = tuple(self._dataset.corpus.ids[self._pool.rows[row]] for row in rows)
        originals = self._held_out.documents[rows]
        moved = {weight: Feedback(ids, directions, weight, "").move(originals, ids) for weight in WEIGHTS}
        scores: dict[float, list[Scores]] = {weight: [] for weight in (0.0, *WEIGHTS)}
        for one, (small, asked) in zip(self._linear, self._small, strict=True):
            bias = np.float32(0) if one.bias is None else one.bias
            scores[0.0].append(self._held_out.scores_of(small, asked, queries))
            before = small[rows]
            for weight, vectors in moved.items():
                small[rows] = normalise(vectors.astype(np.float32) @ one.matrix + bias)
                scores[weight].append(self._held_out.scores_of(small, asked, queries))
            small[rows] = before
        return {weight: np.mean(of, axis=0) for weight, of in scores.items()}

    def _encoded(self) -> list[tuple[Float32Array, Float32Array]]:
        """Documents and held-out queries of every size; columns of one matrix take one product."""
        found, known, wide = [], None, self._held_out.documents
        for one in self._linear:
            if known is None or not np.may_share_memory(known, one.matrix):
                known, wide = one.matrix, self._held_out.product(one.matrix, one.bias)
            bias = np.float32(0) if one.bias is None else one.bias
            documents = normalise(wide[:, : one.matrix.shape[1]])
            found.append((documents, normalise(self._held_out.queries @ one.asking + bias)))
        return found
