"""InfoNCE over the documents of a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def info_nce(scores: Tensor, grades: Tensor, temperature: float, first: int = 0) -> Tensor:
    """Cross-entropy of each query's own positive against all documents not relevant to it.

    Parameters
    ----------
    scores : Tensor of shape (B, n), n >= first + B
        Cosines; column ``first`` + i is the positive drawn for query i.
    grades : Tensor of shape (B, n)
        Documents with a positive grade other than the drawn one are left out of the softmax.
    temperature : float
        Divides the cosines.
    first : int
        Which query of a batch the first row is.

    Returns
    -------
    Tensor of shape ()
    """
    rows = torch.arange(len(scores), device=scores.device)
    own = rows + first
    other_positives = grades > 0
    other_positives[rows, own] = False
    logits = (scores / temperature).masked_fill(other_positives, float("-inf"))
    return functional.cross_entropy(logits, own)
