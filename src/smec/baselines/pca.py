"""PCA of the unit-length corpus: uncentred (what cosine sees), centred (the textbook's), or whitened."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smec.data import Dataset
from smec.encoder import Projection

WHITENING = 0.5
"""Of `fit_whitened_pca`: 0 is PCA, 1 makes all axes equally strong."""

_WEAKEST = 1e-6
"""Share of the largest eigenvalue that every axis is taken to have: weaker ones are rounding."""


def fit_pca(dataset: Dataset, dims: tuple[int, ...], *, centred: bool = False, seed: int = 0) -> Projection:
    """Project on the leading principal axes of the corpus.

    Parameters
    ----------
    dataset : Dataset
        Its corpus is read block by block; it may be a memory map.
    dims : tuple of int
        Sizes to serve, descending, none above D.
    centred : bool
        Subtract the corpus' mean, and take the axes of the covariance.
    seed : int
        Not used: nothing is random here.

    Returns
    -------
    Projection
        "pca", or "pca-centred".
    """
    moments = dataset.moments
    if not centred:
        return Projection(_leading(moments.second, dims), dims, "pca")
    mean = moments.mean.astype(np.float32)
    return Projection(_leading(moments.covariance, dims), dims, "pca-centred", mean)


def fit_centred_pca(dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0) -> Projection:
    """`fit_pca` with ``centred=True``."""
    return fit_pca(dataset, dims, centred=True, seed=seed)


def fit_whitened_pca(dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0) -> Projection:
    """Uncentred PCA whose axes are scaled by eigenvalue^(-1/4), half of the way to whitening.

    Uncentred, as whitening already takes most of its weight from the corpus' mean; the centred
    form with a strength that follows from the spectrum is "spectemp".
    """
    moment = dataset.moments.second
    axes = principal_axes(moment)
    scaled = axes * eigenvalues(moment, axes) ** (-WHITENING / 2)
    return Projection(scaled[:, : dims[0]].astype(np.float32), dims, "pca-whitened")


def principal_axes(moment: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eigenvectors of a second moment or covariance.

    Parameters
    ----------
    moment : ndarray of shape (D, D)
        Symmetric.

    Returns
    -------
    ndarray of shape (D, D), float64
        Orthonormal columns, by descending eigenvalue; the largest entry of each is positive, as
        the sign that LAPACK returns is arbitrary.
    """
    return signed(np.linalg.eigh(moment).eigenvectors[:, ::-1])


def signed(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """``axes`` (D, d) with the largest entry of each column positive."""
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None, :], axis=0)
    result: NDArray[np.float64] = axes * np.sign(largest)
    return result


def eigenvalues(moment: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eigenvalues of a second moment or covariance (D, D) along its ``axes`` (D, D), of shape (D,).

    All positive, as what is divided by them must be finite: a corpus of fewer rows than dims has
    no spread along some axes.
    """
    along = np.einsum("ij,ij->j", axes, moment @ axes)
    smallest = max(_WEAKEST * along[0], np.finfo(np.float64).eps)
    result: NDArray[np.float64] = np.maximum(along, smallest)
    return result


def _leading(moment: NDArray[np.float64], dims: tuple[int, ...]) -> NDArray[np.float32]:
    return principal_axes(moment)[:, : dims[0]].astype(np.float32)
