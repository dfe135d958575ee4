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
from smec.training.pool import Pool
from smec.vectors import Float32Array, normalise

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
    seen: dict[float, list[NDArray[np.float64]]] = {weight: [] for weight in (0.0, *WEIGHTS)}
    new: dict[float, list[NDArray[np.float64]]] = {weight: [] for weight in (0.0, *WEIGHTS)}
    for fold, check in zip(folds, trained.checks, strict=True):
        candidates = start.candidates(check.matrices)
        linear = [candidates[dim].shipped(method) for dim, method in shipped.items()]
        scores = _weighted_scores(dataset, fold, linear)
        for weight in seen:
            new[weight].append(scores[weight][: fold.held_out.new])
            seen[weight].append(scores[weight][fold.held_out.new :])
    of_seen = {weight: np.concatenate(scores) for weight, scores in seen.items()}
    of_new = {weight: np.concatenate(scores) for weight, scores in new.items()}
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


def _mean(scores: NDArray[np.float64]) -> float | None:
    return float(scores.mean()) if len(scores) else None


def _weighted_scores(
    dataset: Dataset, fold: Fold, linear: Sequence[Linear]
) -> dict[float, NDArray[np.float64]]:
    """Weight, 0 among them -> mean over the sizes of each held-out query's score."""
    documents, queries = fold.held_out.documents, fold.held_out.queries
    rows, ids, directions = _judged(dataset, fold.pool)
    moved = {weight: Feedback(ids, directions, weight, "").move(documents[rows], ids) for weight in WEIGHTS}
    scores: dict[float, list[NDArray[np.float64]]] = {weight: [] for weight in (0.0, *WEIGHTS)}
    for one in linear:
        bias = np.float32(0) if one.bias is None else one.bias
        small, asked = normalise(documents @ one.matrix + bias), normalise(queries @ one.matrix + bias)
        scores[0.0].append(fold.held_out.scores_of(small, asked))
        for weight, judged in moved.items():
            small[rows] = normalise(judged.astype(np.float32) @ one.matrix + bias)
            scores[weight].append(fold.held_out.scores_of(small, asked))
    return {weight: np.mean(of, axis=0) for weight, of in scores.items()}


def _judged(dataset: Dataset, pool: Pool) -> tuple[list[int], tuple[str, ...], Float32Array]:
    """Rows and ids of the documents that the fitted queries judge, and the mean of each one's queries."""
    asked: dict[int, list[int]] = {}
    for query, (rows, _) in enumerate(pool.positives):
        for row in rows:
            asked.setdefault(int(row), []).append(query)
    queries = pool.queries.numpy()
    directions = np.stack([queries[of].mean(axis=0) for of in asked.values()])
    return list(asked), tuple(dataset.corpus.ids[pool.rows[row]] for row in asked), directions
