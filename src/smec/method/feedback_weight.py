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
from smec.training.validation import HeldOut
from smec.vectors import Float32Array, FloatArray, IntArray, normalise

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
    scores: dict[float, list[Scores]] = {weight: [] for weight in (0.0, *WEIGHTS)}
    asks_judged = []
    for fold, check in zip(folds, trained.checks, strict=True):
        candidates = start.candidates(check.matrices)
        linear = [candidates[dim].shipped(method) for dim, method in shipped.items()]
        of_fold, seen = _weighted_scores(dataset, fold, linear)
        asks_judged.append(seen)
        for weight, of in of_fold.items():
            scores[weight].append(of)
    seen = np.concatenate(asks_judged)
    of_seen = {weight: np.concatenate(of)[seen] for weight, of in scores.items()}
    of_new = {weight: np.concatenate(of)[~seen] for weight, of in scores.items()}
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


def _weighted_scores(
    dataset: Dataset, fold: Fold, linear: Sequence[Linear]
) -> tuple[dict[float, Scores], NDArray[np.bool_]]:
    """Score each half of the held-out queries with the feedback of the fitted queries and of the other half.

    The map has seen neither half; both together have many more queries that share a document.

    Returns
    -------
    scores : dict
        Weight, 0 among them -> mean over the sizes of each held-out query's score.
    seen : ndarray of bool
        Whether the query asks for documents that its feedback moved.
    """
    held_out = fold.held_out
    asked = _asked(fold.pool)
    halves = np.arange(held_out.count) % 2
    seen = np.zeros(held_out.count, dtype=bool)
    scores = {weight: np.zeros(held_out.count) for weight in (0.0, *WEIGHTS)}
    for half in (0, 1):
        mine = np.flatnonzero(halves == half)
        rows, directions = _judged(fold.pool, asked, np.flatnonzero(halves != half))
        seen[mine] = [bool(np.isin(asked[query], rows).any()) for query in mine]
        ids = tuple(dataset.corpus.ids[fold.pool.rows[row]] for row in rows)
        originals = held_out.documents[rows]
        moved = {0.0: originals} | {
            weight: Feedback(ids, directions, weight, "").move(originals, ids) for weight in WEIGHTS
        }
        for weight, judged in moved.items():
            scores[weight][mine] = np.mean([_scored(held_out, one, rows, judged) for one in linear], axis=0)[
                mine
            ]
    return scores, seen


def _scored(held_out: HeldOut, linear: Linear, rows: IntArray, judged: FloatArray) -> Scores:
    """Score one size where ``judged`` stand in these rows of the documents."""
    bias = np.float32(0) if linear.bias is None else linear.bias
    small = normalise(held_out.documents @ linear.matrix + bias)
    small[rows] = normalise(judged.astype(np.float32) @ linear.matrix + bias)
    return held_out.scores_of(small, normalise(held_out.queries @ linear.matrix + bias))


def _asked(pool: Pool) -> list[IntArray]:
    """Pool rows of each held-out query's relevant documents."""
    assert pool.held_out is not None
    return [
        np.searchsorted(pool.rows, sorted(row for row, grade in grades.items() if grade > 0))
        for grades in pool.held_out.grades
    ]


def _judged(pool: Pool, asked: Sequence[IntArray], others: IntArray) -> tuple[IntArray, Float32Array]:
    """Rows that fitted and other held-out queries judge, ascending, and the mean of each one's queries."""
    assert pool.held_out is not None
    queries = np.concatenate([pool.queries.numpy(), normalise(pool.held_out.vectors)[others]])
    by_query = [rows for rows, _ in pool.positives] + [asked[other] for other in others]
    of: dict[int, list[int]] = {}
    for query, rows in enumerate(by_query):
        for row in rows:
            of.setdefault(int(row), []).append(query)
    judged = sorted(of)
    return np.array(judged), np.stack([queries[of[row]].mean(axis=0) for row in judged])
