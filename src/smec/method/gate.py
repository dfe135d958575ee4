"""The no-harm gate: a size that is not better than PCA and truncation on held-out data ships the
better of them (design section 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Candidates:
    """Ways to make one size, as matrices from the originals (D, dim)."""

    smec: Float32Array
    fallbacks: Mapping[str, Float32Array]
    """"pca" and "truncate" as they can be shipped for this size."""
    rivals: Mapping[str, Float32Array]
    """"pca" and "truncate" of the originals: what the size has to beat."""


def judge(candidates: Mapping[int, Candidates], held_out: HeldOut, *, enabled: bool) -> Validation:
    """Measure every size and decide what it ships.

    Parameters
    ----------
    candidates : mapping
        dim -> `Candidates`.
    held_out : HeldOut
    enabled : bool
        Without the gate every size ships "smec"; the figures are the same.
    """
    full = float(held_out.full().mean())
    sizes = tuple(_judge_size(dim, candidates[dim], held_out, full, enabled=enabled) for dim in candidates)
    return Validation(metric=held_out.metric, queries=held_out.count, sizes=sizes)


def _judge_size(
    dim: int, candidates: Candidates, held_out: HeldOut, full: float, *, enabled: bool
) -> SizeMetrics:
    smec = held_out.scores(candidates.smec)
    rivals = {name: held_out.scores(matrix) for name, matrix in candidates.rivals.items()}
    method = "smec"
    if enabled and not all(beats(smec, rival) for rival in rivals.values()):
        # PCA where truncation is not surely better: it is the safer of the two.
        scores = {name: held_out.scores(matrix) for name, matrix in candidates.fallbacks.items()}
        method = "truncate" if beats(scores["truncate"], scores["pca"]) else "pca"
    return SizeMetrics(
        dim=dim,
        method=method,
        full=full,
        smec=float(smec.mean()),
        ci=bootstrap_interval(smec),
        pca=float(rivals["pca"].mean()),
        truncate=float(rivals["truncate"].mean()),
    )


def beats(scores: Scores, rival: Scores) -> bool:
    """Whether the mean paired gain is surely above zero (one-sided paired t-test).

    With few queries a gain that may be noise is not worth leaving PCA for; with hundreds this asks
    for 2.3 standard errors.
    """
    gain = scores - rival
    if gain.mean() <= 0 or len(gain) < 2:
        return False
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return bool(gain.mean() > stats.t.isf(DOUBT, len(gain) - 1) * error)
