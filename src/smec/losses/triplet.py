"""Hinge triplet loss that stops at its margin (DIVE, arXiv 2605.20689), and the negatives it takes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def hinge_triplet(positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Mean of ``max(0, margin + d_ap - d_an)`` with the cosine distance ``d = 1 - cos``.

    A triplet whose negative is farther than its positive by the margin weighs nothing and pulls
    nothing.

    Parameters
    ----------
    positive, negative : Tensor of shape (B,)
        Cosines of each anchor with its positive and with its negative; a negative of -inf stands for
        an anchor that has none.
    margin : float

    Returns
    -------
    Tensor of shape ()
    """
    return functional.relu(margin - positive + negative).mean()


def random_negatives(grades: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a document that is not relevant for every query.

    Parameters
    ----------
    grades : Tensor of shape (B, n)
        Relevance; only documents of grade 0 are drawn.
    generator : torch.Generator
        Of the draw.

    Returns
    -------
    Tensor of shape (B,), int64
        Columns; any for a query to which all documents are relevant.
    """
    return _best(torch.rand(grades.shape, generator=generator), grades)


def semi_hard_negatives(scores: Tensor, grades: Tensor) -> Tensor:
    """Take for every query the nearest document of grade 0 that is farther than its positive.

    Where all of them are nearer than the positive, the farthest of them is taken.

    Parameters
    ----------
    scores : Tensor of shape (B, n), n >= B
        Cosines; column i is the positive drawn for query i.
    grades : Tensor of shape (B, n)

    Returns
    -------
    Tensor of shape (B,), int64
        Columns; any for a query to which all documents are relevant.
    """
    scores = scores.detach()
    farther = scores < scores.diagonal()[:, None]
    # A cosine is at least -1, so that none of the nearer ones, turned round, outdoes a farther one.
    return _best(torch.where(farther, scores, -2.5 - scores), grades)


def _best(preference: Tensor, grades: Tensor) -> Tensor:
    return preference.masked_fill(grades > 0, float("-inf")).argmax(dim=1)
