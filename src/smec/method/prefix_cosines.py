"""Cosines at every size from one product: those of a prefix are part of those of a longer one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

TINY = 1e-12
"""Least norm that is divided by, as in `torch.nn.functional.normalize`."""


def prefix_cosines(queries: Tensor, documents: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Cosines of the prefixes of vectors.

    Parameters
    ----------
    queries : Tensor of shape (n, columns)
        Of any length.
    documents : Tensor of shape (m, columns)
    sizes : sequence of int
        Descending, none above ``columns``.

    Returns
    -------
    list of Tensor of shape (n, m), float32
        One per size. Each block of columns between two sizes is multiplied once, forward and backward.
    """
    return list(_PrefixCosines.apply(queries, documents, tuple(sizes)))  # type: ignore[no-untyped-call]


class _PrefixCosines(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, documents: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
        ctx.sizes, ctx.reduced = sizes, torch.is_autocast_enabled(queries.device.type)
        product, scales, cosines = None, [], []
        lengths = [_squares(queries, sizes), _squares(documents, sizes)]
        for number, block in enumerate(_blocks(sizes)):
            part = (queries[:, block] @ documents[:, block].T).float()
            product = part if product is None else product.add_(part)
            asked, found = (length[number].sqrt().clamp_min(TINY).reciprocal() for length in lengths)
            scales.append((asked, found))
            cosines.append(product * asked[:, None] * found)
        ctx.save_for_backward(queries, documents, *cosines, *(scale for pair in scales for scale in pair))
        return tuple(reversed(cosines))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        queries, documents, *saved = ctx.saved_tensors
        count = len(ctx.sizes)
        cosines, scales = saved[:count], saved[count:]
        of_queries, of_documents = torch.zeros_like(queries), torch.zeros_like(documents)
        product = torch.zeros_like(cosines[0])
        shrink_queries, shrink_documents = torch.zeros_like(scales[0]), torch.zeros_like(scales[1])
        with torch.autocast(queries.device.type, torch.bfloat16, enabled=ctx.reduced):
            for number, block in reversed(list(enumerate(_blocks(ctx.sizes)))):
                # Larger sizes come first here: what they say of a block adds up towards the front.
                gradient, cosine = gradients[count - 1 - number], cosines[number]
                asked, found = scales[2 * number], scales[2 * number + 1]
                along = gradient * cosine
                shrink_queries += along.sum(dim=1) * asked.square()
                shrink_documents += along.sum(dim=0) * found.square()
                product += gradient * asked[:, None] * found
                q, d = queries[:, block], documents[:, block]
                of_queries[:, block] = (product @ d).float() - shrink_queries[:, None] * q
                of_documents[:, block] = (product.T @ q).float() - shrink_documents[:, None] * d
        return of_queries, of_documents, None


def _blocks(sizes: tuple[int, ...]) -> list[slice]:
    """Columns between two sizes next to each other, the leading ones first."""
    bounds = [0, *reversed(sizes)]
    return [slice(start, end) for start, end in pairwise(bounds)]


def _squares(rows: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Squared lengths of the prefixes of rows, shape (sizes, n), the smallest size first."""
    squares = torch.stack([rows[:, block].float().square().sum(dim=1) for block in _blocks(sizes)])
    return squares.cumsum(dim=0)
