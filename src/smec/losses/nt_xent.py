"""NT-Xent of SimCLR: two views of an item know each other among the views of all other items."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def nt_xent(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of each view's counterpart against the 2 (n - 1) views of the other items.

    Parameters
    ----------
    one, other : Tensor of shape (n, w)
        Two views, row by row of the same items; of any length.
    temperature : float
        Divides the cosines.

    Returns
    -------
    Tensor of shape ()
        Mean over all 2 n views; 0 for a single item.
    """
    items = len(one)
    views = functional.normalize(torch.cat([one, other]))
    logits = (views @ views.T / temperature).fill_diagonal_(float("-inf"))
    counterparts = torch.arange(2 * items).roll(items)
    return functional.cross_entropy(logits, counterparts)
