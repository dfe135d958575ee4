"""From scores to judgements: which documents of a query are relevant enough, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smec.errors import ConfigError
from smec.judging.chat import GRADES

FEWEST = 10
"""Relevant documents, and others, among the top ones of the sample that a calibration needs."""

CHAT_THRESHOLD = 2.0
"""The least grade of a language model that counts, where nothing could be calibrated."""

FOLDS = 10

CLEAR_LEAD = 0.5
"""The least lead of a reranker's document, where nothing could be calibrated."""

FEWEST_COMPARED = 3
"""Documents of a query that a lead needs."""

Values = NDArray[np.float64]
Scored = tuple[Sequence[float], Sequence[bool]]
"""Scores of a judged query's top documents, and which of them are relevant."""


def as_scored(scores: Sequence[float]) -> Values:
    """The scores themselves, for rerankers whose scores mean the same for every query."""
    return np.asarray(scores, dtype=np.float64)


def lead(scores: Sequence[float]) -> Values:
    """How far each document stands above the best other one, as a share of the query's spread.

    The spread is the way from the best score to the median of the others: no unit and no zero of the scores
    matters. The best document has a lead from 0 to 1, all others have one of 0 or less.

    Parameters
    ----------
    scores : sequence of k float

    Returns
    -------
    ndarray of shape (k,), float64
        All minus infinity where less than three documents or no spread are there.
    """
    values = as_scored(scores)
    ranked = np.sort(values)[::-1]
    spread = ranked[0] - np.median(ranked[1:]) if len(ranked) >= FEWEST_COMPARED else 0.0
    if spread <= 0:
        return np.full(len(values), -math.inf)
    above = np.where(values == ranked[0], ranked[1], ranked[0])
    leads: Values = (values - above) / spread
    return leads


SCALES: dict[str, Callable[[Sequence[float]], Values]] = {"score": as_scored, "lead": lead}
"""Scales that a threshold can lie on."""


@dataclass(frozen=True)
class Rule:
    """Condition that makes a document relevant.

    Parameters
    ----------
    name : str
        "given", "calibrated", or "default" where nothing could be calibrated.
    scale : str
        One of `SCALES`.
    threshold : float
        The least value on that scale that counts.
    sample : int
        Judged queries that it was calibrated on.
    precision, recall, f1 : float, optional
        Measured on those of these queries that scale and threshold were not chosen on.
    """

    name: str
    scale: str
    threshold: float
    sample: int = 0
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None

    def passing(self, scores: Sequence[float]) -> list[int]:
        """Places of the relevant documents."""
        values = SCALES[self.scale](scores)
        return np.flatnonzero(np.isfinite(values) & (values >= self.threshold)).tolist()


def check_threshold(threshold: float, *, graded: bool) -> None:
    """Raise ConfigError where a threshold is no number, or no grade."""
    if not math.isfinite(threshold):
        raise ConfigError(f"threshold: {threshold} is no number that a score can reach")
    if graded and not 0 < threshold <= GRADES[-1]:
        raise ConfigError(f"threshold: {threshold:g} is out of range; a language model's grades go up to 3")


def default_rule(*, graded: bool) -> Rule:
    """Return the rule for a run without a threshold and without judged queries."""
    return Rule("default", "score", CHAT_THRESHOLD) if graded else Rule("default", "lead", CLEAR_LEAD)


def calibrated(sample: Sequence[Scored], *, graded: bool) -> Rule | None:
    """The scale and threshold of highest F1 over the top documents of judged queries; None for too few.

    Both are chosen on all of them. Precision, recall and F1 are those of `FOLDS` choices, each made without
    a tenth of the queries and applied to it.

    Parameters
    ----------
    sample : sequence of Scored
        In random order. Documents that nobody judged count as not relevant.
    graded : bool
        Scores are grades, which are taken as they are.
    """
    relevant = sum(sum(of) for _, of in sample)
    others = sum(len(of) for _, of in sample) - relevant
    if relevant < FEWEST or others < FEWEST:
        return None
    scales = ("score",) if graded else tuple(SCALES)
    hits = passed = 0
    for fold in range(FOLDS):
        others_of_fold = [one for place, one in enumerate(sample) if place % FOLDS != fold]
        rule = Rule("calibrated", *_best(others_of_fold, scales))
        for scores, labels in sample[fold::FOLDS]:
            passing = rule.passing(scores)
            passed += len(passing)
            hits += sum(labels[place] for place in passing)
    return Rule(
        "calibrated",
        *_best(sample, scales),
        sample=len(sample),
        precision=hits / max(passed, 1),
        recall=hits / relevant,
        f1=2 * hits / (passed + relevant),
    )


def _best(sample: Sequence[Scored], scales: Sequence[str]) -> tuple[str, float]:
    """The scale and its threshold of highest F1; of equally good scales the first."""
    relevant = np.concatenate([np.asarray(of, dtype=np.bool_) for _, of in sample])
    found = [
        (scale, *best_threshold(np.concatenate([SCALES[scale](scores) for scores, _ in sample]), relevant))
        for scale in scales
    ]
    scale, threshold, _ = max(found, key=lambda one: one[2])
    return scale, threshold


def best_threshold(values: Values, relevant: NDArray[np.bool_]) -> tuple[float, float]:
    """The threshold of highest F1, halfway between two values; of equally good ones the highest.

    Parameters
    ----------
    values : ndarray of shape (n,), float64
        At least one.
    relevant : ndarray of shape (n,), bool

    Returns
    -------
    threshold : float
        Infinite where nothing is relevant.
    f1 : float
    """
    if not relevant.any():
        return math.inf, 0.0
    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], np.cumsum(relevant[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + hits[-1])
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)  # equals pass together
    last = int(ends[np.argmax(f1[ends])])
    threshold = float(ranked[last])
    if last + 1 < len(ranked) and threshold > (halfway := (threshold + float(ranked[last + 1])) / 2):
        threshold = halfway if halfway > ranked[last + 1] else threshold
    return threshold, float(f1[last])
