"""The baselines that the gate compares a size with, and can ship, as matrices from the originals."""

from __future__ import annotations

import numpy as np

from smec.baselines.pca import principal_axes
from smec.baselines.spectral_tempering import tempering_scales
from smec.data import Dataset
from smec.method.gate import Linear
from smec.vectors import Float32Array


def baselines(
    dataset: Dataset, sizes: tuple[int, ...], axes: Float32Array, *, centred: bool
) -> dict[int, dict[str, Linear]]:
    """Fit the baselines of every size, by their names in `smec.baselines.BASELINES`.

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
    found = {
        dim: {"pca": Linear(axes[:, :dim]), "truncate": Linear(np.eye(len(axes), dim, dtype=np.float32))}
        for dim in sizes
    }
    if centred:
        mean, covariance = dataset.moments.mean.astype(np.float32), dataset.moments.covariance
        about_mean = principal_axes(covariance)
        pca = about_mean[:, : sizes[0]].astype(np.float32)
        for dim, scale in tempering_scales(covariance, about_mean, sizes).items():
            found[dim]["pca-centred"] = Linear(pca[:, :dim], -mean @ pca[:, :dim])
            tempered = (about_mean[:, :dim] * scale).astype(np.float32)
            found[dim]["spectemp"] = Linear(tempered, -mean @ tempered)
    return found
