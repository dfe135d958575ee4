"""Leading principal axes in which a training takes place: as few as what is searched for needs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from smec.config import TrainConfig
from smec.evaluation.neighbours import neighbour_overlap
from smec.method.axes import energy, tempering_scale
from smec.method.folds import Check, Fold, Start
from smec.method.gate import LEVEL, Linear, Scores, significant
from smec.method.stages import MANY
from smec.training.pool import Pool
from smec.vectors import Float32Array, IntArray, normalise

AGREEMENT = 0.95
"""Share of the ten nearest neighbours of the originals that the kept axes have to keep."""

LOSS = 0.01
"""Score of held-out queries that the kept axes may lose."""

AGREEMENT_MANY = 0.98
"""The same from `MANY` queries to fit: so many labels learn from weak axes, too."""

STEP = 16
"""Axes between two ranks that are tried."""

ASKED = 256
"""Most queries whose neighbours are compared."""

DOCUMENTS = 4096
"""Most documents among which they are looked for."""

CHECKED = 8192
"""Documents among which the checks of a training search; those judged for held-out queries come on top."""


@dataclass(frozen=True)
class KeptAxes:
    """A training in the leading axes of a start, and the way back to the originals.

    Attributes
    ----------
    start : Start
        Of the training as a whole.
    rank : int
        How many axes are kept.
    agreement : float
        Share of nearest neighbours that they keep.
    """

    start: Start
    rank: int
    agreement: float

    @cached_property
    def axes(self) -> Float32Array:
        """The kept axes, of shape (D, rank)."""
        return np.ascontiguousarray(self.start.axes[:, : self.rank], dtype=np.float32)

    def within(self) -> Start:
        """The start of the training in the kept axes, which are its coordinates."""
        along = energy(self.start.axes[:, : self.rank], self.start.moment)
        sizes = trained_sizes(self.start.sizes, self.rank)
        return Start(
            sizes, np.eye(self.rank), np.diag(along), {}, self.start.coordinates, self.start.execution
        )

    def folds(self, folds: Sequence[Fold]) -> list[Fold]:
        """The same folds with coordinates on the kept axes; checks search a sample of a large pool."""
        documents = _coordinates(folds[0].pool.documents, self.axes)
        return [
            replace(
                fold,
                pool=_within(fold.pool, self.axes, documents),
                held_out=fold.held_out.among(_checked(fold)).within(self.axes),
            )
            for fold in folds
        ]

    def lifted(self, check: Check, fold: Fold, config: TrainConfig) -> Check:
        """Make maps from the originals at all sizes of what was trained on one of `folds`.

        The scores are those among all documents of ``fold``, which is as it was before `folds`.
        """
        widest = self._from_originals(check, self._behind(config.tempering))
        sizes = dict.fromkeys(self.start.sizes, config.codec)
        scores = fold.held_out.scores_at(widest.matrix, sizes, query=widest.query)
        return Check({dim: widest.leading(dim) for dim in sizes}, scores)

    def _behind(self, tempering: float) -> Float32Array:
        """Axes of the sizes above the rank, which nothing trains, scaled as those of the start are."""
        scale = tempering_scale(self.start.axes, self.start.moment, tempering)
        of_sizes = slice(self.rank, self.start.sizes[0])
        return (self.start.axes[:, of_sizes] * scale[of_sizes]).astype(np.float32)

    def _from_originals(self, check: Check, behind: Float32Array) -> Linear:
        widest = check.maps[max(check.maps)]

        def lifted(matrix: Float32Array) -> Float32Array:
            return np.concatenate([self.axes @ matrix, behind], axis=1)

        return Linear(lifted(widest.matrix), None, None if widest.query is None else lifted(widest.query))


def keep_axes(start: Start, folds: Sequence[Fold]) -> KeptAxes:
    """Keep as few leading axes as preserve what is searched for.

    The axes keep `AGREEMENT` of the ten nearest neighbours of queries, or of documents where there are no
    queries. From `MANY` queries to fit they keep `AGREEMENT_MANY`. The score of held-out judged queries is
    not surely more than `LOSS` below that of the originals.

    Parameters
    ----------
    start : Start
    folds : sequence of Fold
    """
    most = min(len(start.axes), len(folds[0].pool.rows))
    ranks = [*range(STEP, most, STEP), most]
    axes = start.axes[:, :most].astype(np.float32)
    sample = _Sample(folds[0], axes)
    enough = bisect_left(ranks, _least(folds[0].pool), hi=len(ranks) - 1, key=sample.agreement)
    first = start.execution.processes.of_first(enough)  # its rounding could differ from theirs
    judged = [fold.held_out.among(_checked(fold)) for fold in folds if fold.pool.held_out is not None]
    full = [held_out.full() for held_out in judged]
    for rank in ranks[first:]:
        kept = [held_out.within(axes[:, :rank]).full() for held_out in judged]
        if rank == most or not judged or not _lost(full, kept):
            return KeptAxes(start, rank, sample.agreement(rank))
    raise AssertionError("the last rank is kept")


def trained_sizes(sizes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Sizes that are trained in so many axes: those within, and in place of wider ones all axes."""
    within = tuple(size for size in sizes if size <= rank)
    return within if len(within) == len(sizes) or within[:1] == (rank,) else (rank, *within)


