"""ADS, adaptive dimension selection (paper, section 3.3): learn which dimensions to keep."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

START_TEMPERATURE, END_TEMPERATURE = 1.0, 0.1
ANNEALED_SHARE = 0.6
"""The paper does not state a schedule. The choice moves for the first 60 % of the steps, at a
falling temperature; then the noise is off, so that the matrix is tuned for what it will keep."""


def training_mask(logits: Tensor, keep: int, progress: float, key: list[int]) -> Tensor:
    """Hard 0/1 mask of the kept dimensions whose gradient is that of the Gumbel-softmax.

    Forward: top-``keep`` of ``softmax((z + g) / tau)``; backward: straight through.

    Parameters
    ----------
    logits : Tensor of shape (w,)
        z, one per input dimension.
    keep : int
    progress : float
        Share of the stage's steps that are done, 0 to 1.
    key : list of int
        Seeds the Gumbel noise g; queries and documents of a step share it.

    Returns
    -------
    Tensor of shape (w,)
    """
    done = min(1.0, progress / ANNEALED_SHARE)
    temperature = START_TEMPERATURE * (END_TEMPERATURE / START_TEMPERATURE) ** done
    noisy = logits
    if done < 1.0:
        noise = np.random.default_rng(key).gumbel(size=len(logits)).astype(np.float32)
        noisy = logits + torch.from_numpy(noise).to(logits.device)
    soft = (keep * torch.softmax(noisy / temperature, dim=0)).clamp(max=1.0)
    hard = torch.zeros_like(soft)
    hard[torch.topk(noisy, keep).indices] = 1.0
    return hard + (soft - soft.detach())  # in this order exactly 0 or 1


def column_order(logits: Tensor, keep: int) -> Tensor:
    """Columns with the ``keep`` selected ones in front, both groups in their old order (w,)."""
    # A stable sort, so that equal logits (the start) select the prefix.
    ranked = torch.sort(logits.detach(), descending=True, stable=True).indices
    return torch.cat([ranked[:keep].sort().values, ranked[keep:].sort().values])
