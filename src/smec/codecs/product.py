"""pqN and opqN: each of N parts of a vector as one of 256 learned ones (faiss), for opq after a rotation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smec.codecs import Codes, check_codes
from smec.codecs.quantizers import faiss, fill, numbers
from smec.errors import ConfigError, DataError
from smec.vectors import Float32Array

BITS = 8
CENTROIDS = 1 << BITS


class Product:
    """Calibrated codebooks.

    Parameters
    ----------
    kind : {"pq", "opq"}
    codebooks : ndarray of shape (parts, 256, dim / parts), float32
    rotation : ndarray of shape (dim, dim), float32, optional
        Orthonormal; rows are multiplied by it first (opq).
    """

    def __init__(self, kind: str, codebooks: Float32Array, rotation: Float32Array | None = None) -> None:
        self.code_bytes = len(codebooks)
        self.name = f"{kind}{self.code_bytes}"
        self.dim = codebooks.shape[0] * codebooks.shape[2]
        self.codebooks = codebooks
        self.rotation = rotation
        self._quantizer = faiss(self.name).ProductQuantizer(self.dim, self.code_bytes, BITS)
        fill(self._quantizer.centroids, codebooks, self.name)

    def encode(self, vectors: Float32Array) -> Codes:
        """uint8 codes, shape (n, parts)."""
        rows = vectors if self.rotation is None else vectors @ self.rotation
        codes: Codes = self._quantizer.compute_codes(np.ascontiguousarray(rows, dtype=np.float32))
        return codes

    def decode(self, codes: Codes) -> Float32Array:
        """The learned parts, rotated back, shape (n, dim)."""
        rows: Float32Array = self._quantizer.decode(np.ascontiguousarray(check_codes(codes, self)))
        return rows if self.rotation is None else rows @ self.rotation.T

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Codebooks, and the rotation if there is one."""
        return {"codebooks": self.codebooks} | ({} if self.rotation is None else {"rotation": self.rotation})


def code_bytes(kind: str, count: int, dim: int) -> int:
    """N; ConfigError where N parts cannot be of equal width."""
    if dim % count:
        fitting = [n for n in range(1, dim + 1) if dim % n == 0]
        nearest = min(fitting, key=lambda n: abs(n - count))
        raise ConfigError(
            f"codec {kind}{count}: {dim} dims do not fall into {count} parts; use {kind}{nearest}"
        )
    return count


def fit(kind: str, count: int, vectors: Float32Array, seed: int) -> Product:
    """K-means per part; for opq the rotation that loses least, first."""
    rows, dim = vectors.shape
    if rows < CENTROIDS:
        raise DataError(f"codec {kind}{count}: codebooks of {CENTROIDS} need as many vectors, got {rows}")
    module = faiss(f"{kind}{count}")
    rotation = None
    quantizer = module.ProductQuantizer(dim, count, BITS)
    quantizer.cp.seed = (seed + 1234) & 0x7FFFFFFF  # faiss takes an int of 32 bits
    quantizer.cp.min_points_per_centroid = 1  # its warning below 39 says nothing that the caller can change
    if kind == "opq":
        opq = module.OPQMatrix(dim, count)
        opq.pq = quantizer  # so that these settings hold there too
        opq.train(vectors)
        rotation = numbers(opq.A, f"{kind}{count}").reshape(dim, dim).T.copy()
        vectors = np.ascontiguousarray(vectors @ rotation)
    quantizer.train(vectors)
    codebooks = numbers(quantizer.centroids, f"{kind}{count}").reshape(count, CENTROIDS, dim // count)
    return Product(kind, codebooks, rotation)


def restore(kind: str, count: int, dim: int, tensors: Mapping[str, NDArray[Any]]) -> Product:
    """From codebooks and rotation."""
    return Product(kind, tensors["codebooks"], tensors["rotation"] if kind == "opq" else None)
