"""Principal axes of the corpus, with strong ones scaled down: a start of trainings, and their teacher."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smec.vectors import Float32Array

ROUNDING = 1e-9
"""Energy of unit-length documents on an axis below which it is rounding: some models leave such axes."""


def energy(axes: NDArray[np.float64], moment: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean square of the documents' coordinate on each axis, shape (D,)."""
    found: NDArray[np.float64] = np.einsum("ij,ij->j", axes, moment @ axes)
    return found


def tempering_scale(
    axes: NDArray[np.float64], moment: NDArray[np.float64], tempering: float
) -> NDArray[np.float64]:
    """Factor of each axis, ``eigenvalue^(-tempering/2)``, 1 for the first, shape (D,)."""
    of_axes = energy(axes, moment)
    scale: NDArray[np.float64] = (np.maximum(of_axes, ROUNDING) / of_axes[0]) ** (-tempering / 2)
    return scale


def teacher_axes(
    axes: NDArray[np.float64], moment: NDArray[np.float64], tempering: float
) -> Float32Array | None:
    """Matrix of shape (D, D) from originals to the teacher's space; None where the originals teach as is."""
    if not tempering:
        return None
    return np.ascontiguousarray(axes * tempering_scale(axes, moment, tempering), dtype=np.float32)
