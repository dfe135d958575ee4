"""Scores of every size on what the folds of a cross-validation held out, as the gate takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from smec.data import Dataset, JudgedQueries
from smec.method.folds import Check, Fold, Start
from smec.method.gate import Measured, Scores
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
    (rivals,) = _of_baselines(start, [held_out], codec)
    return _measured(start, held_out, _trained(checks), rivals, _new(folds))


def measure_both(
    dataset: Dataset, start: Start, folds: Sequence[Fold], checks: Sequence[Check], codec: str | None
) -> tuple[dict[int, Measured], dict[int, Measured]]:
    """`measure_folds`, and overlap@10 on the same queries without their judgements and on those of the log.

    A query of the log is measured by a map that was not taught it, too.
    """
    processes = start.execution.processes
    held_out = _all_held_out(dataset, folds, processes)
    queries = [_without_judgements(fold) for fold in folds]
    asked = HeldOut(
        dataset, replace(folds[0].pool, held_out=None, held_out_log=np.concatenate(queries)), processes
    )
    ends = np.cumsum([len(of) for of in queries])
    parts = [asked.part(slice(end - len(of), end)) for end, of in zip(ends, queries, strict=True)]
    kept = []
    for part, check in zip(parts, checks, strict=True):
        widest = check.maps[start.sizes[0]]
        sizes = dict.fromkeys(start.sizes, codec)
        kept.append(part.scores_at(widest.matrix, sizes, widest.bias, widest.query))
    of_judged, of_asked = _of_baselines(start, [held_out, asked], codec)
    new = [np.arange(len(of)) < fold.held_out.new for fold, of in zip(folds, queries, strict=True)]
    return (
        _measured(start, held_out, _trained(checks), of_judged, _new(folds)),
        _measured(start, asked, np.concatenate(kept, axis=1), of_asked, np.concatenate(new)),
    )


def _trained(checks: Sequence[Check]) -> Scores:
    return np.concatenate([check.scores for check in checks], axis=1)


def _new(folds: Sequence[Fold]) -> NDArray[np.bool_]:
    return np.concatenate([np.arange(fold.held_out.count) < fold.held_out.new for fold in folds])


def _of_baselines(start: Start, asked: Sequence[HeldOut], codec: str | None) -> list[dict[str, Scores]]:
    """Scores of the baselines, name -> (sizes, queries), for each kind of queries of the same documents."""
    sizes = dict.fromkeys(start.sizes, codec)
    found: list[dict[str, Scores]] = [{} for _ in asked]
    known = wide = None
    for name, of in start.baselines.items():
        if wide is None or of.matrix is not known:  # centred PCA and SpecTemp share theirs
            known, wide = of.matrix, asked[0].product(of.matrix, of.bias)
        for queries, scores in zip(asked, found, strict=True):
            scores[name] = queries.scores_at(of.matrix, sizes, of.bias, scales=of.scales, wide=wide)
    return found


def _measured(
    start: Start, held_out: HeldOut, trained: Scores, rivals: dict[str, Scores], new: NDArray[np.bool_]
) -> dict[int, Measured]:
    full, found = held_out.full(), {}
    for place, dim in enumerate(start.sizes):
        beside = {name: scores[place] for name, scores in rivals.items()}
        found[dim] = Measured(full, trained[place], beside, beside, new)
    return found


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
