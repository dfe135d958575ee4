"""The baselines that the gate compares a size with, and can ship, as matrices from the originals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smec.baselines.pca import principal_axes
from smec.baselines.spectral_tempering import tempering_scales
from smec.data import Dataset
from smec.method.gate import Linear
from smec.vectors import Float32Array


@dataclass(frozen=True)
class Baseline:
    """A map whose sizes are leading columns of one product, scaled.

    Attributes
    ----------
    matrix : ndarray of shape (D, d_1), float32, or None
        None: the coordinates as they are.
    dim : int
        D.
    bias : ndarray of shape (d_1,), float32, optional
        Added to the product of a unit vector.
    scales : dict of int to ndarray of shape (size,)
        Factors of the columns at each size; none where they stay as they are.
    """

    matrix: Float32Array | None
    dim: int
    bias: Float32Array | None = None
    scales: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)

    def linear(self, size: int) -> Linear:
        """Matrix and bias of one size."""
        if self.matrix is None:
            return Linear(np.eye(self.dim, size, dtype=np.float32))
        matrix, bias = self.matrix[:, :size], None if self.bias is None else self.bias[:size]
        if size in self.scales:
            matrix = (matrix * self.scales[size]).astype(np.float32)
            bias = None if bias is None else (bias * self.scales[size]).astype(np.float32)
        return Linear(matrix, bias)


def baselines(
    dataset: Dataset, sizes: tuple[int, ...], axes: Float32Array, *, centred: bool
) -> dict[str, Baseline]:
    """Fit the baselines, by their names in `smec.baselines.BASELINES`.

    Parameters
    ----------
    dataset : Dataset
    sizes : tuple of int
        Descending.
    axes : ndarray of shape (D, D), float32
        Principal axes of the corpus, uncentred.
    centred : bool
        Fit centred PCA and SpecTemp too, which subtract the corpus' mean.
    """
    dim = len(axes)
    found = {"pca": Baseline(axes[:, : sizes[0]], dim), "truncate": Baseline(None, dim)}
    if centred:
        mean, covariance = dataset.moments.mean.astype(np.float32), dataset.moments.covariance
        about_mean = principal_axes(covariance)
        scales = tempering_scales(covariance, about_mean, sizes)
        matrix = about_mean[:, : sizes[0]].astype(np.float32)
        found["pca-centred"] = Baseline(matrix, dim, -mean @ matrix)
        found["spectemp"] = Baseline(matrix, dim, -mean @ matrix, scales)
    return found
