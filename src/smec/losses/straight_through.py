"""What a code makes of vectors, with the gradient of the vectors themselves (straight through).

As `smec.codecs` stores them, but calibrated on the batch: its documents are a random sample.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smec.codecs.scalar import CLIPPED, STEPS

TRAINABLE = ("int8", "int4", "binary")
"""Codecs that a training can look through."""


def straight_through(vectors: Tensor, codec: str) -> Tensor:
    """Vectors as ``codec`` would store them.

    Parameters
    ----------
    vectors : Tensor of shape (n, d)
    codec : {"int8", "int4", "binary"}

    Returns
    -------
    Tensor of shape (n, d)
        Its gradient is passed on to ``vectors`` unchanged.
    """
    with torch.no_grad():
        coded = _binary(vectors) if codec == "binary" else _scalar(vectors, codec)
        error = coded - vectors
    return vectors + error


def _binary(vectors: Tensor) -> Tensor:
    above = vectors > vectors.median(dim=0).values
    count = above.sum(dim=0)
    high = (vectors * above).sum(dim=0) / count.clamp(min=1)
    low = (vectors * ~above).sum(dim=0) / (len(vectors) - count).clamp(min=1)
    return torch.where(above, high, low)


def _scalar(vectors: Tensor, codec: str) -> Tensor:
    clipped = CLIPPED[codec]
    low, high = vectors.quantile(torch.tensor([clipped, 1 - clipped]), dim=0)
    span = (high - low).clamp(min=1e-9)
    steps = (STEPS[codec] * ((vectors - low) / span).clamp(0, 1)).floor()
    coded: Tensor = low + span * (steps + 0.5) / STEPS[codec]
    return coded
