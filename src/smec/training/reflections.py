"""Rotations as products of Householder reflections, whose vectors are learned (AdaWidth, arXiv 2608.23862).

::

    R = H_1 H_2 ... H_F,  H_f = I - 2 v_f v_fᵀ / |v_f|²

R is orthogonal whatever the v_f are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def start_reflections(count: int, dim: int, seed: int) -> Tensor:
    """Draw unit v_f as the rows of (count, dim), pairwise equal, so that their product is the identity.

    Parameters
    ----------
    count : int
        F, even.
    dim : int
    seed : int
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = functional.normalize(torch.randn(count // 2, dim, generator=generator))
    return drawn.repeat_interleave(2, dim=0)


def rotate(reflections: Tensor, rows: Tensor) -> Tensor:
    """``rows`` (n, D) times H_1 H_2 ... H_F, for ``reflections`` (F, D) of any length but zero.

    The product is formed as ``I - Vᵀ T V`` (compact WY form), where V has the unit v_f for rows.
    """
    with torch.autocast(rows.device.type, enabled=False):  # bfloat16 has no triangular solver
        v = functional.normalize(reflections)
        # T is the inverse of this triangle.
        triangle = (v @ v.T).triu(1) + 0.5 * torch.eye(len(v), dtype=v.dtype, device=v.device)
        coefficients: Tensor = torch.linalg.solve_triangular(triangle, v, upper=True)
        return rows - (rows @ v.T) @ coefficients
