"""PCA of the unit-length corpus, uncentred (what cosine sees) or centred (the textbook's)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smec.data import Dataset
from smec.encoder import Projection
from smec.vectors import FloatArray, normalise, row_blocks


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
    vectors = dataset.corpus.vectors
    moment = second_moment(vectors)
    if not centred:
        return Projection(_leading(moment, dims), dims, "pca")
    mean = mean_direction(vectors)
    covariance = moment - np.outer(mean, mean)
    return Projection(_leading(covariance, dims), dims, "pca-centred", mean.astype(np.float32))


def fit_centred_pca(dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0) -> Projection:
    """`fit_pca` with ``centred=True``."""
    return fit_pca(dataset, dims, centred=True, seed=seed)


def second_moment(vectors: FloatArray) -> NDArray[np.float64]:
    """Mean of ``x xᵀ`` over the unit-length rows of ``vectors`` (n, D), of shape (D, D)."""
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for block in row_blocks(len(vectors)):
        rows = normalise(vectors[block]).astype(np.float64)
        total += rows.T @ rows
    return total / len(vectors)


def mean_direction(vectors: FloatArray) -> NDArray[np.float64]:
    """Mean of the unit-length rows of ``vectors`` (n, D), of shape (D,)."""
    total = np.zeros(vectors.shape[1])
    for block in row_blocks(len(vectors)):
        total += normalise(vectors[block]).sum(axis=0, dtype=np.float64)
    return total / len(vectors)


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
    axes: NDArray[np.float64] = np.linalg.eigh(moment).eigenvectors[:, ::-1]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None, :], axis=0)
    signed: NDArray[np.float64] = axes * np.sign(largest)
    return signed


def _leading(moment: NDArray[np.float64], dims: tuple[int, ...]) -> NDArray[np.float32]:
    return principal_axes(moment)[:, : dims[0]].astype(np.float32)
