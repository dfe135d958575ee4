"""The baselines that the gate compares a size with, and can ship, as matrices from the originals."""

from __future__ import annotations

import numpy as np

from smec.baselines.pca import fit_centred_pca
from smec.baselines.spectral_tempering import fit_spectral_tempering
from smec.data import Dataset
from smec.encoder import Projection
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
        pca, tempered = fit_centred_pca(dataset, sizes), fit_spectral_tempering(dataset, sizes)
        for dim in sizes:
            found[dim]["pca-centred"] = _linear(pca, dim)
            found[dim]["spectemp"] = _linear(tempered.documents[dim], dim)
    return found


def _linear(projection: Projection, dim: int) -> Linear:
    matrix = projection.matrix[:, :dim]
    return Linear(matrix, None if projection.mean is None else -projection.mean @ matrix)
