"""SpecTemp, spectral tempering (arXiv 2603.19339): centred PCA, whitened as far as a size bears it.

Axis i is divided by λ_i^(gamma / 2), where gamma belongs to the size: 1 (whitening) for sizes up to the
knee of the signal-to-noise ratio of the spectrum, and from there on in proportion to the ratio, so
that a large size does not blow up axes that are noise. No labels, no hyper-parameters.

Derived from the formulas alone. Read as follows. The corpus has unit-length rows, as everywhere here.
The knee is that of `kneed`, Kneedle with sensitivity .5 on a convex falling curve. A size beyond .9 D,
where the knee is not looked for, takes gamma by the same formula. Without signal at the knee it is 0.
"""

from __future__ import annotations

import numpy as np
from kneed import KneeLocator
from numpy.typing import NDArray

from smec.baselines.pca import eigenvalues, principal_axes
from smec.data import Dataset
from smec.encoder import Projection, ProjectionPerSize

NOISE = 0.1
"""Share of the axes, the weakest, that are taken to be noise."""

SENSITIVITY = 0.5


def fit_spectral_tempering(dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0) -> ProjectionPerSize:
    """Fit to the corpus' covariance.

    Parameters
    ----------
    dataset : Dataset
        Its corpus is read block by block; it may be a memory map.
    dims : tuple of int
        Sizes to serve, descending, none above D.
    seed : int
        Not used: nothing is random here.
    """
    covariance = dataset.moments.covariance
    axes = principal_axes(covariance)
    mean = dataset.moments.mean.astype(np.float32)
    documents = {
        dim: Projection((axes[:, :dim] * scale).astype(np.float32), (dim,), "spectemp", mean)
        for dim, scale in tempering_scales(covariance, axes, dims).items()
    }
    return ProjectionPerSize(documents, "spectemp")


def tempering_scales(
    covariance: NDArray[np.float64], axes: NDArray[np.float64], dims: tuple[int, ...]
) -> dict[int, NDArray[np.float64]]:
    """Factor of each leading axis, for every size.

    Parameters
    ----------
    covariance : ndarray of shape (D, D)
    axes : ndarray of shape (D, D)
        Its principal axes.
    dims : tuple of int
        Sizes, none above D.

    Returns
    -------
    dict of int to ndarray of shape (size,)
    """
    spectrum = eigenvalues(covariance, axes)
    return {dim: spectrum[:dim] ** (-gamma / 2) for dim, gamma in exponents(spectrum, dims).items()}


def exponents(spectrum: NDArray[np.float64], dims: tuple[int, ...]) -> dict[int, float]:
    """Gamma of every size, from 0 (PCA) to 1 (whitening).

    Parameters
    ----------
    spectrum : ndarray of shape (D,)
        Eigenvalues, positive, descending.
    dims : tuple of int
        Sizes, none above D.
    """
    ratio = signal_to_noise(spectrum)
    found = knee(ratio[: max(1, int((1 - NOISE) * len(ratio)))])
    gammas = {}
    for dim in dims:
        at_knee = ratio[(found or max(1, dim // 2)) - 1]
        gammas[dim] = float(min(1.0, ratio[dim - 1] / at_knee)) if at_knee > 0 else 0.0
    return gammas


def signal_to_noise(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each eigenvalue of ``spectrum`` (D,) stands above the weakest ones, 0 for below."""
    noise = spectrum[-max(1, round(NOISE * len(spectrum))) :].mean()
    ratio: NDArray[np.float64] = np.maximum(0.0, spectrum / noise - 1)
    return ratio


def knee(curve: NDArray[np.float64]) -> int | None:
    """Position from 1 on at which a falling ``curve`` (n,) turns flat, or None if it does not."""
    if curve[0] == curve[-1]:  # kneed would divide by the difference
        return None
    positions = np.arange(1, len(curve) + 1)
    found = KneeLocator(positions, curve, S=SENSITIVITY, curve="convex", direction="decreasing").knee
    return None if found is None else int(found)
