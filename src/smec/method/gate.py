"""The no-harm gate: a size that is not better than PCA and truncation on held-out data ships the
better of them (design section 4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smec.artefact import SizeMetrics, Validation
from smec.evaluation.intervals import bootstrap_interval
from smec.training.validation import HeldOut
from smec.vectors import Float32Array

Scores = NDArray[np.float64]

DOUBT = 0.01
"""Level of the paired t-test. Not the usual .05: the candidate is the best of several checks on the
same held-out queries, so some of its gain is luck."""

DOUBT_OF_FOLDS = 0.05
"""Where each query is held out once: with so few of them a stricter level would refuse most real gains."""

KEPT = 0.7
"""Share of the nearest neighbours from which PCA is left alone where there are no labels: it then keeps
most of what agreement with the full vectors can tell, and relevance may lie in the rest."""


@dataclass(frozen=True)
class Candidates:
    """Ways to make one size, as matrices from the originals (D, dim)."""

    smec: Float32Array
    fallbacks: Mapping[str, Float32Array]
    """"pca" and "truncate" as they can be shipped for this size."""
    rivals: Mapping[str, Float32Array]
    """"pca" and "truncate" of the originals: what the size has to beat."""


@dataclass(frozen=True)
class Measured:
    """Scores of one size's `Candidates`, an array with an entry per held-out query each."""

    full: Scores
    """Of the full vectors."""
    smec: Scores
    fallbacks: Mapping[str, Scores]
    rivals: Mapping[str, Scores]


def measure(
    candidates: Mapping[int, Candidates], held_out: HeldOut, codec: str | None = None
) -> dict[int, Measured]:
    """Score every size, dim -> its `Candidates`, on the held-out data, all stored by the same codec."""
    full = held_out.full()
    return {dim: _measure_size(of_size, held_out, full, codec) for dim, of_size in candidates.items()}


def _measure_size(candidates: Candidates, held_out: HeldOut, full: Scores, codec: str | None) -> Measured:
    def scores(matrices: Mapping[str, Float32Array]) -> dict[str, Scores]:
        return {name: held_out.scores(matrix, codec) for name, matrix in matrices.items()}

    rivals = scores(candidates.rivals)
    fallbacks = rivals if candidates.fallbacks is candidates.rivals else scores(candidates.fallbacks)
    return Measured(full, held_out.scores(candidates.smec, codec), fallbacks, rivals)


def joined(folds: Sequence[Mapping[int, Measured]]) -> dict[int, Measured]:
    """What was measured on several folds, as if on one."""
    return {dim: _joined_size([fold[dim] for fold in folds]) for dim in folds[0]}


def _joined_size(folds: Sequence[Measured]) -> Measured:
    return Measured(
        np.concatenate([fold.full for fold in folds]),
        np.concatenate([fold.smec for fold in folds]),
        {name: np.concatenate([fold.fallbacks[name] for fold in folds]) for name in folds[0].fallbacks},
        {name: np.concatenate([fold.rivals[name] for fold in folds]) for name in folds[0].rivals},
    )


def judge(sizes: Mapping[int, Measured], metric: str, *, enabled: bool, doubt: float = DOUBT) -> Validation:
    """Decide what every size ships.

    Parameters
    ----------
    sizes : mapping
        dim -> what was `measure`d.
    metric : str
        What it was measured with.
    enabled : bool
        Without the gate every size ships "smec"; the figures are the same.
    doubt : float
        Level of the test.
    """
    # Overlap is not relevance: a gain in it counts only where PCA loses much.
    kept = KEPT if metric == "overlap@10" else math.inf
    judged = tuple(
        _judge_size(dim, size, doubt, kept) if enabled else _described(dim, "smec", size)
        for dim, size in sizes.items()
    )
    queries = len(next(iter(sizes.values())).full)
    return Validation.model_validate({"metric": metric, "queries": queries, "sizes": judged})


def _judge_size(dim: int, size: Measured, doubt: float, kept: float) -> SizeMetrics:
    ahead = all(beats(size.smec, rival, doubt) for rival in size.rivals.values())
    if ahead and size.rivals["pca"].mean() < kept:
        return _described(dim, "smec", size)
    # PCA where truncation is not surely better: it is the safer of the two.
    better = beats(size.fallbacks["truncate"], size.fallbacks["pca"], doubt)
    return _described(dim, "truncate" if better else "pca", size)


def _described(dim: int, method: Literal["smec", "pca", "truncate"], size: Measured) -> SizeMetrics:
    return SizeMetrics(
        dim=dim,
        method=method,
        full=float(size.full.mean()),
        smec=float(size.smec.mean()),
        ci=bootstrap_interval(size.smec),
        pca=float(size.rivals["pca"].mean()),
        truncate=float(size.rivals["truncate"].mean()),
        shipped=float((size.smec if method == "smec" else size.fallbacks[method]).mean()),
    )


def beats(scores: Scores, rival: Scores, doubt: float = DOUBT) -> bool:
    """Whether the mean paired gain is surely above zero (one-sided paired t-test at level ``doubt``).

    With few queries a gain that may be noise is not worth leaving PCA for; with hundreds this asks
    for 2.3 standard errors.
    """
    gain = scores - rival
    if gain.mean() <= 0 or len(gain) < 2:
        return False
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return bool(gain.mean() > stats.t.isf(doubt, len(gain) - 1) * error)
