"""Whether queries of a block get a matrix of their own, by what held-out queries scored with and without it.

The sizes of a block are prefixes of one matrix, so a block gets the matrix at all its sizes or at none: two
blocks in its place would change the tensors that make documents, and with them their fingerprint, and stored
vectors of one would not shrink to sizes of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smec.adaptation import AdaptedSize
from smec.card import FEWEST_TOLD
from smec.config import CorpusKind
from smec.evaluation.intervals import bootstrap_interval
from smec.method.gate import LEVEL, Scores, significant


@dataclass(frozen=True)
class MeasuredQueries:
    """Scores of a block with the same documents, an array of shape (sizes, held-out queries) each.

    Attributes
    ----------
    full : ndarray of shape (held-out queries,)
        Scores of the full vectors.
    before : ndarray
        The compressor as it was.
    own : ndarray
        The learned matrix for queries.
    new : ndarray of shape (held-out queries,), bool
        Queries that ask for documents that are relevant to no fitted query.
    """

    full: Scores
    before: Scores
    own: Scores
    new: NDArray[np.bool_]

    def of(self, queries: NDArray[np.bool_]) -> MeasuredQueries:
        """The scores of some of the queries."""
        return MeasuredQueries(
            self.full[queries], self.before[:, queries], self.own[:, queries], self.new[queries]
        )


def queries_gain(measured: MeasuredQueries, corpus: CorpusKind | None) -> bool:
    """Whether a block ships the learned matrix.

    Over all held-out queries the mean over its sizes has to be significantly better. With a growing corpus
    the mean over its sizes must also not be lower on new documents, of which there have to be a few. No size
    may be significantly worse, on either.

    Parameters
    ----------
    measured : MeasuredQueries
    corpus : {"growing", "fixed"} or None
        None: no labels, so that there are no new documents to tell apart.
    """
    groups = [measured]
    if corpus == "growing":
        new = measured.of(measured.new)
        if len(new.full) < FEWEST_TOLD or (new.own - new.before).mean() < 0:
            return False
        groups.append(new)
    worse = any(significant(loss, LEVEL) for group in groups for loss in group.before - group.own)
    return not worse and significant((measured.own - measured.before).mean(axis=0), LEVEL)


def described(
    dims: Sequence[int],
    measured: MeasuredQueries,
    *,
    ships: bool,
    labels: bool,
    step: int | None,
    mixture: float,
) -> list[AdaptedSize]:
    """Figures of each size of a block, for the artefact.

    Parameters
    ----------
    dims : sequence of int
        Its sizes, in the order of the scores.
    measured : MeasuredQueries
    ships : bool
        Whether the learned matrix does.
    labels : bool
        Whether new documents can be told from seen ones.
    step, mixture : int and float
        Which of the checks was chosen.
    """
    groups = {"new": measured.of(measured.new), "seen": measured.of(~measured.new)} if labels else {}
    return [
        AdaptedSize.model_validate(
            {
                "dim": dim,
                "ships": "own" if ships else "before",
                "step": step,
                "mixture": mixture,
                **_figures(measured, number),
                **{name: _figures(of, number) for name, of in groups.items() if len(of.full)},
            }
        )
        for number, dim in enumerate(dims)
    ]


def _figures(measured: MeasuredQueries, size: int) -> dict[str, object]:
    before, own = measured.before[size], measured.own[size]
    return {
        "queries": len(before),
        "full": float(measured.full.mean()),
        "before": float(before.mean()),
        "own": float(own.mean()),
        "ci": bootstrap_interval(own - before),
    }