def _least(pool: Pool) -> float:
    """Share of neighbours that has to be kept."""
    return AGREEMENT_MANY if len(pool.queries) >= MANY else AGREEMENT


def _lost(full: Sequence[Scores], kept: Sequence[Scores]) -> bool:
    lost = np.concatenate(full) - np.concatenate(kept)
    return bool(lost.mean() > LOSS and significant(lost, LEVEL))


class _Sample:
    """Queries, or documents in place of them, and documents, as coordinates on the leading axes."""

    def __init__(self, fold: Fold, axes: Float32Array) -> None:
        pool = fold.pool
        rows = _spread(len(pool.rows), DOCUMENTS)
        documents = pool.documents.numpy()[rows]
        queries = [of.numpy() for of in (pool.queries, pool.log) if len(of)]
        self._own: IntArray | None = None
        if queries:
            asked = np.concatenate(queries)
            asked = asked[_spread(len(asked), ASKED)]
        else:
            self._own = _spread(len(documents), ASKED)
            asked = documents[self._own]
        self._full = documents, asked
        self._along = documents @ axes, asked @ axes

    def agreement(self, rank: int) -> float:
        """Share of the ten nearest originals that are nearest on so many axes."""
        documents, asked = (normalise(rows[:, :rank]) for rows in self._along)
        return float(neighbour_overlap(*self._full, documents, asked, own_rows=self._own).mean())


def _spread(total: int, most: int) -> IntArray:
    """At most so many positions, evenly spread."""
    positions: IntArray = np.unique(np.linspace(0, total - 1, min(total, most)).astype(np.int64))
    return positions


def _checked(fold: Fold) -> IntArray:
    """Places of the documents that checks search: all of a small pool, else a sample with what is asked."""
    rows = fold.pool.rows
    if len(rows) <= CHECKED:
        return np.arange(len(rows))
    asked = fold.pool.held_out_rows
    if fold.pool.held_out is not None:
        judged = {row for grades in fold.pool.held_out.grades for row in grades}
        asked = np.searchsorted(rows, sorted(judged & set(rows.tolist())))
    return np.union1d(_spread(len(rows), CHECKED), asked)


def _within(pool: Pool, axes: Float32Array, documents: torch.Tensor) -> Pool:
    return replace(
        pool,
        documents=documents,
        queries=_coordinates(pool.queries, axes),
        log=_coordinates(pool.log, axes),
        pairs=_coordinates(pool.pairs, axes),
    )


def _coordinates(rows: torch.Tensor, axes: Float32Array) -> torch.Tensor:
    return torch.from_numpy(normalise(rows.reshape(-1, len(axes)).numpy() @ axes))
