"""Scores of every size on what the folds of a cross-validation held out, as the gate takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from smec.data import Dataset, JudgedQueries
from smec.method.folds import Check, Fold, Start
from smec.method.gate import Measured, measure
from smec.training.processes import Processes
from smec.training.validation import HeldOut
from smec.vectors import Float32Array


def measure_folds(
    dataset: Dataset, start: Start, folds: Sequence[Fold], checks: Sequence[Check], codec: str | None
) -> dict[int, Measured]:
    """Scores of every size on what the folds held out, as if on one: each query by a map that never saw it.

    Parameters
    ----------
    dataset : Dataset
    start : Start
    folds : sequence of Fold
    checks : sequence of Check
        What the training of each fold had made.
    codec : str or None
        What stores the documents.
    """
    held_out = _all_held_out(dataset, folds, start.execution.processes)
    full = held_out.full()
    new = np.concatenate([np.arange(fold.held_out.count) < fold.held_out.new for fold in folds])
    trained = np.concatenate([check.scores for check in checks], axis=1)
    sizes = dict.fromkeys(start.sizes, codec)
    rivals = {
        name: held_out.scores_at(of.matrix, sizes, of.bias, scales=of.scales)
        for name, of in start.baselines.items()
    }
    found = {}
    for place, (dim, smec) in enumerate(zip(start.sizes, trained, strict=True)):
        beside = {name: scores[place] for name, scores in rivals.items()}
        found[dim] = Measured(full, smec, beside, beside, new)
    return found


def measure_agreement(
    dataset: Dataset, start: Start, folds: Sequence[Fold], checks: Sequence[Check], codec: str | None
) -> dict[int, Measured]:
    """Overlap@10 of every size on held-out queries, without their judgements: those of `measure_folds`, and
    those of the log, each by a map that was not taught it.
    """
    parts = []
    for fold, check in zip(folds, checks, strict=True):
        held_out = replace(fold.pool, held_out=None, held_out_log=_without_judgements(fold))
        asked = HeldOut(dataset, held_out, start.execution.processes)
        parts.append(measure(start.candidates(check.maps), asked, codec))
    return {dim: reduce(Measured.joined, [part[dim] for part in parts]) for dim in start.sizes}


def _all_held_out(dataset: Dataset, folds: Sequence[Fold], processes: Processes) -> HeldOut:
    """The held-out queries of all folds, fold by fold; a baseline scores the same on each of them."""
    if len(folds) == 1:
        return folds[0].held_out
    parts = [fold.pool.held_out for fold in folds if fold.pool.held_out is not None]
    pool = replace(folds[0].pool, held_out=reduce(JudgedQueries.joined, parts))
    return HeldOut(dataset, pool, processes)


def _without_judgements(fold: Fold) -> Float32Array:
    """Held-out queries, unit rows; in the first fold those of the log, too."""
    queries = fold.held_out.queries
    log = fold.pool.held_out_log if fold.number == 0 else fold.pool.held_out_log[:0]
    return np.concatenate([queries, log.reshape(-1, queries.shape[1])])
