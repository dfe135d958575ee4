"""The share of a batch that one process computes, where several take the same steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from smec.vectors import IntArray


@dataclass(frozen=True)
class BatchShare:
    """The rows of a batch's scores that one process computes; alone, all of them."""

    queries: IntArray
    first: int
    """Place of the first query in the batch."""
    grades: Tensor
    log: IntArray
    anchors: Tensor
    """Places in the batch's documents."""
    rank: float
    """Share of these queries in the mean that is the rank loss."""
    taught: float
    """Share of these queries and anchors in the mean that is the distillation loss."""


def weighed(weight: float, loss: Callable[..., Tensor], scores: Tensor, *others: object) -> Tensor:
    """A part of a loss that is a mean over rows; of no rows nothing, though a function of the scores."""
    return weight * loss(scores, *others) if len(scores) else scores.sum()
