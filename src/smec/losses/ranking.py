"""Graded pairwise logistic loss of Search-Adaptor (arXiv 2310.08750), SMEC's Eq. 8."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def pairwise_logistic(scores: Tensor, grades: Tensor, temperature: float) -> Tensor:
    """Mean over triples of ``(r_ij - r_ik) log(1 + exp((s_ik - s_ij) / t))`` where ``r_ij > r_ik``.

    The paper sums; the mean keeps the balance with the memory loss independent of the batch.

    Parameters
    ----------
    scores : Tensor of shape (B, n)
        Cosines of queries and documents.
    grades : Tensor of shape (B, n)
        Relevance; 0 for documents of other queries.
    temperature : float
        Divides the score gaps.

    Returns
    -------
    Tensor of shape ()
        0 where no document is more relevant than another.
    """
    query, better = torch.nonzero(grades > 0, as_tuple=True)  # j must have a positive grade
    gain = (grades[query, better, None] - grades[query]).clamp(min=0)  # (pairs, n)
    gaps = (scores[query] - scores[query, better, None]) / temperature
    return (gain * functional.softplus(gaps)).sum() / (gain > 0).sum().clamp(min=1)


def triples(grades: Tensor) -> int:
    """Count the triples (query, more relevant document, less relevant one) that the mean is over."""
    query, better = torch.nonzero(grades > 0, as_tuple=True)
    return int((grades[query, better, None] > grades[query]).sum())
