"""binary and itq: one bit per dimension, above or below its stored median, as it is or after a rotation.

The bit of dimension j is bit ``j % 8`` of byte ``j // 8``, as in faiss's binary indexes, where codes are
compared with codes by Hamming distance. Scored by a float query, a bit stands for the mean of the numbers
on its side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smec.codecs import Codes, check_codes
from smec.codecs.quantizers import faiss, numbers
from smec.errors import ConfigError
from smec.vectors import Float32Array


class Binary:
    """Calibrated thresholds.

    Parameters
    ----------
    name : {"binary", "itq"}
    levels : ndarray of shape (3, dim), float32
        Per dimension its threshold, and the means of the numbers below and above it.
    rotation : ndarray of shape (dim, dim), float32, optional
        Orthonormal; rows are multiplied by it first (itq).
    """

    def __init__(self, name: str, levels: Float32Array, rotation: Float32Array | None = None) -> None:
        self.name = name
        self.levels = levels
        self.rotation = rotation
        self.dim = int(levels.shape[1])
        self.code_bytes = self.dim // 8

    def encode(self, vectors: Float32Array) -> Codes:
        """uint8 codes, shape (n, code_bytes)."""
        rows = vectors if self.rotation is None else vectors @ self.rotation
        return np.packbits(rows > self.levels[0], axis=1, bitorder="little")

    def decode(self, codes: Codes) -> Float32Array:
        """The level of each bit, rotated back, shape (n, dim)."""
        bits = np.unpackbits(check_codes(codes, self), axis=1, bitorder="little").view(bool)
        rows: Float32Array = np.where(bits, self.levels[2], self.levels[1])
        return rows if self.rotation is None else rows @ self.rotation.T

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Levels, and the rotation if there is one."""
        return {"levels": self.levels} | ({} if self.rotation is None else {"rotation": self.rotation})


def code_bytes(kind: str, count: int, dim: int) -> int:
    """A bit per dimension; ConfigError where they do not fill their bytes."""
    if dim % 8:
        raise ConfigError(f"codec {kind}: packs eight dims a byte, so it cannot store {dim} dims; use int8")
    return dim // 8


def fit(kind: str, count: int, vectors: Float32Array, seed: int) -> Binary:
    """Medians, the means on their two sides, and for itq faiss's rotation of the centred rows."""
    rotation = _rotation(vectors) if kind == "itq" else None
    rows = vectors if rotation is None else vectors @ rotation
    threshold = np.median(rows, axis=0)
    above = rows > threshold
    levels = [threshold, _means(rows, ~above, threshold), _means(rows, above, threshold)]
    return Binary(kind, np.array(levels, dtype=np.float32), rotation)


def restore(kind: str, count: int, dim: int, tensors: Mapping[str, NDArray[Any]]) -> Binary:
    """From levels and rotation."""
    return Binary(kind, tensors["levels"], tensors["rotation"] if kind == "itq" else None)


def _rotation(vectors: Float32Array) -> Float32Array:
    dim = vectors.shape[1]
    itq = faiss("itq").ITQTransform(dim, dim, False)
    itq.train(vectors)
    matrix: Float32Array = numbers(itq.pca_then_itq.A, "itq").reshape(dim, dim).T.copy()
    return matrix


def _means(rows: Float32Array, chosen: NDArray[np.bool_], otherwise: Float32Array) -> Float32Array:
    counts = chosen.sum(axis=0)
    means: Float32Array = np.where(
        counts > 0, np.where(chosen, rows, 0).sum(axis=0) / np.maximum(counts, 1), otherwise
    )
    return means
